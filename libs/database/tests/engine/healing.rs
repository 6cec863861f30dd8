//! What a failed COMMIT leaves behind: nothing that the next transaction meets (P-8, attack 41).

use std::os::unix::fs::PermissionsExt as _;

use database::{DatabaseUrl, on};
use test_support::database::{Engine, engine, number};

use crate::store;

/// A full disk makes SQLite end the transaction by itself; the driver does not hear of it.
#[tokio::test]
async fn a_transaction_that_the_database_has_ended_stops_no_later_one() {
    let store = store().await;
    let mut tx = store.db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query("ROLLBACK").execute(c).await.map(|_| ())).unwrap();
    let outcome = tx.commit_bookkeeping().await;
    // PostgreSQL takes a COMMIT outside of a transaction for nothing to do.
    assert_eq!(outcome.is_err(), engine() == Engine::Sqlite, "{outcome:?}");
    for thing in ["one", "two"] {
        let mut tx = store.db.write().await.unwrap();
        let insert = "INSERT INTO things (thing) VALUES ($1)";
        on!(&mut tx, |c| sqlx::query(insert).bind(thing).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await, 2);
}

#[tokio::test]
async fn a_dropped_transaction_stops_no_later_one() {
    let store = store().await;
    for _ in 0..20 {
        let mut tx = store.db.write().await.unwrap();
        on!(&mut tx, |c| sqlx::query("DELETE FROM things").execute(c).await.map(|_| ())).unwrap();
        drop(tx);
    }
    store.db.ping().await.unwrap();
    store.db.close().await;
    assert!(store.db.ping().await.is_err(), "a database that is gone does not answer");
}

#[tokio::test]
async fn nobody_else_reads_a_database_file() {
    let store = store().await;
    // A server guards its own files.
    let DatabaseUrl::Sqlite(path) = &store.settings.url else { return };
    let beside = |suffix: &str| path.with_extension(format!("db{suffix}"));
    for file in [beside(""), beside("-wal"), beside("-shm")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
}
