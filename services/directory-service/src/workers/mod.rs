//! Background duties of this context: those that every context has.

use database::Db;
use kernel::Clock;
use runtime::duties;
use runtime::worker::Worker;

/// All of them.
pub(crate) fn all(db: &Db, clock: &Clock) -> Vec<Worker> {
    vec![
        duties::sequence_changes("directory: sequence changes", db, clock),
        duties::sweep_answers("directory: sweep answered requests", db, clock),
    ]
}
