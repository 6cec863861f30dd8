//! Removing rows whose time is over; nothing that is judged hangs on it having run (P-14).

use kernel::Timestamp;
use sqlx::AssertSqlSafe;

use crate::connect::Db;
use crate::error::StoreError;
use crate::on;
use crate::retry::bookkeeping;

/// The most rows that go in one transaction: SQLite's only writer is not kept from others for long.
const PAGE: u64 = 500;

/// Which rows of a table are over.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// The table.
    pub table: &'static str,
    /// The columns of its key.
    pub key: &'static str,
    /// What is true of rows that are over, where `$1` is an instant.
    pub over: &'static str,
}

impl Sweep {
    /// Removes them, page by page, each in a transaction of its own; gives how many rows went.
    pub async fn run(&self, db: &Db, before: Timestamp) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let page = bookkeeping(|| self.page(db, before)).await?;
            swept += page;
            if page < PAGE {
                return Ok(swept);
            }
        }
    }

    async fn page(&self, db: &Db, before: Timestamp) -> Result<u64, StoreError> {
        let Self { table, key, over } = self;
        // Judged once more when the row is locked: it may have been used meanwhile. As a CASE, which no index serves,
        // so that the rows are found by their keys.
        let delete = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {over} LIMIT $2)
                AND CASE WHEN {over} THEN 1 ELSE 0 END = 1"
        );
        let mut tx = db.write().await?;
        let swept = on!(&mut tx, |c| sqlx::query(AssertSqlSafe(delete.as_str()))
            .bind(before.micros())
            .bind(PAGE.cast_signed())
            .execute(c)
            .await
            .map(|done| done.rows_affected()))?;
        tx.commit_bookkeeping().await?;
        Ok(swept)
    }
}
