//! SQL, and only SQL: rows in, records out. What may be written is decided before.

pub(crate) mod credentials;
pub(crate) mod directories;
pub(crate) mod domain_holds;
pub(crate) mod role_assignments;
pub(crate) mod sessions;
pub(crate) mod sign_ups;
pub(crate) mod signing_keys;
pub(crate) mod standing;
pub(crate) mod throttles;
pub(crate) mod users;

/// Where a page begins: after this place in the order `create_time, id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct After(pub(crate) i64, pub(crate) uuid::Uuid);

impl After {
    /// Before everything.
    pub(crate) const BEGINNING: Self = Self(i64::MIN, uuid::Uuid::nil());
}
