//! Background duties: positions of changes, holds without cause, old answers. None of them moves a lifecycle (K27).

mod release_holds;

use std::time::Duration;

use database::{Db, idempotency, sequencer};
use kernel::Clock;
use runtime::worker::Worker;

use crate::use_cases::UseCases;

const SEQUENCE_EVERY: Duration = Duration::from_millis(500);
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// All duties of the service.
pub(crate) fn all(use_cases: &UseCases) -> Vec<Worker> {
    let (db, clock) = (&use_cases.db, &use_cases.clock);
    vec![
        sequence_changes(db.clone(), clock.clone()),
        release_holds::worker(use_cases.clone()),
        sweep(db.clone(), clock.clone()),
    ]
}

fn sequence_changes(db: Db, clock: Clock) -> Worker {
    let changed = db.changed();
    Worker::new("sequence_changes", SEQUENCE_EVERY, move || {
        let (db, clock) = (db.clone(), clock.clone());
        async move { Ok(sequencer::run_once(&db, clock.now()).await?) }
    })
    .woken_by(changed)
}

fn sweep(db: Db, clock: Clock) -> Worker {
    Worker::new("sweep_idempotency_records", SWEEP_EVERY, move || {
        let (db, clock) = (db.clone(), clock.clone());
        async move {
            idempotency::sweep(&db, clock.now()).await?;
            Ok(false)
        }
    })
}
