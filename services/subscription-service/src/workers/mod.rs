//! Background duties: positions of changes, holds without cause, old answers. None of them moves a lifecycle (K27).

mod release_holds;

use runtime::duties;
use runtime::worker::Worker;

use crate::use_cases::UseCases;

/// All duties of the service.
pub(crate) fn all(use_cases: &UseCases) -> Vec<Worker> {
    let (db, clock) = (&use_cases.db, &use_cases.clock);
    vec![
        duties::sequence_changes("subscription: sequence changes", db, clock),
        release_holds::worker(use_cases.clone()),
        duties::sweep_answers("subscription: sweep answered requests", db, clock),
    ]
}
