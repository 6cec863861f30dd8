//! Refusals of authenticated writes, equal ones counted in one row a minute (K15, P-10).
//!
//! Rows of past minutes become sealed entries of the change log; that is the sequencer's work.

use access::{Call, Caller};
use kernel::{Code, DirectoryId, Refusal, Timestamp, reason};

use uuid::Uuid;

use crate::attempt::in_lane_of;
use crate::connect::Db;
use crate::error::StoreError;
use crate::on;
use crate::retry::bookkeeping;

pub(crate) const MINUTE_MICROS: i64 = 60 * 1_000_000;

/// The codes that a recorded refusal can have.
pub const CODES: [Code; 8] = [
    Code::PermissionDenied,
    Code::FailedPrecondition,
    Code::NotFound,
    Code::AlreadyExists,
    Code::Aborted,
    Code::OutOfRange,
    Code::ResourceExhausted,
    Code::Unauthenticated,
];

/// Whether a refusal is recorded: malformed, unknown, throttled and unanswered calls are metrics only.
///
/// A session that was revoked is recorded: its token is good, so it is known who tries.
pub fn is_recorded(refusal: &Refusal) -> bool {
    match refusal.code() {
        Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Aborted
        | Code::OutOfRange => true,
        Code::ResourceExhausted => {
            ![reason::RATE_LIMITED, reason::MESSAGE_TOO_LARGE].contains(&refusal.reason())
        }
        Code::Unauthenticated => refusal.reason() == reason::SESSION_REVOKED,
        Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable => false,
    }
}

/// Records a refusal after the rollback: of a principal in its own directory, of an operator in the target's, which is
/// nil where the target names none. What a service is refused is a defect, and its own log's.
pub async fn record(db: &Db, call: &Call, refusal: &Refusal, target: &str) -> Result<(), StoreError> {
    let directory = match &call.caller {
        Some(Caller::Principal(signed_in)) => signed_in.principal.directory(),
        Some(Caller::Operator(_)) => directory_of(target),
        Some(Caller::Service(_)) | None => return Ok(()),
    };
    if !is_recorded(refusal) {
        return Ok(());
    }
    let upsert = "INSERT INTO refusals (directory, minute, actor, action, target, code, reason, count, last_time, trace_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)
        ON CONFLICT (directory, minute, actor, action, target, code, reason) DO UPDATE
        SET count = refusals.count + 1, last_time = excluded.last_time";
    let target = target_in(directory, target);
    let counted = || async {
        let mut tx = db.write().await?;
        on!(&mut tx, |c| sqlx::query(upsert)
            .bind(directory.uuid())
            .bind(minute_of(call.now))
            .bind(call.actor())
            .bind(call.method)
            .bind(&target)
            .bind(refusal.code().as_str())
            .bind(refusal.reason().as_str())
            .bind(call.now.micros())
            .bind(call.trace_id.as_deref())
            .execute(c)
            .await
            .map(|_| ()))?;
        tx.commit_bookkeeping().await
    };
    in_lane_of(directory.uuid(), bookkeeping(counted)).await
}

/// The directory that a resource's name begins with, or nil.
fn directory_of(target: &str) -> DirectoryId {
    let id = target.strip_prefix("directories/").and_then(|rest| rest.split('/').next());
    id.and_then(|id| id.parse().ok()).unwrap_or(DirectoryId::from_uuid(Uuid::nil()))
}

/// The target as it is recorded: what lies in another directory is told by its pattern alone, so that whoever tries
/// one id after the other makes one row a minute.
fn target_in(directory: DirectoryId, target: &str) -> String {
    let own = format!("directories/{directory}");
    if !target.starts_with("directories/") || target == own || target.starts_with(&format!("{own}/")) {
        return target.to_owned();
    }
    let parts = target.split('/').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { "*" } else { part }).collect::<Vec<_>>().join("/")
}

pub(crate) fn minute_of(time: Timestamp) -> i64 {
    time.micros().div_euclid(MINUTE_MICROS)
}
