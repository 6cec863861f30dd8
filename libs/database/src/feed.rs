//! Reading the change log in the order of its positions, as feeds do (K13), and letting go of its oldest part.
//!
//! Only positioned rows are read, so nothing that commits late is skipped. Who may read is judged elsewhere.

use std::time::Duration;

use kernel::Timestamp;
use uuid::Uuid;

use crate::connect::Db;
use crate::error::StoreError;
use crate::retry::bookkeeping;
use crate::tx::Tx;
use crate::{defer, on, read_one};

/// The shortest time for which positioned changes are kept, and the one where nothing is said.
pub const LEAST_RETENTION: Duration = Duration::from_hours(7 * 24);

/// The most changes that are swept in one transaction, unless one batch of the sequencer has more.
const SWEPT_AT_ONCE: i64 = 500;
/// The most seals that one transaction of the sweep looks at.
const SEALS_AT_ONCE: i64 = 64;

/// A place in a log: behind this position, in the history that has this mark there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The position; 0 is before the first change.
    pub position: i64,
    /// The beginning of the digest of the change at the position: another history has another one there.
    pub mark: [u8; 8],
}

/// A log and a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The log's own id.
    pub log: Uuid,
    /// Where.
    pub point: Point,
}

/// Whether a feed can go on from a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Good,
    /// Changes behind it were swept.
    TooOld,
    /// The log does not have this place: it was restored to an earlier state (K14).
    OtherHistory,
    /// The place is one of another log.
    OtherLog,
}

/// A positioned change.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    /// Where it is in the order.
    pub position: i64,
    /// Whose change it is.
    pub directory: Uuid,
    /// The changes of one transaction share this, and follow one another.
    pub transaction_id: Uuid,
    /// When it was made.
    pub event_time: i64,
    /// Who made it.
    pub actor: String,
    /// The name of what changed.
    pub resource: String,
    /// What happened to it.
    pub kind: String,
    /// The resource afterwards, as its context stores it.
    pub after: String,
    /// Paths of the fields that changed, separated by commas.
    pub changed_fields: String,
    /// The request id of the call, where it had one.
    pub request_id: Option<Uuid>,
    digest: Vec<u8>,
}

impl Entry {
    /// The place behind this change.
    pub fn point(&self) -> Point {
        Point { position: self.position, mark: mark(&self.digest) }
    }
}

macro_rules! columns {
    () => {
        "position, directory, transaction_id, event_time, actor, resource, kind, after, changed_fields, request_id, digest"
    };
}

/// The statement that a feed reads by; a test reads its plan.
#[doc(hidden)]
pub const AFTER: &str =
    concat!("SELECT ", columns!(), " FROM change_log WHERE position > $1 ORDER BY position LIMIT $2");

/// The next changes behind a position, at least one transaction where there is any, and whole ones always.
///
/// `None` when what comes next is not there any more: it was swept, or the log was restored.
pub async fn after(db: &Db, position: i64, most: i64) -> Result<Option<Vec<Entry>>, StoreError> {
    let mut entries: Vec<Entry> = read_one!(db, |tx| {
        let read = on!(tx, |c| sqlx::query_as(AFTER).bind(position).bind(most).fetch_all(c).await);
        read.map_err(StoreError::from)
    })?;
    let full = i64::try_from(entries.len()).is_ok_and(|len| len >= most);
    if let Some(last) = entries.last().filter(|_| full) {
        let rest = rest_of(db, last).await?;
        entries.extend(rest);
    }
    let follows = (position + 1..).zip(&entries).all(|(expected, entry)| entry.position == expected);
    Ok(follows.then_some(entries))
}

/// What comes of a transaction behind one of its changes; it follows without a gap, or belongs to a later call.
async fn rest_of(db: &Db, last: &Entry) -> Result<Vec<Entry>, StoreError> {
    const REST: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM change_log WHERE transaction_id = $1 AND COALESCE(position, 0) > $2 ORDER BY position"
    );
    let entries: Vec<Entry> = read_one!(db, |tx| {
        let (transaction, position) = (last.transaction_id, last.position);
        let read = on!(tx, |c| sqlx::query_as(REST).bind(transaction).bind(position).fetch_all(c).await);
        read.map_err(StoreError::from)
    })?;
    let follows =
        (last.position + 1..).zip(entries).take_while(|(expected, entry)| entry.position == *expected);
    Ok(follows.map(|(_, entry)| entry).collect())
}

/// The place behind the last positioned change, as of the transaction's snapshot.
pub async fn head(tx: &mut Tx) -> Result<Place, StoreError> {
    let select = "SELECT head.log_id, head.last_position, COALESCE(last.digest, head.swept_digest)
        FROM change_log_head AS head LEFT JOIN change_log AS last ON last.position = head.last_position
        WHERE head.id = 1";
    place(tx, select).await
}

/// The place before the earliest change that is kept.
pub async fn earliest(tx: &mut Tx) -> Result<Place, StoreError> {
    place(tx, "SELECT log_id, swept_position, swept_digest FROM change_log_head WHERE id = 1").await
}

