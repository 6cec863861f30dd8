//! Crashes: processes killed at every named place and at random under load, and what must be true afterwards (P-8).
//!
//! A storm of clients keeps a ledger of what was asked and answered; a process dies; it starts where it was; what was not
//! answered is asked again; then everything is looked at, through the API and in the databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod aftermath;
mod chance;
mod client;
mod fail_points;
mod halves;
mod intent;
mod kills;
mod ledger;
mod life_cycle;
#[path = "../processes/process.rs"]
#[expect(dead_code, reason = "the suite of the processes uses the rest")]
mod process;
#[path = "../processes/split.rs"]
#[expect(dead_code, reason = "the suite of the processes uses the rest")]
mod split;
mod storm;
mod system;
