//! The rows of the keys that access tokens are signed with, sealed (K21).

use database::{StoreError, Tx, defer, on};
use kernel::Timestamp;

/// A key as stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredKey {
    pub(crate) kid: String,
    pub(crate) public_x: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) create_time: Timestamp,
    /// From when on it signs.
    pub(crate) use_time: Timestamp,
}

type Row = (String, String, Vec<u8>, i64, i64);

/// Locks the guard row: of two processes that would make or retire a key, one comes after the other.
pub(crate) async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    let update = "UPDATE signing_key_head SET fence = fence + 1 WHERE id = 1";
    on!(tx, |c| sqlx::query(update).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// All keys, in the order in which they come into use.
pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<StoredKey>, StoreError> {
    let select =
        "SELECT kid, public_x, sealed, create_time, use_time FROM signing_keys ORDER BY use_time, kid";
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select).fetch_all(c).await)?;
    let key = |(kid, public_x, sealed, create_time, use_time)| StoredKey {
        kid,
        public_x,
        sealed,
        create_time: Timestamp::from_micros(create_time),
        use_time: Timestamp::from_micros(use_time),
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Adds a key, under the lock.
pub(crate) async fn insert(tx: &mut Tx, key: &StoredKey) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO signing_keys (kid, public_x, sealed, create_time, use_time) VALUES ($1, $2, $3, $4, $5)";
    defer!(
        tx,
        insert,
        &key.kid,
        &key.public_x,
        key.sealed.as_slice(),
        key.create_time.micros(),
        key.use_time.micros()
    )?;
    Ok(())
}

/// Removes a key, under the lock.
pub(crate) async fn delete(tx: &mut Tx, kid: &str) -> Result<(), StoreError> {
    let delete = "DELETE FROM signing_keys WHERE kid = $1";
    defer!(tx, delete, kid)?;
    Ok(())
}