async fn place(tx: &mut Tx, select: &'static str) -> Result<Place, StoreError> {
    let (log, position, digest): (Uuid, i64, Vec<u8>) =
        on!(tx, |c| sqlx::query_as(select).fetch_one(c).await)?;
    Ok(Place { log, point: Point { position, mark: mark(&digest) } })
}

/// The last position that was given, and nothing else: what a feed asks when nothing tells it of changes.
pub async fn last_position(db: &Db) -> Result<i64, StoreError> {
    let select = "SELECT last_position FROM change_log_head WHERE id = 1";
    read_one!(db, |tx| on!(tx, |c| sqlx::query_scalar(select).fetch_one(c).await).map_err(StoreError::from))
}

/// When the earliest change was made that is kept, where any is.
pub async fn earliest_time(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT event_time FROM change_log WHERE position > 0 ORDER BY position LIMIT 1";
    let time: Option<i64> = on!(tx, |c| sqlx::query_scalar(select).fetch_optional(c).await)?;
    Ok(time.map(Timestamp::from_micros))
}

/// Whether a feed can go on from a place that was told earlier.
pub async fn standing(tx: &mut Tx, place: &Place) -> Result<Standing, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        log_id: Uuid,
        last_position: i64,
        swept_position: i64,
        swept_digest: Vec<u8>,
        digest: Option<Vec<u8>>,
    }
    let select =
        "SELECT head.log_id, head.last_position, head.swept_position, head.swept_digest, there.digest
        FROM change_log_head AS head LEFT JOIN change_log AS there ON there.position = $1
        WHERE head.id = 1";
    let position = place.point.position;
    let row: Row = on!(tx, |c| sqlx::query_as(select).bind(position).fetch_one(c).await)?;
    if row.log_id != place.log {
        return Ok(Standing::OtherLog);
    }
    let digest = if position == row.swept_position { Some(row.swept_digest) } else { row.digest };
    Ok(match digest {
        _ if position > row.last_position => Standing::OtherHistory,
        _ if position < row.swept_position => Standing::TooOld,
        Some(digest) if mark(&digest) == place.point.mark => Standing::Good,
        Some(_) | None => Standing::OtherHistory,
    })
}

/// Where the sweep stands.
#[derive(sqlx::FromRow)]
struct Swept {
    position: i64,
    seal_number: i64,
}

#[derive(sqlx::FromRow)]
struct Seal {
    number: i64,
    last_position: i64,
    time: i64,
}

/// Removes what was sealed longer ago than the database keeps changes; gives how many went.
///
/// Whole seals go, each only once the one after it is over too: so a token that was given within that time finds its
/// change in place, and what is not sealed is never looked at.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    let before = now.minus(db.change_retention());
    let mut swept = 0;
    loop {
        let page = bookkeeping(|| sweep_page(db, before)).await?;
        swept += page;
        if page == 0 {
            return Ok(swept);
        }
    }
}

async fn sweep_page(db: &Db, before: Timestamp) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    // Locks the head: two replicas do not sweep at once, and nothing is sealed meanwhile.
    let lock = "UPDATE change_log_head SET swept_position = swept_position WHERE id = 1
        RETURNING swept_position AS position, swept_seal_number AS seal_number";
    let swept: Swept = on!(&mut tx, |c| sqlx::query_as(lock).fetch_one(c).await)?;
    let Some(last) = last_over(&mut tx, &swept, before).await? else { return Ok(0) };
    let note = "UPDATE change_log_head SET swept_position = $1, swept_seal_number = $2,
            swept_digest = (SELECT digest FROM change_log WHERE position = $1) WHERE id = 1";
    defer!(&mut tx, note, last.last_position, last.number)?;
    // The seal itself stays: it is what the next one is chained to.
    defer!(&mut tx, "DELETE FROM change_seals WHERE number < $1", last.number)?;
    let delete = "DELETE FROM change_log WHERE position > $1 AND position <= $2";
    let gone = on!(&mut tx, |c| sqlx::query(delete)
        .bind(swept.position)
        .bind(last.last_position)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    tx.commit_bookkeeping().await?;
    Ok(gone)
}

/// The last seal of the next page to sweep.
async fn last_over(tx: &mut Tx, swept: &Swept, before: Timestamp) -> Result<Option<Seal>, StoreError> {
    let select = "SELECT number, last_position, seal_time AS time FROM change_seals WHERE number > $1
        ORDER BY number LIMIT $2";
    let seals: Vec<Seal> =
        on!(tx, |c| sqlx::query_as(select).bind(swept.seal_number).bind(SEALS_AT_ONCE).fetch_all(c).await)?;
    let followed_by_one_that_is_over =
        seals.windows(2).take_while(|pair| pair[1].time < before.micros()).count();
    let fitting = |seal: &Seal| seal.last_position - swept.position <= SWEPT_AT_ONCE;
    let over = seals.into_iter().take(followed_by_one_that_is_over).enumerate();
    Ok(over.take_while(|(index, seal)| *index == 0 || fitting(seal)).last().map(|(_, seal)| seal))
}

fn mark(digest: &[u8]) -> [u8; 8] {
    digest.first_chunk().copied().unwrap_or_default()
}
