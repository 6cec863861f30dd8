//! Refusals of authenticated writes, equal ones counted in one row a minute (K15, P-10).
//!
//! Rows of past minutes become sealed entries of the change log; that is the sequencer's work.

use access::Call;
use kernel::{Code, Refusal, Timestamp};

use crate::connect::Db;
use crate::error::StoreError;
use crate::on;

pub(crate) const MINUTE_MICROS: i64 = 60 * 1_000_000;

/// Whether a refusal is recorded: malformed, anonymous, throttled and unanswered calls are metrics only.
pub fn is_recorded(code: Code) -> bool {
    match code {
        Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::OutOfRange => true,
        Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::Unauthenticated => false,
    }
}

/// Records a refusal in the caller's own directory, after the rollback; callers without a directory are not recorded.
pub async fn record(db: &Db, call: &Call, refusal: &Refusal, target: &str) -> Result<(), StoreError> {
    let Some(directory) = call.caller.as_ref().and_then(access::Caller::directory) else { return Ok(()) };
    if !is_recorded(refusal.code()) {
        return Ok(());
    }
    let upsert = "INSERT INTO refusals (directory, minute, actor, action, target, code, reason, count, last_time, trace_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)
        ON CONFLICT (directory, minute, actor, action, target, code, reason) DO UPDATE
        SET count = refusals.count + 1, last_time = excluded.last_time";
    let mut tx = db.write().await?;
    on!(&mut tx, |c| sqlx::query(upsert)
        .bind(directory.uuid())
        .bind(minute_of(call.now))
        .bind(call.actor())
        .bind(call.method)
        .bind(target)
        .bind(format!("{:?}", refusal.code()))
        .bind(refusal.reason().as_str())
        .bind(call.now.micros())
        .bind(call.trace_id.as_deref())
        .execute(c)
        .await
        .map(|_| ()))?;
    tx.commit_bookkeeping().await
}

pub(crate) fn minute_of(time: Timestamp) -> i64 {
    time.micros().div_euclid(MINUTE_MICROS)
}
