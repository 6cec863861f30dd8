//! Fixtures for all tests: databases, clocks, ids, binaries and their clients; a dev-dependency only.
//!
//! Depends on libs alone: linked against a service it would give that service's tests a second copy of its types.

pub mod binary;
pub mod certificates;
pub mod client;
pub mod clock;
pub mod collector;
pub mod database;
pub mod ids;
pub mod plan;
