//! Background duties of this context: positions for the change log, and the end of answered requests.
//!
//! No promise waits for them: a record that is over is ignored where it is read.

use std::time::Duration;

use database::{Db, idempotency, sequencer};
use kernel::Clock;
use runtime::worker::Worker;

/// Every commit wakes the sequencer; this is for the commits of other replicas.
const SEQUENCE_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// All of them.
pub(crate) fn all(db: &Db, clock: &Clock) -> Vec<Worker> {
    vec![sequence_changes(db.clone(), clock.clone()), sweep_answers(db.clone(), clock.clone())]
}

/// Gives committed changes their positions and seals them (K13).
fn sequence_changes(db: Db, clock: Clock) -> Worker {
    let changed = db.changed();
    Worker::new("directory: sequence changes", SEQUENCE_EVERY, move || {
        let (db, now) = (db.clone(), clock.now());
        async move { Ok(sequencer::run_once(&db, now).await?) }
    })
    .woken_by(changed)
}

/// Removes records of requests that were answered a day ago.
fn sweep_answers(db: Db, clock: Clock) -> Worker {
    Worker::new("directory: sweep answered requests", SWEEP_EVERY, move || {
        let (db, now) = (db.clone(), clock.now());
        async move {
            idempotency::sweep(&db, now).await?;
            Ok(false)
        }
    })
}
