//! Why this context refuses; how a refusal looks on the wire is told in `grpc::status`.

use database::{Failure, StoreError};
use kernel::{DirectoryId, LienId, Refusal};

use crate::domain::directory::State;
use crate::domain::domain_name::DomainName;
use crate::domain::lien::Lien;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no such directory, and the caller may know.
    #[error("directories/{0} does not exist")]
    DirectoryNotFound(DirectoryId),
    /// Another directory has the initial domain, or had it while it was active (D-10, K37).
    #[error("{0} is taken")]
    InitialDomainTaken(DomainName),
    /// There is no such step from the directory's state.
    #[error("directories/{directory} is in {}", .current.as_str())]
    InvalidStateTransition {
        /// The directory.
        directory: DirectoryId,
        /// Its state.
        current: State,
        /// The states from which there is such a step.
        allowed: &'static [State],
    },
    /// Only an active directory can be relied on.
    #[error("directories/{directory} is in {}", .state.as_str())]
    DirectoryNotActive {
        /// The directory.
        directory: DirectoryId,
        /// Its state.
        state: State,
    },
    /// No directory has the domain, or not the directory that it was looked for in.
    #[error("{0} belongs to no directory")]
    DomainNotFound(DomainName),
    /// There is no such lien, and the caller may know.
    #[error("directories/{directory}/liens/{lien} does not exist")]
    LienNotFound {
        /// The directory.
        directory: DirectoryId,
        /// The lien.
        lien: LienId,
    },
    /// A lien of this revision, or of a higher one, was there and was removed.
    #[error("the lien of this revision was removed; revision {removed_revision} is over")]
    LienRemoved {
        /// The directory.
        directory: DirectoryId,
        /// The highest revision that was removed.
        removed_revision: i64,
    },
    /// Only its creator, or an operator, removes a lien.
    #[error("directories/{directory}/liens/{lien} was created by somebody else")]
    NotLienCreator {
        /// The directory.
        directory: DirectoryId,
        /// The lien.
        lien: LienId,
    },
    /// Something depends on the directory (K11).
    #[error("something depends on directories/{directory}: its liens have to go first")]
    LienPresent {
        /// The directory.
        directory: DirectoryId,
        /// The oldest of the liens that keep it.
        liens: Vec<Lien>,
        /// How many there are.
        count: i64,
    },
    /// There is no deletion to take back.
    #[error("directories/{directory} is not deleted")]
    NotDeleted {
        /// The directory.
        directory: DirectoryId,
        /// Its state.
        state: State,
    },
    /// Nothing of the directory can be had back any more (D-36).
    #[error("nothing of directories/{0} can be had back any more")]
    PurgeStarted(DirectoryId),
    /// A refusal that every context has.
    #[error(transparent)]
    Common(#[from] Refusal),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for Refused {
    fn store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}
