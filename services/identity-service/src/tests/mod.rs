//! The context through its own API, with a scripted directory context behind it; both engines by `TEST_DATABASE`.
//!
//! Journeys over all contexts stand elsewhere.

mod decisions;
mod directory;
mod domain_holds;
mod limits;
pub(crate) mod plan;
mod rights;
mod sessions;
mod sign_up;
mod users;
mod world;
