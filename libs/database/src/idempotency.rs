//! A request with a `request_id` has its effect once and its retries get the same answer (P-9, K7).
//!
//! The record is inserted by the first statement of the transaction that it speaks for, and kept a day.

use std::time::Duration;

use access::Call;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connect::Db;
use crate::error::StoreError;
use crate::retry::{Failure, start_over};
use crate::sweep::Sweep;
use crate::tx::Tx;
use crate::{defer, on, read_one};

/// How long a record is kept.
pub const RECORD_LIFETIME: Duration = Duration::from_hours(24);

type Row = (Vec<u8>, String);

/// Runs a writing use case once for all calls with its request id: the recorded answer first, then `start`, which
/// judges, asks peers and runs the local transaction, again where what it relied on did not last.
///
/// A refusal is told only after another look at the records: a twin may have committed since the first, and what it
/// did may be just what this call is refused for (P-9).
pub async fn once<T, E, F>(db: &Db, call: &Call, start: impl Fn() -> F) -> Result<T, E>
where
    T: DeserializeOwned,
    E: Failure + From<StoreError>,
    F: Future<Output = Result<T, E>>,
{
    if let Some(answer) = replay(db, call).await? {
        return Ok(answer);
    }
    match start_over(start).await {
        Ok(answer) => Ok(answer),
        Err(refused) => replay(db, call).await?.ok_or(refused),
    }
}

/// The recorded answer to this call, read before the caller is judged; `None` when there is none.
pub async fn replay<T: DeserializeOwned>(db: &Db, call: &Call) -> Result<Option<T>, StoreError> {
    if call.request_id.is_none() {
        return Ok(None);
    }
    read_one!(db, |tx| recorded(tx, call).await)
}

/// Claims the call for this transaction, as its first statement: a twin waits here until the other has ended.
///
/// Gives the recorded answer when the twin was faster.
pub async fn claim<T: DeserializeOwned>(tx: &mut Tx, call: &Call) -> Result<Option<T>, StoreError> {
    let Some(request_id) = call.request_id else { return Ok(None) };
    let insert = "INSERT INTO idempotency_records (directory, caller, method, request_id, fingerprint, answer, expire_time)
        VALUES ($1, $2, $3, $4, $5, '', $6)
        ON CONFLICT (directory, caller, method, request_id) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = '', expire_time = excluded.expire_time
        WHERE idempotency_records.expire_time <= $7";
    let claimed = on!(tx, |c| sqlx::query(insert)
        .bind(call.record_directory())
        .bind(call.actor())
        .bind(call.method)
        .bind(request_id.uuid())
        .bind(call.fingerprint.as_slice())
        .bind(call.now.plus(RECORD_LIFETIME).micros())
        .bind(call.now.micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if claimed == 1 { Ok(None) } else { recorded(tx, call).await }
}

/// Records the answer of a claimed call; it must hold no secret.
pub async fn complete(tx: &mut Tx, call: &Call, answer: &impl Serialize) -> Result<(), StoreError> {
    let Some(request_id) = call.request_id else { return Ok(()) };
    let answer = serde_json::to_string(answer).map_err(|_| StoreError::Corrupt("answer"))?;
    let update = "UPDATE idempotency_records SET answer = $5
        WHERE directory = $1 AND caller = $2 AND method = $3 AND request_id = $4";
    let (directory, actor) = (call.record_directory(), call.actor());
    defer!(tx, update, directory, actor, call.method, request_id.uuid(), &answer)?;
    Ok(())
}

/// Removes the records whose day is over; gives how many.
pub async fn sweep(db: &Db, now: kernel::Timestamp) -> Result<u64, StoreError> {
    let records = Sweep {
        table: "idempotency_records",
        key: "directory, caller, method, request_id",
        over: "expire_time <= $1",
    };
    records.run(db, now).await
}

async fn recorded<T: DeserializeOwned>(tx: &mut Tx, call: &Call) -> Result<Option<T>, StoreError> {
    let Some(request_id) = call.request_id else { return Ok(None) };
    let select = "SELECT fingerprint, answer FROM idempotency_records
        WHERE directory = $1 AND caller = $2 AND method = $3 AND request_id = $4 AND expire_time > $5";
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(call.record_directory())
        .bind(call.actor())
        .bind(call.method)
        .bind(request_id.uuid())
        .bind(call.now.micros())
        .fetch_optional(c)
        .await)?;
    let Some((fingerprint, answer)) = row else { return Ok(None) };
    if fingerprint != call.fingerprint {
        return Err(StoreError::RequestIdReused);
    }
    serde_json::from_str(&answer).map(Some).map_err(|_| StoreError::Corrupt("recorded answer"))
}
