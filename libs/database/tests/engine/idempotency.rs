//! P-9: one effect and one answer, however often and however simultaneously it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use access::Call;
use database::{Db, StoreError, idempotency, on, retry};
use test_support::clock::ManualClock;
use tokio::task::JoinSet;

use test_support::database::number;

use crate::{call, permit, store};

/// What a use case does: claim, act, record, commit.
pub(crate) async fn act(db: &Db, call: &Call, effects: &AtomicUsize) -> Result<String, StoreError> {
    let mut tx = db.write().await?;
    if let Some(answer) = idempotency::claim(&mut tx, call).await? {
        return Ok(answer);
    }
    let effect = effects.fetch_add(1, Ordering::SeqCst);
    let answer = format!("effect {effect}");
    let insert = "INSERT INTO things (thing) VALUES ($1)";
    on!(&mut tx, |c| sqlx::query(insert).bind(&answer).execute(c).await.map(|_| ()))?;
    idempotency::complete(&mut tx, call, &answer).await?;
    tx.commit(&permit(), &ManualClock::default().clock()).await?;
    Ok(answer)
}

const THINGS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM things";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_have_one_effect_and_get_one_answer() {
    let store = store().await;
    let effects = Arc::new(AtomicUsize::new(0));
    let mut twins = JoinSet::new();
    for _ in 0..32 {
        let (db, effects) = (store.db.clone(), Arc::clone(&effects));
        twins.spawn(async move {
            let call = call(1, 1);
            retry(&call, || act(&db, &call, &effects)).await.unwrap()
        });
    }
    let answers = twins.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(number(&store.db, THINGS).await, 1);
}

#[tokio::test]
async fn a_retry_is_answered_before_anything_is_done() {
    let store = store().await;
    let effects = AtomicUsize::new(0);
    assert_eq!(idempotency::replay::<String>(&store.db, &call(1, 1)).await.unwrap(), None);
    act(&store.db, &call(1, 1), &effects).await.unwrap();
    let replayed: Option<String> = idempotency::replay(&store.db, &call(1, 1)).await.unwrap();
    assert_eq!(replayed.as_deref(), Some("effect 0"));
}

#[tokio::test]
async fn another_content_under_the_same_request_id_is_refused() {
    let store = store().await;
    let effects = AtomicUsize::new(0);
    act(&store.db, &call(1, 1), &effects).await.unwrap();
    let other = call(1, 2);
    assert!(matches!(act(&store.db, &other, &effects).await, Err(StoreError::RequestIdReused)));
    let replayed = idempotency::replay::<String>(&store.db, &other).await;
    assert!(matches!(replayed, Err(StoreError::RequestIdReused)));
    assert_eq!(number(&store.db, THINGS).await, 1);
}

#[tokio::test]
async fn a_rolled_back_attempt_leaves_no_record() {
    let store = store().await;
    let call = call(1, 1);
    let mut tx = store.db.write().await.unwrap();
    assert_eq!(idempotency::claim::<String>(&mut tx, &call).await.unwrap(), None);
    idempotency::complete(&mut tx, &call, &"never").await.unwrap();
    drop(tx);
    assert_eq!(idempotency::replay::<String>(&store.db, &call).await.unwrap(), None);
}

#[tokio::test]
async fn after_a_day_the_record_is_gone_whether_or_not_it_was_swept() {
    let store = store().await;
    let effects = AtomicUsize::new(0);
    act(&store.db, &call(1, 1), &effects).await.unwrap();
    let mut later = call(1, 1);
    later.now = later.now.plus(Duration::from_hours(24));
    assert_eq!(idempotency::replay::<String>(&store.db, &later).await.unwrap(), None);
    assert_eq!(act(&store.db, &later, &effects).await.unwrap(), "effect 1");
    assert_eq!(idempotency::sweep(&store.db, later.now.plus(Duration::from_hours(25))).await.unwrap(), 1);
}
