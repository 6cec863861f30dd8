//! What one attempt of a local transaction has seen: batches whose outcome its own may be told only after (K10).
//!
//! Kept beside the task, so that use cases need not know of it; who does not run under `retry` has none.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::error::StoreError;
use crate::retry::Failure;
use crate::unit::Batch;

tokio::task_local! {
    static ATTEMPT: Arc<Attempt>;
}

/// Whose turn a unit waits for: a directory's, nil for all callers that have none, or the process's own where no call is
/// at work.
pub(crate) type Lane = Option<Uuid>;

/// One attempt.
pub(crate) struct Attempt {
    lane: Lane,
    batches: Mutex<Vec<Batch>>,
}

impl Attempt {
    fn of(directory: Uuid) -> Arc<Self> {
        Arc::new(Self { lane: Some(directory), batches: Mutex::default() })
    }
}

/// Runs one attempt; its outcome is given when the batches that its units were in are committed.
///
/// A refusal and a replay are of no unit's COMMIT, and yet may rest on rows of earlier units of their batch: where that
/// failed, they are not true.
pub(crate) async fn settled<T, E: Failure>(
    lane: Uuid,
    attempt: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let noted = Attempt::of(lane);
    let outcome = ATTEMPT.scope(Arc::clone(&noted), attempt).await;
    let batches = std::mem::take(&mut *noted.batches.lock().unwrap_or_else(PoisonError::into_inner));
    for batch in batches {
        match batch.settled().await.into_result() {
            Ok(()) => {}
            // Its own COMMIT, which may have happened.
            Err(StoreError::OutcomeUnknown(_)) if is_unknown(&outcome) => {}
            // Of its own nothing is written: it can be repeated, whatever became of the others.
            Err(StoreError::OutcomeUnknown(error)) => return Err(StoreError::Conflict(error).into()),
            Err(error) => return Err(error.into()),
        }
    }
    outcome
}

fn is_unknown<T, E: Failure>(outcome: &Result<T, E>) -> bool {
    let error = outcome.as_ref().err().and_then(Failure::store);
    matches!(error, Some(StoreError::OutcomeUnknown(_)))
}

/// Runs what is of a directory and no attempt in that directory's lane.
pub(crate) async fn in_lane_of<T>(directory: Uuid, work: impl Future<Output = T>) -> T {
    ATTEMPT.scope(Attempt::of(directory), work).await
}

/// The lane of the present task.
pub(crate) fn lane() -> Lane {
    ATTEMPT.try_with(|attempt| attempt.lane).ok().flatten()
}

/// Notes the batch that a unit of the present attempt is in.
pub(crate) fn note(batch: &Batch) {
    // Outside of an attempt nobody waits for it.
    let _ = ATTEMPT.try_with(|attempt| {
        attempt.batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch.clone());
    });
}
