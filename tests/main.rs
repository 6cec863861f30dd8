//! The whole system, from outside: three services in one process, fixed clock, seeded ids, either engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod feeds;
mod guards;
mod journeys;
mod races;
mod raw;
mod scripted_identity;
mod world;
