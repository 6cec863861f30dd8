//! Which holds have lost their cause; the rows themselves are `database::hold`'s.

use database::{Db, StoreError, Tx, on};
use kernel::{DirectoryId, Timestamp};
use uuid::Uuid;

/// Directories whose hold is being let go, or was taken before `before` and has nothing under it at `now`.
pub(crate) async fn without_cause(
    db: &Db,
    reason: &str,
    before: Timestamp,
    now: Timestamp,
    most: i64,
) -> Result<Vec<DirectoryId>, StoreError> {
    let select = "SELECT directory FROM holds
        WHERE reason = $1 AND hold_time < $2 AND (state = 'RELEASING' OR NOT EXISTS
            (SELECT 1 FROM subscriptions
             WHERE subscriptions.directory = holds.directory AND subscriptions.deleted_from > $3))
        ORDER BY hold_time, directory LIMIT $4";
    let mut tx = db.read().await?;
    let rows: Vec<Uuid> = on!(&mut tx, |c| sqlx::query_scalar(select)
        .bind(reason)
        .bind(before.micros())
        .bind(now.micros())
        .bind(most)
        .fetch_all(c)
        .await)?;
    Ok(rows.into_iter().map(DirectoryId::from_uuid).collect())
}

/// Whether any subscription of the directory is not Deleted at `now`; asked under the hold's lock.
pub(crate) async fn has_cause(
    tx: &mut Tx,
    directory: DirectoryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM subscriptions WHERE directory = $1 AND deleted_from > $2)";
    Ok(on!(tx, |c| sqlx::query_scalar(select).bind(directory.uuid()).bind(now.micros()).fetch_one(c).await)?)
}
