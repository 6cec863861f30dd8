//! P-4: two Global Administrators remove each other at once.

use std::sync::Arc;

use database::{Db, on};
use system_tests::contests::two_administrators;
use tokio::sync::Barrier;

use crate::world::{World, together};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_removing_each_other_leave_one() {
    let world = World::new().await;
    for round in 0..8 {
        world.place().two_administrators_remove_each_other(&format!("duel-{round}")).await;
    }
}

/// The naive twin: each counts, finds two, and deletes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_first_and_deleting_then_leaves_none() {
    let world = World::new().await;
    let duel = two_administrators(&world, "naive").await;
    let barrier = Arc::new(Barrier::new(2));
    let db = world.databases.identity.clone();
    together(duel.map(|(_, assignment)| {
        let (db, barrier) = (db.clone(), Arc::clone(&barrier));
        async move {
            let enough = count(&db).await > 1;
            barrier.wait().await;
            if enough {
                delete(&db, &assignment).await;
            }
        }
    }))
    .await;
    assert_eq!(count(&db).await, 0, "the naive way was expected to leave nobody");
}

async fn count(db: &Db) -> i64 {
    let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments WHERE role = 'global-administrator'";
    test_support::database::number(db, select).await
}

async fn delete(db: &Db, assignment: &str) {
    let id: uuid::Uuid = assignment.rsplit('/').next().unwrap().parse().unwrap();
    let mut tx = db.write().await.unwrap();
    let delete = "DELETE FROM role_assignments WHERE id = $1";
    on!(&mut tx, |c| sqlx::query(delete).bind(id).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}
