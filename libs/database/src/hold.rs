//! Holds: the local half of a lien that another context keeps for us (K11).
//!
//! The first use notes a revision in a row that says TAKING, takes the lien of that revision, and marks the row HELD, all
//! before its transaction; every transaction that relies on the lien locks the row and needs HELD; the releaser marks the
//! row RELEASING only when it counts nothing under that lock, lets the lien go, and removes the row. So there is no lien
//! without a row, whenever somebody dies: what is found in TAKING is taken once more, which gives the same lien, and then
//! let go like any other. How a lien is taken and let go is the service's peer call.

use kernel::{DirectoryId, LienId, Timestamp};

use crate::connect::Db;
use crate::error::StoreError;
use crate::retry::bookkeeping;
use crate::tx::Tx;
use crate::{on, read_one};

/// What the row of a (directory, reason) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// There is no row: nothing is held.
    Absent,
    /// The lien of this revision is being taken, or was when its taker died: whoever meets this takes it once more.
    Taking(i64),
    /// The lien is taken.
    Held(LienId),
    /// The lien is being let go; whoever meets this finishes it before taking a new one.
    Releasing(LienId),
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    revision: i64,
    lien: Option<uuid::Uuid>,
}

/// What is held now.
pub async fn find(db: &Db, directory: DirectoryId, reason: &str) -> Result<Hold, StoreError> {
    read_one!(db, |tx| found(tx, directory, reason).await)
}

/// Notes that the lien is about to be taken, unless there is a row; gives what is there then. The revision is the time,
/// so that it is above those of earlier liens.
pub async fn begin(
    db: &Db,
    directory: DirectoryId,
    reason: &str,
    now: Timestamp,
) -> Result<Hold, StoreError> {
    let insert = "INSERT INTO holds (directory, reason, state, lien, revision, uses, hold_time)
        VALUES ($1, $2, 'TAKING', NULL, $3, 0, $3) ON CONFLICT (directory, reason) DO NOTHING";
    bookkeeping(|| async {
        let mut tx = db.write().await?;
        on!(&mut tx, |c| sqlx::query(insert)
            .bind(directory.uuid())
            .bind(reason)
            .bind(now.micros())
            .execute(c)
            .await
            .map(|_| ()))?;
        let hold = found(&mut tx, directory, reason).await?;
        tx.commit_bookkeeping().await?;
        Ok(hold)
    })
    .await
}

/// Notes that no lien can be had up to a revision, because one was removed: the next is taken above it.
pub async fn outdated(
    db: &Db,
    directory: DirectoryId,
    reason: &str,
    revision: i64,
    removed: i64,
) -> Result<(), StoreError> {
    let update = "UPDATE holds SET revision = $4
        WHERE directory = $1 AND reason = $2 AND state = 'TAKING' AND revision = $3";
    bookkeeping(|| async {
        let mut tx = db.write().await?;
        on!(&mut tx, |c| sqlx::query(update)
            .bind(directory.uuid())
            .bind(reason)
            .bind(revision)
            .bind(removed.saturating_add(1))
            .execute(c)
            .await
            .map(|_| ()))?;
        tx.commit_bookkeeping().await
    })
    .await
}

/// Notes that the lien of the noted revision was taken; where a twin was faster, nothing changes.
pub async fn held(
    db: &Db,
    directory: DirectoryId,
    reason: &str,
    lien: LienId,
    revision: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE holds SET state = 'HELD', lien = $3, hold_time = $5
        WHERE directory = $1 AND reason = $2 AND state = 'TAKING' AND revision = $4";
    bookkeeping(|| async {
        let mut tx = db.write().await?;
        on!(&mut tx, |c| sqlx::query(update)
            .bind(directory.uuid())
            .bind(reason)
            .bind(lien.uuid())
            .bind(revision)
            .bind(now.micros())
            .execute(c)
            .await
            .map(|_| ()))?;
        tx.commit_bookkeeping().await
    })
    .await
}

/// Proof that the hold's row is locked by this transaction and says HELD.
#[derive(Debug)]
pub struct HoldLocked(());

/// Locks the row for this transaction; anything but HELD makes the use case start over.
pub async fn lock(tx: &mut Tx, directory: DirectoryId, reason: &str) -> Result<HoldLocked, StoreError> {
    let update = "UPDATE holds SET uses = uses + 1 WHERE directory = $1 AND reason = $2 AND state = 'HELD'";
    let locked = on!(tx, |c| sqlx::query(update)
        .bind(directory.uuid())
        .bind(reason)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if locked == 1 { Ok(HoldLocked(())) } else { Err(StoreError::HoldLost) }
}

/// As [`lock`], where what was learnt meanwhile rests on one lien: another one in its place does not do.
pub async fn lock_lien(
    tx: &mut Tx,
    directory: DirectoryId,
    reason: &str,
    lien: LienId,
) -> Result<HoldLocked, StoreError> {
    let update = "UPDATE holds SET uses = uses + 1 WHERE directory = $1 AND reason = $2 AND state = 'HELD' AND lien = $3";
    let locked = on!(tx, |c| sqlx::query(update)
        .bind(directory.uuid())
        .bind(reason)
        .bind(lien.uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if locked == 1 { Ok(HoldLocked(())) } else { Err(StoreError::HoldLost) }
}

/// Marks the locked row RELEASING; the caller has counted under the lock that nothing relies on it.
pub async fn release(
    tx: &mut Tx,
    directory: DirectoryId,
    reason: &str,
    _locked: &HoldLocked,
) -> Result<(), StoreError> {
    let update =
        "UPDATE holds SET state = 'RELEASING' WHERE directory = $1 AND reason = $2 AND state = 'HELD'";
    on!(tx, |c| sqlx::query(update).bind(directory.uuid()).bind(reason).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Removes a RELEASING row after its lien is gone.
pub async fn released(db: &Db, directory: DirectoryId, reason: &str, lien: LienId) -> Result<(), StoreError> {
    let delete =
        "DELETE FROM holds WHERE directory = $1 AND reason = $2 AND state = 'RELEASING' AND lien = $3";
    bookkeeping(|| async {
        let mut tx = db.write().await?;
        on!(&mut tx, |c| sqlx::query(delete)
            .bind(directory.uuid())
            .bind(reason)
            .bind(lien.uuid())
            .execute(c)
            .await
            .map(|_| ()))?;
        tx.commit_bookkeeping().await
    })
    .await
}

async fn found(tx: &mut Tx, directory: DirectoryId, reason: &str) -> Result<Hold, StoreError> {
    let select = "SELECT state, revision, lien FROM holds WHERE directory = $1 AND reason = $2";
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(reason).fetch_optional(c).await)?;
    row.map_or(Ok(Hold::Absent), |row| row.hold())
}

impl Row {
    fn hold(&self) -> Result<Hold, StoreError> {
        match (self.state.as_str(), self.lien.map(LienId::from_uuid)) {
            ("TAKING", _) => Ok(Hold::Taking(self.revision)),
            ("HELD", Some(lien)) => Ok(Hold::Held(lien)),
            ("RELEASING", Some(lien)) => Ok(Hold::Releasing(lien)),
            _ => Err(StoreError::Corrupt("hold state")),
        }
    }
}
