//! The SQL of the subscription context, and only SQL; every write takes its directory from the permit (K9).

pub(crate) mod directory_states;
pub(crate) mod guards;
pub(crate) mod holds;
pub(crate) mod orders;
pub(crate) mod role_assignments;
pub(crate) mod subscription_lists;
pub(crate) mod subscriptions;
