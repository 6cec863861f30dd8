//! Background duties: positions of changes, holds without cause, old answers. None of them moves a lifecycle (K27).

use std::time::Duration;

use database::{Db, idempotency, sequencer};
use kernel::{Clock, Refusal};
use runtime::worker::Worker;

use crate::store;
use crate::use_cases::{HOLD_REASON, UseCases};

const SEQUENCE_EVERY: Duration = Duration::from_millis(500);
const SWEEP_EVERY: Duration = Duration::from_mins(10);
const RELEASE_EVERY: Duration = Duration::from_mins(5);
/// A younger hold may belong to an order that is under way.
const HOLD_MIN_AGE: Duration = Duration::from_hours(1);
/// Directories that one run looks at.
const RELEASE_BATCH: i64 = 100;

/// All duties of the service.
pub(crate) fn all(use_cases: &UseCases) -> Vec<Worker> {
    let (db, clock) = (&use_cases.db, &use_cases.clock);
    vec![
        sequence_changes(db.clone(), clock.clone()),
        release_holds(use_cases.clone()),
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

fn release_holds(use_cases: UseCases) -> Worker {
    Worker::new("release_holds", RELEASE_EVERY, move || {
        let use_cases = use_cases.clone();
        async move { release_once(&use_cases).await }
    })
}

/// Lets go of holds that have lost their cause, and finishes what another run began. One directory that cannot be let
/// go, because a peer is silent or another replica is at it, does not keep the others waiting.
async fn release_once(use_cases: &UseCases) -> Result<bool, Refusal> {
    let now = use_cases.clock.now();
    let before = now.minus(HOLD_MIN_AGE);
    let directories =
        store::holds::without_cause(&use_cases.db, HOLD_REASON, before, now, RELEASE_BATCH).await?;
    let mut failed = None;
    for directory in directories {
        if let Err(refused) = use_cases.release_hold(directory, now).await {
            failed = Some(refused);
        }
    }
    failed.map_or(Ok(false), |refused| Err(refused.into()))
}
