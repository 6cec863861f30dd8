//! What identity knows of a directory: its state and its initial domain.
//!
//! The directory itself belongs to the directory context.

use kernel::DirectoryId;

use super::refused::Refused;

stored! {
    /// A directory's state, as far as sign-ins and rights are concerned (K2).
    DirectoryState {
        /// It is being made; nobody can do anything in it.
        Provisioning = "PROVISIONING",
        /// It is in use.
        Active = "ACTIVE",
        /// Nobody signs in and nobody has a right.
        Suspended = "SUSPENDED",
        /// It ended.
        Deleted = "DELETED",
    }
}

/// What the directory context says can be done in a directory, and at which revision of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) state: DirectoryState,
    pub(crate) revision: i64,
}

/// The local row of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownDirectory {
    pub(crate) state: DirectoryState,
    pub(crate) revision: i64,
    pub(crate) initial_domain: String,
}

/// Refuses unless the directory is known and in use; nothing is added to any other.
pub(crate) fn require_active(
    directory: DirectoryId,
    known: Option<KnownDirectory>,
) -> Result<KnownDirectory, Refused> {
    match known {
        Some(known) if known.state == DirectoryState::Active => Ok(known),
        other => Err(Refused::DirectoryNotActive { directory, state: other.map(|known| known.state) }),
    }
}
