//! That a principal holds a directory role; it is made and ended, never changed.

use kernel::{RoleAssignmentId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// An assignment, without its directory, which comes from the permit (K9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoleAssignment {
    pub(crate) id: RoleAssignmentId,
    pub(crate) principal: UserId,
    /// The role's slug.
    pub(crate) role: String,
    /// Who gave it, as an actor's name.
    pub(crate) create_principal: String,
    pub(crate) create_time: Timestamp,
    pub(crate) expire_time: Option<Timestamp>,
    pub(crate) revision: i64,
}

impl RoleAssignment {
    /// Whether it gives a right at `now` (P-14: expiry is judged at use).
    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        self.expire_time.is_none_or(|end| end > now)
    }
}
