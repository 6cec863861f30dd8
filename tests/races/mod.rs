//! Races, each with its naive twin: a test fails when the twin did *not* break, for then it provoked nothing.

mod admins_removing_each_other;
mod attaches_at_once;
mod one_principal;
mod sign_ups_at_once;

use database::{Db, on};
use system_tests::contests::RACERS;
use tokio::sync::Barrier;

use crate::world::together;

/// The naive way: look whether the thing is there, and if not, put it there.
///
/// Gives how many did; with a guard it would be one.
pub(crate) async fn check_then_insert(db: &Db, table: &'static str) -> i64 {
    let create = sqlx::AssertSqlSafe(format!("CREATE TABLE {table} (thing TEXT NOT NULL)"));
    let mut tx = db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(create).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
    let barrier = std::sync::Arc::new(Barrier::new(RACERS));
    together((0..RACERS).map(|_| {
        let (db, barrier) = (db.clone(), barrier.clone());
        async move {
            let absent = things(&db, table).await == 0;
            barrier.wait().await;
            if absent {
                let insert = sqlx::AssertSqlSafe(format!("INSERT INTO {table} (thing) VALUES ('contoso')"));
                let mut tx = db.write().await.unwrap();
                on!(&mut tx, |c| sqlx::query(insert).execute(c).await.map(|_| ())).unwrap();
                tx.commit_bookkeeping().await.unwrap();
            }
        }
    }))
    .await;
    things(db, table).await
}

async fn things(db: &Db, table: &'static str) -> i64 {
    let select = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
    let mut tx = db.read().await.unwrap();
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).unwrap()
}
