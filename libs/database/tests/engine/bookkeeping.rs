//! What is written without a call's `retry` around it: repeated when it loses its turn, and done in small steps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use database::{Batching, Db, StoreError, hold, idempotency, refusals};
use kernel::Refusal;
use test_support::clock::START;
use test_support::database::number;

use crate::batches::{ONE, UNBOUND, batching, commits, polled_once, unit};
use crate::idempotency::act;
use crate::{call, directory, execute, store};

const SHORT_TURNS: Batching = Batching { turn_limit: Duration::from_millis(250), ..UNBOUND };

/// Has the work lose its first turn: it queues, has its turn and stands still while another waits.
async fn outrun<F: Future>(db: &Db, work: F) -> F::Output {
    let mut work = Box::pin(work);
    let first = db.write().await.unwrap();
    // Whoever reads first comes to the queue in the meantime.
    for _ in 0..50 {
        assert!(polled_once(&mut work).await.is_pending());
        let _ = number(db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await;
    }
    drop(first);
    unit(db, ONE).await.unwrap();
    execute(db, "DELETE FROM things").await;
    work.await
}

#[tokio::test]
async fn a_refusal_whose_unit_loses_its_turn_is_recorded_all_the_same() {
    let Some(store) = batching(SHORT_TURNS).await else { return };
    let (call, refusal) = (call(1, 1), Refusal::permission_denied("a/permission", "directories/x"));
    outrun(&store.db, refusals::record(&store.db, &call, &refusal, "things/1")).await.unwrap();
    assert_eq!(number(&store.db, "SELECT count FROM refusals").await, 1);
}

#[tokio::test]
async fn a_hold_whose_unit_loses_its_turn_is_begun_all_the_same() {
    let Some(store) = batching(SHORT_TURNS).await else { return };
    let begun = outrun(&store.db, hold::begin(&store.db, directory(), "a reason", START)).await;
    assert_eq!(begun.unwrap(), hold::Hold::Taking(START.micros()));
}

#[tokio::test]
async fn a_database_that_lets_a_ping_lose_its_turn_is_alive() {
    let Some(store) = batching(SHORT_TURNS).await else { return };
    outrun(&store.db, store.db.ping()).await.unwrap();
}

#[tokio::test]
async fn a_sweep_is_done_in_pages_until_none_is_left() {
    let store = store().await;
    act(&store.db, &call(1, 1), &AtomicUsize::new(0)).await.unwrap();
    execute(
        &store.db,
        "INSERT INTO idempotency_records (directory, caller, method, request_id, fingerprint, answer, expire_time)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
        SELECT directory, caller, CAST(i AS TEXT), request_id, fingerprint, answer, 1
        FROM n CROSS JOIN idempotency_records",
    )
    .await;
    let commits = commits(&store.db);
    let now = kernel::Timestamp::from_micros(1);
    assert_eq!(idempotency::sweep(&store.db, now).await.unwrap(), 1200);
    assert_eq!(commits.load(Ordering::SeqCst), 3);
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM idempotency_records").await, 1);
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once_and_serves_who_waits() {
    let Some(store) = batching(UNBOUND).await else { return };
    let first = store.db.write().await.unwrap();
    let mut waiting: Vec<_> = (0..10_000).map(|_| Box::pin(store.db.write())).collect();
    for one in &mut waiting {
        assert!(polled_once(one).await.is_pending());
    }
    assert!(matches!(store.db.write().await, Err(StoreError::Unavailable(_))));
    drop(waiting.split_off(1));
    drop(first);
    drop(waiting.remove(0).await.unwrap());
    drop(store.db.write().await.unwrap());
}
