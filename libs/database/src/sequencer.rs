//! Gives committed rows of the change log their positions and seals each batch (K13).
//!
//! Feeds read only positioned rows, so a transaction that commits late is never skipped; who reads is not told here.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use kernel::Timestamp;
use uuid::Uuid;

use crate::change_log::{Entry, insert};
use crate::connect::Db;
use crate::error::StoreError;
use crate::fail_point::{self, FailPoint};
use crate::refusals::MINUTE_MICROS;
use crate::retry::bookkeeping;
use crate::tx::Tx;
use crate::{defer, on, read_one};

/// Rows positioned in one short transaction; whole transactions always, so that a batch may be somewhat larger.
///
/// Few enough that SQLite's only writer is soon another's, and enough that a busy log does not fall behind.
const BATCH: i64 = 200;
/// Rows of one statement that gives positions.
const POSITIONED_AT_ONCE: usize = 32;
/// The entry of no row: what a statement has room for and nobody fills.
const NO_ENTRY: i64 = -1;
/// Minutes of refusals moved into the log at once.
const REFUSALS_BATCH: i64 = 100;

#[derive(sqlx::FromRow)]
struct Head {
    position: i64,
    seal_number: i64,
    seal: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Unpositioned {
    entry: i64,
    transaction_id: Uuid,
    digest: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct RefusalRow {
    directory: Uuid,
    minute: i64,
    actor: String,
    action: String,
    target: String,
    code: String,
    reason: String,
    count: i64,
    last_time: i64,
    trace_id: Option<String>,
}

/// Positions and seals one batch, after moving past minutes of refusals into the log.
///
/// Says whether there may be more; another replica at the same work makes this one step aside.
pub async fn run_once(db: &Db, now: Timestamp) -> Result<bool, StoreError> {
    if !has_work(db, now).await? {
        return Ok(false);
    }
    bookkeeping(|| sequence(db, now)).await
}

async fn sequence(db: &Db, now: Timestamp) -> Result<bool, StoreError> {
    let mut tx = db.write().await?;
    let Some(head) = claim_head(&mut tx).await? else { return Ok(false) };
    let moved = move_refusals(&mut tx, now).await?;
    let batch = unpositioned(&mut tx).await?;
    if batch.is_empty() {
        return Ok(false);
    }
    let more = moved == REFUSALS_BATCH || i64::try_from(batch.len()).is_ok_and(|len| len >= BATCH);
    seal(&mut tx, &head, &batch, now).await?;
    fail_point::reached(FailPoint::InSequencer);
    tx.commit_bookkeeping().await?;
    Ok(more)
}

/// Looks before it takes the writer's turn: a quiet store costs two index look-ups a poll.
async fn has_work(db: &Db, now: Timestamp) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM change_log WHERE position IS NULL)
        OR EXISTS (SELECT 1 FROM refusals WHERE minute < $1)";
    read_one!(db, |tx| Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(past_minutes(now))
        .fetch_one(c)
        .await)?))
}

/// Refusals of earlier minutes are complete; a call that began in the last minute may still be counted into it.
fn past_minutes(now: Timestamp) -> i64 {
    now.micros().div_euclid(MINUTE_MICROS) - 1
}

async fn claim_head(tx: &mut Tx) -> Result<Option<Head>, StoreError> {
    const SELECT: &str = "SELECT last_position AS position, last_seal_number AS seal_number, last_seal AS seal FROM change_log_head WHERE id = 1";
    const SELECT_LOCKED: &str = "SELECT last_position AS position, last_seal_number AS seal_number, last_seal AS seal FROM change_log_head WHERE id = 1 FOR UPDATE SKIP LOCKED";
    let select = if tx.is_postgres() { SELECT_LOCKED } else { SELECT };
    Ok(on!(tx, |c| sqlx::query_as(select).fetch_optional(c).await)?)
}

/// The transactions of the oldest rows without a position, whole.
///
/// Driven by the transactions through their index: whatever waits behind them is not looked at. `COALESCE`, because no
/// position is 0, keeps the indexes of rows without a position out of the join: an engine that has not counted lately
/// believes that these are few, and walks all of them.
#[doc(hidden)]
pub const UNPOSITIONED: &str = "SELECT change_log.entry, change_log.transaction_id, change_log.digest
    FROM (SELECT DISTINCT transaction_id FROM
        (SELECT transaction_id FROM change_log WHERE position IS NULL ORDER BY entry LIMIT $1) AS oldest) AS batch
    CROSS JOIN change_log
    WHERE change_log.transaction_id = batch.transaction_id AND COALESCE(change_log.position, 0) = 0
    ORDER BY change_log.entry";

/// The next rows to position, in the order of their positions.
async fn unpositioned(tx: &mut Tx) -> Result<Vec<Unpositioned>, StoreError> {
    let rows: Vec<Unpositioned> = on!(tx, |c| sqlx::query_as(UNPOSITIONED).bind(BATCH).fetch_all(c).await)?;
    Ok(by_transaction(rows))
}

