//! What identity knows of a directory: its state, its name, its initial domain.
//!
//! The directory itself belongs to the directory context.

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

/// The local row of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownDirectory {
    pub(crate) state: DirectoryState,
    pub(crate) revision: i64,
    pub(crate) display_name: String,
    pub(crate) initial_domain: String,
}
