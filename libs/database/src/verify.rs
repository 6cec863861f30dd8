//! Verifying a change log: every entry against its digest, every batch against its seal, each seal against the last.
//!
//! Says where the chain is broken; who broke it, it cannot know.

use aws_lc_rs::digest;
use uuid::Uuid;

use crate::change_log::Entry;
use crate::connect::Db;
use crate::error::StoreError;
use crate::on;
use crate::sequencer::seal_of;
use crate::tx::Tx;

/// What a verification has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// All sealed entries are as they were written.
    Intact {
        /// How many entries are sealed and kept.
        entries: i64,
        /// How many are committed and not sealed yet.
        unsealed: i64,
    },
    /// The entry at this position, or the seal over it, is not what was written.
    Broken {
        /// The first such position.
        position: i64,
    },
}

#[derive(sqlx::FromRow)]
struct Seal {
    number: i64,
    first_position: i64,
    last_position: i64,
    root: Vec<u8>,
    chained: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    position: i64,
    directory: Uuid,
    transaction_id: Uuid,
    event_time: i64,
    actor: String,
    action: String,
    resource: String,
    kind: String,
    after: String,
    changed_fields: String,
    outcome: String,
    count: i64,
    request_id: Option<Uuid>,
    trace_id: Option<String>,
    digest: Vec<u8>,
}

/// Verifies all of a change log that is kept, batch by batch, in one snapshot.
pub async fn verify(db: &Db) -> Result<Verified, StoreError> {
    let mut tx = db.read().await?;
    let Some(swept) = swept(&mut tx).await? else { return Ok(Verified::Broken { position: 1 }) };
    let (mut previous, mut position, mut number) = (swept.seal.clone(), swept.position, swept.number);
    while let Some(seal) = next_seal(&mut tx, number).await? {
        if seal.number != number + 1 || seal.first_position != position + 1 {
            return Ok(Verified::Broken { position: position + 1 });
        }
        if let Some(broken) = first_broken(&mut tx, &seal, &previous).await? {
            return Ok(Verified::Broken { position: broken });
        }
        (previous, position, number) = (seal.chained, seal.last_position, seal.number);
    }
    if !is_head(&mut tx, position, number, &previous).await? {
        return Ok(Verified::Broken { position: position + 1 });
    }
    let sealed =
        count(&mut tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NOT NULL").await?;
    if sealed != position - swept.position {
        return Ok(Verified::Broken { position: position + 1 });
    }
    let unsealed =
        count(&mut tx, "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NULL").await?;
    Ok(Verified::Intact { entries: sealed, unsealed })
}

/// The first position of a batch that is not as it was written; the batch's first when only the seal is wrong.
async fn first_broken(tx: &mut Tx, seal: &Seal, previous: &[u8]) -> Result<Option<i64>, StoreError> {
    let rows = batch(tx, seal).await?;
    let mut root = digest::Context::new(&digest::SHA256);
    let mut expected = seal.first_position;
    for row in rows {
        if row.position != expected || row.digest != row.recomputed() {
            return Ok(Some(expected));
        }
        root.update(&row.position.to_be_bytes());
        root.update(&row.digest);
        expected += 1;
    }
    if expected != seal.last_position + 1 {
        return Ok(Some(expected));
    }
    let recomputed = seal_of(previous, seal.number, seal.first_position, seal.last_position, &seal.root);
    let intact = root.finish().as_ref() == seal.root && recomputed.as_slice() == seal.chained;
    Ok((!intact).then_some(seal.first_position))
}

/// The end of the part that was swept, to which the rest is chained.
struct Swept {
    position: i64,
    number: i64,
    seal: Vec<u8>,
}

/// Where the chain begins; `None` when the seal is missing that it hangs on.
async fn swept(tx: &mut Tx) -> Result<Option<Swept>, StoreError> {
    let select = "SELECT head.swept_position, head.swept_seal_number, there.seal FROM change_log_head AS head
        LEFT JOIN change_seals AS there
            ON there.number = head.swept_seal_number AND there.last_position = head.swept_position
        WHERE head.id = 1";
    let (position, number, seal): (i64, i64, Option<Vec<u8>>) =
        on!(tx, |c| sqlx::query_as(select).fetch_one(c).await)?;
    let seal = if number == 0 && position == 0 { Some(Vec::new()) } else { seal };
    Ok(seal.map(|seal| Swept { position, number, seal }))
}

async fn next_seal(tx: &mut Tx, after: i64) -> Result<Option<Seal>, StoreError> {
    let select = "SELECT number, first_position, last_position, root, seal AS chained FROM change_seals
        WHERE number > $1 ORDER BY number LIMIT 1";
    Ok(on!(tx, |c| sqlx::query_as(select).bind(after).fetch_optional(c).await)?)
}

async fn batch(tx: &mut Tx, seal: &Seal) -> Result<Vec<Row>, StoreError> {
    let select =
        "SELECT position, directory, transaction_id, event_time, actor, action, resource, kind, after,
            changed_fields, outcome, count, request_id, trace_id, digest
        FROM change_log WHERE position BETWEEN $1 AND $2 ORDER BY position";
    let (first, last) = (seal.first_position, seal.last_position);
    Ok(on!(tx, |c| sqlx::query_as(select).bind(first).bind(last).fetch_all(c).await)?)
}

/// Whether the chain ends where the sequencer left it: an end that was cut off breaks no link of the rest.
async fn is_head(tx: &mut Tx, position: i64, number: i64, seal: &[u8]) -> Result<bool, StoreError> {
    let select = "SELECT last_position, last_seal_number, last_seal FROM change_log_head WHERE id = 1";
    let head: (i64, i64, Vec<u8>) = on!(tx, |c| sqlx::query_as(select).fetch_one(c).await)?;
    Ok(head.0 == position && head.1 == number && head.2 == seal)
}

async fn count(tx: &mut Tx, select: &'static str) -> Result<i64, StoreError> {
    Ok(on!(tx, |c| sqlx::query_scalar(select).fetch_one(c).await)?)
}

impl Row {
    fn recomputed(&self) -> [u8; 32] {
        Entry {
            directory: self.directory,
            transaction_id: self.transaction_id,
            event_time: self.event_time,
            actor: self.actor.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            kind: self.kind.clone(),
            after: self.after.clone(),
            changed_fields: self.changed_fields.clone(),
            outcome: self.outcome.clone(),
            count: self.count,
            request_id: self.request_id,
            trace_id: self.trace_id.clone(),
        }
        .digest()
    }
}
