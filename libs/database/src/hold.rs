//! Holds: the local half of a lien that another context keeps for us (K11).
//!
//! The first use takes the lien once, before its transaction; every transaction that relies on it locks the row and
//! needs HELD; the releaser marks the row RELEASING only when it counts nothing under that lock. How a lien is taken
//! and let go is the service's peer call.

use kernel::{DirectoryId, LienId, Timestamp};

use crate::connect::Db;
use crate::error::StoreError;
use crate::on;
use crate::tx::Tx;

/// What the row of a (directory, reason) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// There is no row: nothing is held.
    Absent,
    /// The lien is taken.
    Held(LienId),
    /// The lien is being let go; whoever meets this finishes it before taking a new one.
    Releasing(LienId),
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    lien: uuid::Uuid,
}

/// What is held now.
pub async fn find(db: &Db, directory: DirectoryId, reason: &str) -> Result<Hold, StoreError> {
    let mut tx = db.read().await?;
    let select = "SELECT state, lien FROM holds WHERE directory = $1 AND reason = $2";
    let row: Option<Row> =
        on!(&mut tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(reason).fetch_optional(c).await)?;
    row.map_or(Ok(Hold::Absent), |row| row.hold())
}

/// Notes that the lien was taken; a twin that took the same lien first is no error.
pub async fn held(
    db: &Db,
    directory: DirectoryId,
    reason: &str,
    lien: LienId,
    revision: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO holds (directory, reason, state, lien, revision, uses, hold_time)
        VALUES ($1, $2, 'HELD', $3, $4, 0, $5)
        ON CONFLICT (directory, reason) DO UPDATE
        SET lien = excluded.lien, revision = excluded.revision, hold_time = excluded.hold_time
        WHERE holds.state = 'HELD' AND holds.revision < excluded.revision";
    let mut tx = db.write().await?;
    on!(&mut tx, |c| sqlx::query(insert)
        .bind(directory.uuid())
        .bind(reason)
        .bind(lien.uuid())
        .bind(revision)
        .bind(now.micros())
        .execute(c)
        .await
        .map(|_| ()))?;
    tx.commit_bookkeeping().await
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
    let mut tx = db.write().await?;
    on!(&mut tx, |c| sqlx::query(delete)
        .bind(directory.uuid())
        .bind(reason)
        .bind(lien.uuid())
        .execute(c)
        .await
        .map(|_| ()))?;
    tx.commit_bookkeeping().await
}

impl Row {
    fn hold(&self) -> Result<Hold, StoreError> {
        let lien = LienId::from_uuid(self.lien);
        match self.state.as_str() {
            "HELD" => Ok(Hold::Held(lien)),
            "RELEASING" => Ok(Hold::Releasing(lien)),
            _ => Err(StoreError::Corrupt("hold state")),
        }
    }
}
