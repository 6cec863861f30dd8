//! K7: connections that broke while nobody used them cost no call anything.

use database::{Db, on};
use sqlx::{ConnectOptions as _, Connection as _};
use test_support::database::number;

use crate::store;

/// Every connection of the pool, idle afterwards.
async fn open_all(db: &Db, connections: u32) {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(db.read().await.unwrap());
    }
}

#[tokio::test]
async fn a_restart_of_the_server_costs_no_call_anything() {
    let store = store().await;
    // SQLite runs in this process: there is no server that could be restarted.
    let database::DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let mut administrator = options.connect().await.unwrap();
    for thing in ["one", "two"] {
        open_all(&store.db, store.settings.postgres_connections).await;
        // Waits until each is gone; the server's farewell then lies in the socket.
        let terminate = "SELECT CAST(COUNT(pg_terminate_backend(pid, 5000)) AS BIGINT) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let terminated: i64 = sqlx::query_scalar(terminate).fetch_one(&mut administrator).await.unwrap();
        assert_eq!(terminated, i64::from(store.settings.postgres_connections));
        let mut tx = store.db.write().await.unwrap();
        let insert = "INSERT INTO things (thing) VALUES ($1)";
        on!(&mut tx, |c| sqlx::query(insert).bind(thing).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }
    administrator.close().await.unwrap();
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await, 2);
}
