//! Repeating a local transaction that collided (K7); whether the caller may is judged outside.

use std::time::Duration;

use access::Call;
use kernel::DirectoryId;
use uuid::Uuid;

use crate::attempt::settled;
use crate::error::StoreError;

/// How often a local transaction is tried before the caller is told `WRITE_CONFLICT`.
const MOST_ATTEMPTS: u32 = 10;
/// How often a use case judges and asks its peers anew.
const MOST_STARTS: u32 = 3;

/// A use case's error, in which a failure of storage can be recognised.
pub trait Failure: From<StoreError> {
    /// The failure of storage, where it is one.
    fn store(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// Repeats one whole local transaction while it collides with others.
///
/// When a COMMIT's answer was lost, a call with a request id is repeated too: its first statement waits for the lost
/// transaction's record and replays it where it was committed. No outcome is given before what it rests on is committed
/// (K10).
pub async fn retry<T, E: Failure, F: Future<Output = Result<T, E>>>(
    call: &Call,
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    retry_in(call.record_directory(), call, attempt).await
}

/// As [`retry`], in the lane of a directory that another proof than an access token names.
pub async fn retry_in_lane_of<T, E: Failure, F: Future<Output = Result<T, E>>>(
    directory: DirectoryId,
    call: &Call,
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    retry_in(directory.uuid(), call, attempt).await
}

async fn retry_in<T, E: Failure, F: Future<Output = Result<T, E>>>(
    lane: Uuid,
    call: &Call,
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    let mut attempts = 0;
    loop {
        let result = settled(lane, attempt()).await;
        attempts += 1;
        let again = match result.as_ref().err().and_then(Failure::store) {
            Some(StoreError::Conflict(_)) => true,
            Some(StoreError::OutcomeUnknown(_)) => call.request_id.is_some(),
            _ => false,
        };
        if !again || attempts == MOST_ATTEMPTS {
            return result;
        }
        tokio::time::sleep(pause(attempts, call)).await;
    }
}

/// Repeats one transaction of bookkeeping while it collides with others, or its unit loses its turn (K10): where no call's
/// [`retry`] is around it, nobody else would.
pub async fn bookkeeping<T, E: Failure, F: Future<Output = Result<T, E>>>(
    attempt: impl Fn() -> F,
) -> Result<T, E> {
    let mut attempts = 0;
    loop {
        let result = attempt().await;
        attempts += 1;
        let again = result.as_ref().err().and_then(Failure::store).is_some_and(StoreError::is_conflict);
        if !again || attempts == MOST_ATTEMPTS {
            return result;
        }
        tokio::time::sleep(grown(attempts)).await;
    }
}

/// Repeats judging, asking peers and writing when what was relied on did not last: the permit, a hold, a peer's answer.
pub async fn start_over<T, E: Failure, F: Future<Output = Result<T, E>>>(
    start: impl Fn() -> F,
) -> Result<T, E> {
    let mut starts = 0;
    loop {
        let result = start().await;
        starts += 1;
        let again = result.as_ref().err().and_then(Failure::store).is_some_and(StoreError::wants_new_start);
        if !again || starts == MOST_STARTS {
            return result;
        }
    }
}

/// Grows with the attempts, and differs between calls, so that those who collided do not collide again.
fn pause(attempts: u32, call: &Call) -> Duration {
    let spread = u64::from(call.new_id.as_bytes()[15] % 16);
    grown(attempts) + Duration::from_millis(spread)
}

fn grown(attempts: u32) -> Duration {
    Duration::from_millis(1 << attempts.min(6))
}
