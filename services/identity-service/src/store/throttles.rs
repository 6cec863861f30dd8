//! Allowances of anonymous work, kept in the database, so that replicas share them (K18).
//!
//! Keys are MACs: no address and no name stands in the table.

use database::{Db, StoreError, Sweep, Tx, defer, on};
use kernel::Timestamp;

use crate::domain::throttle::Rate;

/// What is limited, as a MAC.
pub(crate) type Subject = [u8; 32];

/// Spends one time of the subject's allowance in one statement; otherwise tells when the debt ends, and spends nothing.
pub(crate) async fn spend(
    tx: &mut Tx,
    subject: &Subject,
    rate: Rate,
    now: Timestamp,
) -> Result<Result<(), Timestamp>, StoreError> {
    let upsert = "INSERT INTO throttles (subject, full_time)
        VALUES ($1, CAST($2 AS BIGINT) + CAST($3 AS BIGINT))
        ON CONFLICT (subject) DO UPDATE SET full_time = CAST($3 AS BIGINT)
            + CASE WHEN throttles.full_time > $2 THEN throttles.full_time ELSE CAST($2 AS BIGINT) END
        WHERE throttles.full_time <= $4";
    let spent = on!(tx, |c| sqlx::query(upsert)
        .bind(subject.as_slice())
        .bind(now.micros())
        .bind(rate.cost())
        .bind(rate.latest(now))
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if spent == 1 {
        return Ok(Ok(()));
    }
    Ok(Err(full_time(tx, subject).await?.unwrap_or(now)))
}

/// When the subject's debt ends; `None` when it has none.
pub(crate) async fn full_time(tx: &mut Tx, subject: &Subject) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT full_time FROM throttles WHERE subject = $1";
    let full_time: Option<i64> =
        on!(tx, |c| sqlx::query_scalar(select).bind(subject.as_slice()).fetch_optional(c).await)?;
    Ok(full_time.map(Timestamp::from_micros))
}

/// Gives one time back.
pub(crate) async fn give_back(tx: &mut Tx, subject: &Subject, rate: Rate) -> Result<(), StoreError> {
    let update = "UPDATE throttles SET full_time = full_time - $2 WHERE subject = $1";
    defer!(tx, update, subject.as_slice(), rate.cost())?;
    Ok(())
}

/// Removes the rows of subjects that are free of debt; gives how many.
pub(crate) async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    Sweep { table: "throttles", key: "subject", over: "full_time <= $1" }.run(db, now).await
}
