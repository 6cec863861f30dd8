//! Removing rows whose time is over; nothing that is judged hangs on it having run (P-14).

use kernel::Timestamp;

use crate::connect::Db;
use crate::error::StoreError;
use crate::on;

/// Runs one DELETE whose `$1` is an instant, in a transaction of its own; gives how many rows went.
pub async fn sweep(db: &Db, delete: &'static str, before: Timestamp) -> Result<u64, StoreError> {
    let mut tx = db.write().await?;
    let swept = on!(&mut tx, |c| sqlx::query(delete)
        .bind(before.micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    tx.commit_bookkeeping().await?;
    Ok(swept)
}
