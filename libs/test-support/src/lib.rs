//! Fixtures for all tests: databases, clocks, ids, scripted peers; a dev-dependency only.
//!
//! Depends on libs alone: linked against a service it would give that service's tests a second copy of its types.

pub mod certificates;
pub mod clock;
pub mod collector;
pub mod database;
pub mod ids;
pub mod plan;
