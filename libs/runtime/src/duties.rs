//! The background duties of every context; what one context has to do alone stands in its `workers/`.
//!
//! No promise waits for them: changes are committed before they have positions, and an answer that is over is ignored
//! where it is read.

use std::time::Duration;

use database::{Db, feed, idempotency, sequencer};
use kernel::Clock;

use crate::worker::Worker;

/// Every commit wakes the sequencer; this is for the commits of other replicas.
const SEQUENCE_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Gives committed changes their positions and seals them (K13).
pub fn sequence_changes(name: &'static str, db: &Db, clock: &Clock) -> Worker {
    let (changed, db, clock) = (db.changed(), db.clone(), clock.clone());
    Worker::new(name, SEQUENCE_EVERY, move || {
        let (db, now) = (db.clone(), clock.now());
        async move { Ok(sequencer::run_once(&db, now).await?) }
    })
    .woken_by(changed)
}

/// Removes the answers of requests that were answered a day ago (P-9).
pub fn sweep_answers(name: &'static str, db: &Db, clock: &Clock) -> Worker {
    let (db, clock) = (db.clone(), clock.clone());
    Worker::new(name, SWEEP_EVERY, move || {
        let (db, now) = (db.clone(), clock.now());
        async move {
            idempotency::sweep(&db, now).await?;
            Ok(false)
        }
    })
}

/// Removes changes that were kept long enough (P-13).
pub fn sweep_changes(name: &'static str, db: &Db, clock: &Clock) -> Worker {
    let (db, clock) = (db.clone(), clock.clone());
    Worker::new(name, SWEEP_EVERY, move || {
        let (db, now) = (db.clone(), clock.now());
        async move {
            feed::sweep(&db, now).await?;
            Ok(false)
        }
    })
}