/// Keeps the rows of one transaction together, at the place of its first.
///
/// Effects never come before causes as long as a transaction locks its guards before it appends its first row: what it
/// builds on is committed by then, and has lower entries.
fn by_transaction(rows: Vec<Unpositioned>) -> Vec<Unpositioned> {
    let mut first = std::collections::HashMap::new();
    for row in &rows {
        first.entry(row.transaction_id).or_insert(row.entry);
    }
    let mut rows = rows;
    rows.sort_by_key(|row| (first[&row.transaction_id], row.entry));
    rows
}

async fn seal(tx: &mut Tx, head: &Head, batch: &[Unpositioned], now: Timestamp) -> Result<(), StoreError> {
    let mut position = head.position;
    let mut root = digest::Context::new(&digest::SHA256);
    for row in batch {
        position += 1;
        root.update(&position.to_be_bytes());
        root.update(&row.digest);
    }
    for (chunk, first) in
        batch.chunks(POSITIONED_AT_ONCE).zip((head.position + 1..).step_by(POSITIONED_AT_ONCE))
    {
        position_rows(tx, chunk, first).await?;
    }
    let root = root.finish();
    let number = head.seal_number + 1;
    let seal = seal_of(&head.seal, number, head.position + 1, position, root.as_ref());
    let insert = "INSERT INTO change_seals (number, first_position, last_position, root, seal, seal_time)
        VALUES ($1, $2, $3, $4, $5, $6)";
    defer!(tx, insert, number, head.position + 1, position, root.as_ref(), seal.as_slice(), now.micros(),)?;
    let advance = "UPDATE change_log_head
        SET last_position = $1, last_seal_number = $2, last_seal = $3 WHERE id = 1";
    defer!(tx, advance, position, number, seal.as_slice())?;
    Ok(())
}

/// Gives consecutive positions to rows, in one statement for them all.
async fn position_rows(tx: &mut Tx, rows: &[Unpositioned], first: i64) -> Result<(), StoreError> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        let pairs: Vec<_> =
            (0..POSITIONED_AT_ONCE).map(|pair| format!("(${}, ${})", 2 * pair + 1, 2 * pair + 2)).collect();
        format!(
            "UPDATE change_log SET position = given.column1 FROM (VALUES {}) AS given
            WHERE change_log.entry = given.column2",
            pairs.join(", ")
        )
    });
    let nothing = std::iter::repeat((NO_ENTRY, NO_ENTRY));
    let given: Vec<(i64, i64)> =
        (first..).zip(rows.iter().map(|row| row.entry)).chain(nothing).take(POSITIONED_AT_ONCE).collect();
    on!(tx, |c| given
        .iter()
        .fold(sqlx::query(UPDATE.as_str()), |query, (position, entry)| query.bind(*position).bind(*entry))
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// A seal binds a batch to everything before it.
pub(crate) fn seal_of(previous: &[u8], number: i64, first: i64, last: i64, root: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(previous);
    for bound in [number, first, last] {
        context.update(&bound.to_be_bytes());
    }
    context.update(root);
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

async fn move_refusals(tx: &mut Tx, now: Timestamp) -> Result<i64, StoreError> {
    let select = "SELECT directory, minute, actor, action, target, code, reason, count, last_time, trace_id
        FROM refusals WHERE minute < $1 ORDER BY minute LIMIT $2";
    let rows: Vec<RefusalRow> =
        on!(tx, |c| sqlx::query_as(select).bind(past_minutes(now)).bind(REFUSALS_BATCH).fetch_all(c).await)?;
    for row in &rows {
        insert(tx, &row.entry()).await?;
        let delete =
            "DELETE FROM refusals WHERE directory = $1 AND minute = $2 AND actor = $3 AND action = $4
            AND target = $5 AND code = $6 AND reason = $7";
        defer!(
            tx,
            delete,
            row.directory,
            row.minute,
            &row.actor,
            &row.action,
            &row.target,
            &row.code,
            &row.reason,
        )?;
    }
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

impl RefusalRow {
    fn entry(&self) -> Entry {
        let minute = self.minute.to_string();
        let parts = [&*self.actor, &*self.action, &*self.target, &*self.code, &*self.reason, &*minute];
        Entry {
            directory: self.directory,
            transaction_id: kernel::new_ids::derive(&parts),
            event_time: self.last_time,
            actor: self.actor.clone(),
            action: self.action.clone(),
            resource: self.target.clone(),
            kind: "REFUSED".to_owned(),
            after: String::new(),
            changed_fields: String::new(),
            outcome: format!("{}/{}", self.code, self.reason),
            count: self.count,
            request_id: None,
            trace_id: self.trace_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transactions_rows_stay_together_at_the_place_of_its_first() {
        let row = |entry, transaction| Unpositioned {
            entry,
            transaction_id: Uuid::from_u128(transaction),
            digest: vec![],
        };
        let ordered = by_transaction(vec![row(1, 7), row(2, 8), row(3, 7), row(4, 9)]);
        assert_eq!(ordered.iter().map(|row| row.entry).collect::<Vec<_>>(), [1, 3, 2, 4]);
    }

    #[test]
    fn a_seal_depends_on_everything_before_it() {
        assert_ne!(seal_of(b"a", 1, 1, 2, b"root"), seal_of(b"b", 1, 1, 2, b"root"));
        assert_ne!(seal_of(b"a", 1, 1, 2, b"root"), seal_of(b"a", 1, 1, 3, b"root"));
    }
}
