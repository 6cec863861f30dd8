//! Why this context refuses; how a refusal looks on the wire is told in `grpc::status`.

use std::time::Duration;

use database::{Failure, StoreError};
use kernel::{DirectoryId, LienId, Refusal};

use crate::domain::directory::State;
use crate::domain::directory_domain::CheckResult;
use crate::domain::domain_name::DomainName;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
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
    /// What is needed is not verified in the directory (D-11, K46).
    #[error("{0} is not verified in the directory")]
    DomainNotVerified(DomainName),
    /// The directory has as many domains as it can have.
    #[error("a directory has at most {0} domains")]
    DomainQuota(i64),
    /// The record was looked for in vain, or nobody can say (D-16).
    #[error("{}", told(*.result, .domain))]
    NotProven {
        /// The domain.
        domain: DomainName,
        /// What its record has to say.
        record_value: String,
        /// What came of looking for it.
        result: CheckResult,
    },
    /// What proves the domain does so no more (K23).
    #[error("the record of {0} has expired; ask for another")]
    ChallengeExpired(DomainName),
    /// Another directory has it, or what it belongs to, or what belongs to it (D-15, K46).
    #[error("{0} belongs to another directory")]
    DomainVerifiedElsewhere(DomainName),
    /// The challenge was replaced too often today (K23).
    #[error("the record of {domain} was replaced too often today")]
    TooManyRotations {
        /// The domain.
        domain: DomainName,
        /// How long until the next day.
        wait: Duration,
    },
    /// It stays with its directory (D-10).
    #[error("{0} is the initial domain")]
    DomainIsInitial(DomainName),
    /// Another one has to become the primary one first (D-11).
    #[error("{0} is the primary domain")]
    DomainIsPrimary(DomainName),
    /// What lies below it has to go first (K46).
    #[error("{0} has sub-domains")]
    DomainHasSubdomains(DomainName),
    /// Something depends on it (K11).
    #[error("{resource} is guarded by liens")]
    LiensPresent {
        /// What is guarded.
        resource: String,
        /// By what, and why.
        liens: Vec<(LienId, String)>,
    },
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

fn told(result: CheckResult, domain: &DomainName) -> String {
    match result {
        CheckResult::RecordMissing => format!("DNS knows no record of this system at {domain}"),
        CheckResult::RecordMismatch => format!("DNS knows another record of this system at {domain}"),
        CheckResult::DnsUnavailable => format!("DNS gives no answer about {domain}"),
    }
}
