//! K7: connections that broke while nobody used them cost no call anything.

use database::{DatabaseUrl, Db, on};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use test_support::database::number;

use crate::store;

const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'";

/// Fills the pool and waits until all of it is idle.
async fn fill_pool(db: &Db, connections: u32, administrator: &mut PgConnection) {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(db.read().await.unwrap());
    }
    drop(open);
    let idle = format!("SELECT CAST(COUNT(*) AS BIGINT) {OTHERS} AND state = 'idle'");
    while one(&idle, administrator).await < i64::from(connections) {}
}

async fn one(select: &str, administrator: &mut PgConnection) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(select.to_owned())).fetch_one(administrator).await.unwrap()
}

#[tokio::test]
async fn a_restart_of_the_server_costs_no_call_anything() {
    let store = store().await;
    // SQLite runs in this process: there is no server that could be restarted.
    let DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let mut administrator = options.connect().await.unwrap();
    let connections = store.settings.postgres_connections;
    for thing in ["one", "two"] {
        fill_pool(&store.db, connections, &mut administrator).await;
        // Waits until each is gone; the server's farewell then lies in the socket.
        let terminate = format!("SELECT CAST(COUNT(pg_terminate_backend(pid, 5000)) AS BIGINT) {OTHERS}");
        assert_eq!(one(&terminate, &mut administrator).await, i64::from(connections));
        let mut tx = store.db.write().await.unwrap();
        let insert = "INSERT INTO things (thing) VALUES ($1)";
        on!(&mut tx, |c| sqlx::query(insert).bind(thing).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }
    administrator.close().await.unwrap();
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await, 2);
}
