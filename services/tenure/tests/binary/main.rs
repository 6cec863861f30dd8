//! The binary itself, as a process: configuration, demo, stopping, what survives a kill, and what it exports.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod process;
mod starting_and_stopping;
mod the_demo;
mod traces;
