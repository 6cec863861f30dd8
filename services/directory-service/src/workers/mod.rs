//! Background duties of this context: those that every context has, moves of directories that were left half done, and
//! the purge of deleted ones.
//!
//! None is waited for: what is suspended is shut once identity knows, and a purge time is over by the clock (P-14).

use std::sync::Arc;
use std::time::Duration;

use kernel::Refusal;
use runtime::duties;
use runtime::worker::Worker;

use crate::use_cases::UseCases;

/// How soon a move that was left alone is looked for.
const FINISH_EVERY: Duration = Duration::from_secs(5);
/// Days more or less: nothing hangs on it.
const PURGE_EVERY: Duration = Duration::from_mins(10);

/// All of them.
pub(crate) fn all(use_cases: &Arc<UseCases>) -> Vec<Worker> {
    let (db, clock) = (&use_cases.db, &use_cases.clock);
    let (finishing, purging) = (Arc::clone(use_cases), Arc::clone(use_cases));
    vec![
        duties::sequence_changes("directory: sequence changes", db, clock),
        duties::sweep_answers("directory: sweep answered requests", db, clock),
        Worker::new("directory: finish moves", FINISH_EVERY, move || {
            let use_cases = Arc::clone(&finishing);
            async move { use_cases.finish_a_move().await.map_err(Refusal::from) }
        }),
        Worker::new("directory: purge deleted directories", PURGE_EVERY, move || {
            let use_cases = Arc::clone(&purging);
            async move { use_cases.purge_a_directory().await.map_err(Refusal::from) }
        }),
    ]
}
