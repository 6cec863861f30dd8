//! K10: units of one batch live and die apart, and hear of it together.
//!
//! Of SQLite alone: on PostgreSQL every unit has a connection and a COMMIT of its own.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use access::{Call, Caller};
use database::{Batching, Db, Migrations, StoreError, Tx, defer, on, retry};
use kernel::{DirectoryId, Principal, new_ids};
use sqlx::migrate::Migrator;
use test_support::database::{Engine, TestDatabase, engine, number};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::idempotency::act;
use crate::{call, execute, store};

const THINGS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM things";
const LONG: Duration = Duration::from_hours(1);
/// Bounds that no test comes to: batches are what the test makes them.
pub(crate) const UNBOUND: Batching = Batching { turn_limit: LONG, most_units: 10_000, age: LONG };

pub(crate) type Outcome = Result<String, StoreError>;
pub(crate) type Unit = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A store whose writer makes batches so; `None` on PostgreSQL.
pub(crate) async fn batching(batching: Batching) -> Option<TestDatabase> {
    if engine() == Engine::Postgres {
        return None;
    }
    let mut store = store().await;
    // Its COMMIT fails, whatever else is in it, once a row names a thing that is not there.
    let promises =
        "CREATE TABLE promises (thing TEXT NOT NULL REFERENCES things (thing) DEFERRABLE INITIALLY DEFERRED)";
    execute(&store.db, promises).await;
    store.db.close().await;
    store.settings.batching = batching;
    let nothing = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };
    store.db = Db::open(&store.settings, &nothing).await.unwrap();
    Some(store)
}

/// Counts the COMMITs that had units to commit.
pub(crate) fn commits(db: &Db) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    db.on_commit(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    count
}

pub(crate) async fn polled_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

/// Runs units one after the other in one batch: all queue during the turn of a first one, which writes nothing.
async fn together(db: &Db, mut units: Vec<Unit>) -> Vec<Outcome> {
    let first = db.write().await.unwrap();
    for unit in &mut units {
        assert!(polled_once(unit).await.is_pending());
    }
    drop(first);
    let mut running = JoinSet::new();
    for (index, unit) in units.into_iter().enumerate() {
        running.spawn(async move { (index, unit.await) });
    }
    let mut outcomes = running.join_all().await;
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn insert(tx: &mut Tx, thing: &str) -> Result<(), StoreError> {
    let insert = "INSERT INTO things (thing) VALUES ($1)";
    Ok(on!(tx, |c| sqlx::query(insert).bind(thing).execute(c).await.map(|_| ()))?)
}

async fn run(tx: &mut Tx, statement: &'static str) -> Result<(), StoreError> {
    Ok(on!(tx, |c| sqlx::query(statement).execute(c).await.map(|_| ()))?)
}

/// A statement that takes as long as there are steps, and writes what the next unit would find.
async fn count_to(tx: &mut Tx, steps: i64) -> Result<(), StoreError> {
    let insert = "INSERT INTO things (thing) SELECT 'step ' || i FROM (WITH RECURSIVE n (i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n) WHERE i = $1";
    Ok(on!(tx, |c| sqlx::query(insert).bind(steps).execute(c).await.map(|_| ()))?)
}

/// A unit that runs these statements and then commits.
pub(crate) fn unit(db: &Db, statements: &'static [&'static str]) -> Unit {
    let db = db.clone();
    Box::pin(async move {
        let call = Call { request_id: None, ..call(0, 0) };
        let attempt = async || {
            let mut tx = db.write().await?;
            for statement in statements {
                run(&mut tx, statement).await?;
            }
            tx.commit_bookkeeping().await?;
            Ok("committed".to_owned())
        };
        retry(&call, attempt).await
    })
}

/// A unit that is refused for what it finds.
fn refused(db: &Db) -> Unit {
    let db = db.clone();
    Box::pin(async move {
        let attempt = async || {
            let mut tx = db.write().await?;
            let things: i64 = on!(&mut tx, |c| sqlx::query_scalar(THINGS).fetch_one(c).await)?;
            if things > 0 { Err(StoreError::HoldLost) } else { Ok("not refused".to_owned()) }
        };
        retry(&call(7, 7), attempt).await
    })
}

/// A unit with an idempotency record, which an equal one replays.
fn recorded(db: &Db, effects: &Arc<AtomicUsize>) -> Unit {
    let (db, effects) = (db.clone(), Arc::clone(effects));
    Box::pin(async move {
        let call = call(1, 1);
        retry(&call, || act(&db, &call, &effects)).await
    })
}

