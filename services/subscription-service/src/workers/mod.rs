//! Background duties: positions of changes, holds without cause, old answers, directories that are followed. None of
//! them moves a lifecycle (K27).

mod follow_directories;
mod release_holds;

use runtime::duties;
use runtime::worker::Worker;
use uuid::Uuid;

use crate::use_cases::UseCases;

/// All duties of the service; `holder` is this process among the replicas.
pub(crate) fn all(use_cases: &UseCases, holder: Uuid) -> Vec<Worker> {
    let (db, clock) = (&use_cases.db, &use_cases.clock);
    vec![
        duties::sequence_changes("subscription: sequence changes", db, clock),
        release_holds::worker(use_cases.clone()),
        duties::sweep_answers("subscription: sweep answered requests", db, clock),
        duties::sweep_changes("subscription: sweep changes", db, clock),
        follow_directories::worker(use_cases, holder),
    ]
}
