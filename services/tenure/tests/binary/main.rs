//! The binary itself, as a process: configuration, demo, stopping, what survives a kill, and what it exports.

mod process;
mod starting_and_stopping;
mod the_demo;
mod traces;