pub(crate) const ONE: &[&str] = &["INSERT INTO things (thing) VALUES ('one')"];
const TWO: &[&str] = &["INSERT INTO things (thing) VALUES ('two')"];
const BROKEN_PROMISE: &[&str] = &["INSERT INTO promises (thing) VALUES ('never')"];

#[tokio::test]
async fn a_batch_is_one_commit_and_each_unit_has_its_own_outcome() {
    let Some(store) = batching(UNBOUND).await else { return };
    let (commits, effects) = (commits(&store.db), Arc::default());
    let units = vec![recorded(&store.db, &effects), recorded(&store.db, &effects), refused(&store.db)];
    let outcomes = together(&store.db, units).await;
    assert!(
        matches!(&outcomes[..2], [Ok(one), Ok(two)] if one == "effect 0" && two == "effect 0"),
        "{outcomes:?}"
    );
    assert!(matches!(outcomes[2], Err(StoreError::HoldLost)), "{outcomes:?}");
    assert_eq!((number(&store.db, THINGS).await, commits.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn where_the_outer_commit_fails_no_commit_replay_or_refusal_is_told() {
    let Some(store) = batching(UNBOUND).await else { return };
    let (commits, effects) = (commits(&store.db), Arc::default());
    let units = vec![
        recorded(&store.db, &effects),
        recorded(&store.db, &effects),
        refused(&store.db),
        unit(&store.db, BROKEN_PROMISE),
    ];
    let outcomes = together(&store.db, units).await;
    let untold = |outcome: &Outcome| matches!(outcome, Err(StoreError::Unavailable(_)));
    assert!(outcomes.iter().all(untold), "{outcomes:?}");
    assert_eq!(commits.load(Ordering::SeqCst), 1, "one COMMIT was tried");
    assert_eq!(number(&store.db, THINGS).await, 0);
    // Nothing of it was true: what was replayed is done, and what was refused is not.
    let outcome = refused(&store.db).await.unwrap();
    assert_eq!(
        (outcome.as_str(), recorded(&store.db, &effects).await.unwrap().as_str()),
        ("not refused", "effect 1")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_whose_future_is_dropped_is_rolled_back_and_its_neighbours_commit() {
    let Some(store) = batching(UNBOUND).await else { return };
    let commits = commits(&store.db);
    let mut first = store.db.write().await.unwrap();
    insert(&mut first, "one").await.unwrap();
    let (written, is_written) = oneshot::channel();
    let db = store.db.clone();
    let mut gone = Box::pin(async move {
        let mut tx = db.write().await.unwrap();
        insert(&mut tx, "gone").await.unwrap();
        written.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let mut last = unit(&store.db, TWO);
    assert!(polled_once(&mut gone).await.is_pending() && polled_once(&mut last).await.is_pending());
    let mut running = JoinSet::new();
    running.spawn(async move { first.commit_bookkeeping().await });
    let gone = running.spawn(async move {
        gone.await;
        Ok(())
    });
    is_written.await.unwrap();
    gone.abort();
    last.await.unwrap();
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome);
    }
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(Ok(())))).count(), 1, "{outcomes:?}");
    assert_eq!((number(&store.db, THINGS).await, commits.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_unit_that_is_dropped_in_the_middle_of_a_statement_is_rolled_back() {
    let Some(store) = batching(UNBOUND).await else { return };
    for _ in 0..3 {
        let mut tx = store.db.write().await.unwrap();
        let mut statement = Box::pin(count_to(&mut tx, 20_000));
        // Under way in the driver's thread, and nobody waits for it any more.
        assert!(polled_once(&mut statement).await.is_pending());
        drop(statement);
        let mut next = unit(&store.db, TWO);
        assert!(polled_once(&mut next).await.is_pending());
        drop(tx);
        next.await.unwrap();
        assert_eq!(number(&store.db, THINGS).await, 1);
        execute(&store.db, "DELETE FROM things").await;
    }
}

#[tokio::test]
async fn where_the_outer_transaction_ends_by_itself_all_of_the_batch_fail_and_later_ones_work() {
    // With an error, as of a full disk; and unnoticed by the unit.
    let with_error: &[&str] = &["INSERT OR ROLLBACK INTO things (thing) VALUES ('one')"];
    for ending in [with_error, &["ROLLBACK"]] {
        let Some(store) = batching(UNBOUND).await else { return };
        let units =
            vec![unit(&store.db, ONE), refused(&store.db), unit(&store.db, ending), unit(&store.db, TWO)];
        let outcomes = together(&store.db, units).await;
        let failed = |outcome: &Outcome| matches!(outcome, Err(StoreError::Unavailable(_)));
        assert!(outcomes[..3].iter().all(failed), "{outcomes:?}");
        assert!(outcomes[3].is_ok(), "it was to be next, and began a batch of its own: {outcomes:?}");
        let two = "SELECT CAST(COUNT(*) AS BIGINT) FROM things WHERE thing = 'two'";
        assert_eq!((number(&store.db, THINGS).await, number(&store.db, two).await), (1, 1));
        unit(&store.db, ONE).await.unwrap();
    }
}

#[tokio::test]
async fn a_unit_that_goes_on_after_a_full_disk_writes_nothing_more() {
    let Some(store) = batching(UNBOUND).await else { return };
    let mut tx = store.db.write().await.unwrap();
    let mut neighbour = unit(&store.db, ONE);
    assert!(polled_once(&mut neighbour).await.is_pending());
    run(&mut tx, "PRAGMA max_page_count = 1").await.unwrap();
    let full = run(&mut tx, "INSERT INTO things (thing) SELECT hex(zeroblob(1000000))").await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert!(insert(&mut tx, "half").await.unwrap_err().is_conflict());
    assert!(tx.commit_bookkeeping().await.unwrap_err().is_conflict());
    neighbour.await.unwrap();
    assert_eq!(number(&store.db, THINGS).await, 1);
}

#[tokio::test]
async fn a_unit_that_stands_still_is_refused_whole_and_stops_nobody() {
    let Some(store) = batching(Batching { turn_limit: Duration::from_millis(20), ..UNBOUND }).await else {
        return;
    };
    let mut stalled = store.db.write().await.unwrap();
    insert(&mut stalled, "half").await.unwrap();
    unit(&store.db, ONE).await.unwrap();
    assert!(insert(&mut stalled, "other half").await.unwrap_err().is_conflict());
    assert!(stalled.commit_bookkeeping().await.unwrap_err().is_conflict());
    let mut stalled = store.db.write().await.unwrap();
    insert(&mut stalled, "half").await.unwrap();
    unit(&store.db, TWO).await.unwrap();
    assert!(stalled.commit_bookkeeping().await.unwrap_err().is_conflict(), "without a further statement");
    assert_eq!(number(&store.db, THINGS).await, 2);
}

#[tokio::test]
async fn a_unit_for_which_nobody_waits_may_take_its_time() {
    let Some(store) = batching(Batching { turn_limit: Duration::from_millis(20), ..UNBOUND }).await else {
        return;
    };
    let mut slow = store.db.write().await.unwrap();
    insert(&mut slow, "one").await.unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(60) {
        assert_eq!(number(&store.db, THINGS).await, 0);
    }
    insert(&mut slow, "two").await.unwrap();
    slow.commit_bookkeeping().await.unwrap();
    assert_eq!(number(&store.db, THINGS).await, 2);
}

#[tokio::test]
async fn a_statement_may_take_longer_than_a_turn_may_stand_still() {
    let turn_limit = Duration::from_millis(100);
    let Some(store) = batching(Batching { turn_limit, ..UNBOUND }).await else {
        return;
    };
    let mut long = store.db.write().await.unwrap();
    let mut waiting = unit(&store.db, TWO);
    assert!(polled_once(&mut waiting).await.is_pending());
    let (mut steps, mut took) = (100_000, Duration::ZERO);
    while took < 2 * turn_limit {
        let begun = std::time::Instant::now();
        count_to(&mut long, steps).await.unwrap();
        (steps, took) = (2 * steps, begun.elapsed());
    }
    insert(&mut long, "long").await.unwrap();
    let (long, waiting) = tokio::join!(long.commit_bookkeeping(), waiting);
    long.unwrap();
    waiting.unwrap();
    let short = "SELECT CAST(COUNT(*) AS BIGINT) FROM things WHERE thing IN ('long', 'two')";
    assert_eq!(number(&store.db, short).await, 2);
}

#[tokio::test]
async fn a_directory_with_many_units_delays_another_by_a_turn_or_two() {
    let Some(store) = batching(UNBOUND).await else { return };
    let order = Arc::new(Mutex::new(Vec::new()));
    let of = |number: u32, mut call: Call| -> Unit {
        let directory = DirectoryId::from_uuid(new_ids::derive(&["directory", &number.to_string()]));
        if let Some(Caller::Principal(signed_in)) = &mut call.caller {
            let Principal::User(_, user) = signed_in.principal else { panic!("ada is a user") };
            signed_in.principal = Principal::User(directory, user);
        }
        let (db, order) = (store.db.clone(), Arc::clone(&order));
        Box::pin(async move {
            let attempt = async || {
                let tx = db.write().await?;
                order.lock().unwrap().push(number);
                tx.commit_bookkeeping().await?;
                Ok(String::new())
            };
            retry(&call, attempt).await
        })
    };
    let mut units: Vec<_> = (0..500).map(|number| of(1, call(number, 1))).collect();
    units.push(of(2, call(500, 1)));
    let outcomes = together(&store.db, units).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let order = order.lock().unwrap();
    let place = order.iter().position(|number| *number == 2).unwrap();
    assert!(place < 3, "{place} of {}", order.len());
}

#[tokio::test]
async fn a_unique_violation_in_the_middle_of_a_batch_fails_alone() {
    let Some(store) = batching(UNBOUND).await else { return };
    let commits = commits(&store.db);
    let also: &[&str] =
        &["INSERT INTO things (thing) VALUES ('also')", "INSERT INTO things (thing) VALUES ('one')"];
    let outcomes =
        together(&store.db, vec![unit(&store.db, ONE), unit(&store.db, also), unit(&store.db, TWO)]).await;
    assert!(matches!(outcomes[..], [Ok(_), Err(StoreError::UniqueViolation), Ok(_)]), "{outcomes:?}");
    assert_eq!((number(&store.db, THINGS).await, commits.load(Ordering::SeqCst)), (2, 1));
}

/// A unit that puts off an insertion, and whose next statement, if any, counts.
fn put_off(db: &Db, thing: &'static str, counts: bool) -> Unit {
    let db = db.clone();
    Box::pin(async move {
        let attempt = async || {
            let mut tx = db.write().await?;
            defer!(&mut tx, "INSERT INTO things (thing) VALUES ($1)", thing)?;
            let mut things: i64 = 0;
            if counts {
                things = on!(&mut tx, |c| sqlx::query_scalar(THINGS).fetch_one(c).await)?;
            }
            tx.commit_bookkeeping().await?;
            Ok(format!("saw {things}"))
        };
        retry(&Call { request_id: None, ..call(0, 0) }, attempt).await
    })
}

#[tokio::test]
async fn what_is_put_off_is_seen_by_the_next_statement_and_fails_alone() {
    let Some(store) = batching(UNBOUND).await else { return };
    let commits = commits(&store.db);
    let units = vec![
        unit(&store.db, ONE),
        put_off(&store.db, "one", false),
        put_off(&store.db, "two", true),
        put_off(&store.db, "two", true),
        put_off(&store.db, "three", false),
        put_off(&store.db, "three", false),
    ];
    let outcomes = together(&store.db, units).await;
    assert!(outcomes[0].is_ok());
    assert!(outcomes[1].is_err(), "the name is taken: {:?}", outcomes[1]);
    assert_eq!(outcomes[2].as_deref().unwrap(), "saw 2");
    assert!(outcomes[3].is_err());
    assert_eq!(outcomes[4].as_deref().unwrap(), "saw 0");
    assert!(outcomes[5].is_err(), "the last of a batch, too");
    assert_eq!((commits.load(Ordering::SeqCst), number(&store.db, THINGS).await), (1, 3));
}

#[tokio::test]
async fn more_than_one_round_trip_holds_is_written_all_the_same() {
    let store = store().await;
    let mut tx = store.db.write().await.unwrap();
    for number in 0..50 {
        defer!(&mut tx, "INSERT INTO things (thing) VALUES ($1)", format!("thing {number}")).unwrap();
    }
    tx.commit_bookkeeping().await.unwrap();
    assert_eq!(number(&store.db, THINGS).await, 50);
}

#[tokio::test]
async fn what_only_reads_puts_nothing_off() {
    let Some(store) = batching(UNBOUND).await else { return };
    let mut tx = store.db.read().await.unwrap();
    assert!(defer!(&mut tx, "INSERT INTO things (thing) VALUES ($1)", "never").is_err());
}

#[tokio::test]
async fn a_database_that_is_closed_finishes_what_is_queued() {
    let Some(store) = batching(UNBOUND).await else { return };
    let first = store.db.write().await.unwrap();
    let mut queued = unit(&store.db, ONE);
    assert!(polled_once(&mut queued).await.is_pending());
    let (first, queued, ()) = tokio::join!(first.commit_bookkeeping(), queued, store.db.close());
    first.unwrap();
    queued.unwrap();
    assert!(matches!(store.db.write().await, Err(StoreError::Unavailable(_))));
}
