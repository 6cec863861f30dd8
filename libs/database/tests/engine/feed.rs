//! P-13, K13: whoever reads by positions misses nothing, whoever commits when; what is old goes in whole seals.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use access::permission::BeActive;
use access::{Call, Permit};
use database::change_log::{Change, ChangeKind, append};
use database::feed::{self, LEAST_RETENTION, Place, Standing};
use database::verify::{Verified, verify};
use database::{Db, Migrations, Tx, TxEngine, on, sequencer};
use kernel::{DirectoryId, Timestamp, new_ids};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row as _};
use test_support::clock::START;
use test_support::database::{Engine, TestDatabase, engine, number};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::change_log::change;
use crate::{call, execute, permit, store};

const WRITERS: u64 = 32;
const READERS: u64 = 3;
/// How many events the full run has is said by `FEED_EVENTS`, such as 100000.
const EVENTS: u64 = 5_000;
const ENTRIES: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log";
const SEALS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_seals";

async fn sequence(db: &Db, now: Timestamp) {
    while sequencer::run_once(db, now).await.unwrap() {}
}

/// One change in a transaction that is not committed yet.
async fn begun(db: &Db, number: u32) -> Tx {
    let mut tx = db.write().await.unwrap();
    let call = call(number, 1);
    let resource = format!("things/{number}");
    let change = Change { resource, kind: ChangeKind::Created, after: &number, changed_fields: &[] };
    append(&mut tx, &permit(), &call, &change).await.unwrap();
    tx
}

/// What a reader sees who takes the order of the rows for the order of commits.
async fn naive(db: &Db, last_seen: &mut i64) -> Vec<String> {
    let select = "SELECT entry, resource FROM change_log WHERE entry > $1 ORDER BY entry";
    let mut tx = db.read().await.unwrap();
    let rows: Vec<(i64, String)> =
        on!(&mut tx, |c| sqlx::query_as(select).bind(*last_seen).fetch_all(c).await).unwrap();
    *last_seen = rows.last().map_or(*last_seen, |(entry, _)| *entry);
    rows.into_iter().map(|(_, resource)| resource).collect()
}

async fn positioned(db: &Db, last_seen: &mut i64) -> Vec<String> {
    sequence(db, START).await;
    let entries = feed::after(db, *last_seen, 100).await.unwrap().unwrap();
    *last_seen = entries.last().map_or(*last_seen, |entry| entry.position);
    entries.into_iter().map(|entry| entry.resource).collect()
}

/// The defect that positions are for; SQLite has one writer, which commits in order.
#[tokio::test]
async fn a_naive_reader_skips_what_commits_late_and_a_reader_of_positions_does_not() {
    let store = store().await;
    if engine() == Engine::Sqlite {
        return;
    }
    let late = begun(&store.db, 1).await;
    begun(&store.db, 2).await.commit_bookkeeping().await.unwrap();
    let (mut by_entry, mut by_position) = (0, 0);
    let mut naively = naive(&store.db, &mut by_entry).await;
    let mut seen = positioned(&store.db, &mut by_position).await;
    late.commit_bookkeeping().await.unwrap();
    naively.extend(naive(&store.db, &mut by_entry).await);
    seen.extend(positioned(&store.db, &mut by_position).await);
    assert_eq!(naively, ["things/2"], "the naive reader skips the first change for ever");
    assert_eq!(seen, ["things/2", "things/1"]);
}

/// The directory that a writer writes in.
fn directory_of(writer: u64) -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&["writer", &writer.to_string()]))
}

/// A transaction of one to three changes; gives how many.
async fn write(db: &Db, writer: u64, first: u64) -> u64 {
    let permit: Permit<BeActive> = Permit::for_worker(directory_of(writer), "test", START);
    let rows = 1 + (writer + first) % 3;
    let new_id = new_ids::derive(&["event", &writer.to_string(), &first.to_string()]);
    let call = Call { new_id, ..call(0, 1) };
    loop {
        let mut tx = db.write().await.unwrap();
        for number in first..first + rows {
            let resource = format!("writers/{writer}/events/{number}");
            let change = Change { resource, kind: ChangeKind::Created, after: &rows, changed_fields: &[] };
            append(&mut tx, &permit, &call, &change).await.unwrap();
        }
        match tx.commit_bookkeeping().await {
            Ok(()) => return rows,
            // A unit that lost its turn has written nothing (K10).
            Err(error) => assert!(error.is_conflict(), "{error:?}"),
        }
    }
}

/// Sequences until all is written and read; each third time it is dropped in the middle.
async fn sequence_and_die(db: Db, over: Arc<AtomicBool>) {
    let mut times = 0_u32;
    while !over.load(Ordering::SeqCst) {
        times += 1;
        let patience = if times.is_multiple_of(3) { times % 50 } else { u32::MAX };
        let run = sequencer::run_once(&db, START);
        tokio::select! {
            biased;
            // Two that meet may also collide; the next time goes on.
            outcome = run => assert!(outcome.as_ref().err().is_none_or(database::StoreError::is_conflict), "{outcome:?}"),
            () = yields(patience) => {}
        }
        tokio::task::yield_now().await;
    }
}

async fn yields(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// What one reader has seen: of each writer the events, in the order in which they first came.
#[derive(Default)]
struct Seen {
    of_writers: BTreeMap<Uuid, (BTreeSet<u64>, u64)>,
    count: u64,
}

impl Seen {
    fn take_in(&mut self, entries: &[feed::Entry]) {
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let whole: usize = first.after.parse().unwrap();
            let (transaction, others) = rest.split_at(whole);
            assert!(transaction.iter().all(|entry| entry.transaction_id == first.transaction_id), "whole");
            for entry in transaction {
                self.see(entry);
            }
            rest = others;
        }
    }

    fn see(&mut self, entry: &feed::Entry) {
        let number = entry.resource.rsplit('/').next().unwrap().parse().unwrap();
        let (numbers, next) = self.of_writers.entry(entry.directory).or_default();
        if numbers.insert(number) {
            assert_eq!(
                number, *next,
                "{}: in the order of its directory, and nothing left out",
                entry.resource
            );
            *next += 1;
            self.count += 1;
        }
    }
}

/// Reads until it has seen everything. It keeps its place now and then, and dies as often: what it saw since, it sees
/// again.
async fn read_and_die(db: Db, reader: u64, events: u64) -> Seen {
    let (mut seen, mut kept, mut position, mut turns) = (Seen::default(), 0, 0, 0_u64);
    while seen.count < events {
        turns += 1;
        let entries =
            feed::after(&db, position, 20 + i64::try_from(reader).unwrap() * 70).await.unwrap().unwrap();
        seen.take_in(&entries);
        position = entries.last().map_or(position, |entry| entry.position);
        match (turns + reader) % 7 {
            3 => kept = position,
            6 => position = kept,
            _ => {}
        }
        if entries.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    seen
}

/// A second replica on the same database; SQLite's file has one process, in which two run.
async fn replica(store: &TestDatabase) -> Db {
    let nothing = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };
    match engine() {
        Engine::Sqlite => store.db.clone(),
        Engine::Postgres => Db::open(&store.settings, &nothing).await.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_13_readers_that_die_see_every_event_in_order_whoever_writes_and_sequences() {
    let events = std::env::var("FEED_EVENTS").map_or(EVENTS, |text| text.parse().unwrap());
    let store = store().await;
    let replica = replica(&store).await;
    // A transaction that stays open in another database of the server holds nobody up (K13).
    let elsewhere = crate::store().await;
    let open = begun(&elsewhere.db, 1).await;
    let (written, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut sequencers = JoinSet::new();
    for db in [&store.db, &replica] {
        sequencers.spawn(sequence_and_die(db.clone(), Arc::clone(&over)));
    }
    let mut writers = JoinSet::new();
    let share = events.div_ceil(WRITERS);
    for writer in 0..WRITERS {
        let db = if writer.is_multiple_of(2) { store.db.clone() } else { replica.clone() };
        let written = Arc::clone(&written);
        writers.spawn(async move {
            let mut next = 0;
            while next < share {
                next += write(&db, writer, next).await;
            }
            written.fetch_add(next, Ordering::SeqCst);
        });
    }
    let mut readers = JoinSet::new();
    let (all_written, total) = tokio::sync::watch::channel(None);
    for reader in 0..READERS {
        let (db, mut total) = (store.db.clone(), total.clone());
        readers.spawn(async move {
            // While they write; and then until all is seen.
            let early = read_and_die(db.clone(), reader, share).await;
            assert!(early.count >= share);
            let total = total.wait_for(Option::is_some).await.unwrap().unwrap();
            read_and_die(db, reader, total).await
        });
    }
    writers.join_all().await;
    let total = written.load(Ordering::SeqCst);
    all_written.send(Some(total)).unwrap();
    let patience = Duration::from_mins(1) + Duration::from_millis(total);
    let seen = tokio::time::timeout(patience, readers.join_all()).await.expect("nothing is missing");
    over.store(true, Ordering::SeqCst);
    sequencers.join_all().await;
    drop(open);
    assert!(total >= events);
    assert!(seen.iter().all(|seen| seen.count == total && seen.of_writers.len() == 32));
    let entries = i64::try_from(total).unwrap();
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Intact { entries, unsealed: 0 });
}

async fn head(db: &Db) -> Place {
    feed::head(&mut db.read().await.unwrap()).await.unwrap()
}

async fn standing(db: &Db, place: &Place) -> Standing {
    feed::standing(&mut db.read().await.unwrap(), place).await.unwrap()
}

/// One transaction, sequenced a day later than the one before; gives the place behind it.
async fn day(db: &Db, day: u32) -> Place {
    change(db, &call(day, 1), 2).await;
    sequence(db, START.plus(days(day))).await;
    head(db).await
}

fn days(count: u32) -> Duration {
    Duration::from_hours(24) * count
}

#[tokio::test]
async fn retention_takes_whole_seals_and_leaves_every_place_of_the_last_seven_days() {
    let store = store().await;
    let db = &store.db;
    let start = head(db).await;
    let mut places = Vec::new();
    for number in 0..10 {
        places.push(day(db, number).await);
    }
    change(db, &call(99, 1), 2).await;
    assert_eq!(
        feed::sweep(db, START.plus(LEAST_RETENTION)).await.unwrap(),
        0,
        "nothing is older than seven days"
    );
    // The seals of the days 0 to 4 are older; that of day 4 is what a token of day 5 may stand on.
    let now = START.plus(LEAST_RETENTION + days(4) + Duration::from_secs(1));
    assert_eq!(feed::sweep(db, now).await.unwrap(), 8);
    assert_eq!(feed::sweep(db, now).await.unwrap(), 0);
    assert_eq!(number(db, ENTRIES).await, 14, "what has no position stays too");
    assert_eq!(standing(db, &start).await, Standing::TooOld);
    for (day, place) in places.iter().enumerate() {
        let expected = if day < 3 { Standing::TooOld } else { Standing::Good };
        assert_eq!(standing(db, place).await, expected, "day {day}");
    }
    let earliest = feed::earliest(&mut db.read().await.unwrap()).await.unwrap();
    assert_eq!(earliest, places[3]);
    assert_eq!(feed::after(db, 0, 10).await.unwrap(), None, "a gap is told");
    assert_eq!(feed::after(db, earliest.point.position, 100).await.unwrap().unwrap().len(), 12);
    assert_eq!(verify(db).await.unwrap(), Verified::Intact { entries: 12, unsealed: 2 });
}

#[tokio::test]
async fn retention_never_takes_what_is_not_sealed_nor_the_last_seal() {
    let store = store().await;
    let db = &store.db;
    change(db, &call(1, 1), 3).await;
    let far = START.plus(days(1_000));
    assert_eq!(feed::sweep(db, far).await.unwrap(), 0);
    sequence(db, START).await;
    assert_eq!(feed::sweep(db, far).await.unwrap(), 0);
    assert_eq!((number(db, ENTRIES).await, number(db, SEALS).await), (3, 1));
    assert_eq!(standing(db, &head(db).await).await, Standing::Good, "a quiet store keeps its head");
}

#[tokio::test]
async fn retention_goes_in_pages() {
    let store = store().await;
    for number in 0..12 {
        change(&store.db, &call(number, 1), 150).await;
        sequence(&store.db, START).await;
    }
    assert_eq!(feed::sweep(&store.db, START.plus(days(30))).await.unwrap(), 11 * 150);
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Intact { entries: 150, unsealed: 0 });
}

#[tokio::test]
async fn tampering_with_the_anchor_of_a_swept_log_shows() {
    let store = store().await;
    for number in 0..3 {
        day(&store.db, number).await;
    }
    feed::sweep(&store.db, START.plus(days(30))).await.unwrap();
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Intact { entries: 2, unsealed: 0 });
    execute(&store.db, "UPDATE change_seals SET seal = root WHERE number = 2").await;
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Broken { position: 5 });
}

/// As if an older copy of the database had been put in its place.
async fn restore_to(db: &Db, position: i64) {
    let statements = [
        format!("DELETE FROM change_log WHERE position > {position}"),
        format!("DELETE FROM change_seals WHERE last_position > {position}"),
        format!(
            "UPDATE change_log_head SET last_position = {position},
                last_seal_number = (SELECT MAX(number) FROM change_seals),
                last_seal = (SELECT seal FROM change_seals ORDER BY number DESC LIMIT 1)"
        ),
    ];
    let mut tx = db.write().await.unwrap();
    for statement in statements {
        on!(&mut tx, |c| sqlx::query(AssertSqlSafe(statement.as_str())).execute(c).await.map(|_| ()))
            .unwrap();
    }
    tx.commit_bookkeeping().await.unwrap();
}

#[tokio::test]
async fn a_restored_log_does_not_pass_for_the_one_that_was_read() {
    let store = store().await;
    let db = &store.db;
    let (kept, lost) = (day(db, 1).await, day(db, 2).await);
    restore_to(db, 2).await;
    assert_eq!(verify(db).await.unwrap(), Verified::Intact { entries: 2, unsealed: 0 });
    assert_eq!(standing(db, &kept).await, Standing::Good);
    assert_eq!(standing(db, &lost).await, Standing::OtherHistory, "ahead of the head");
    // The new history has come as far as the old one, and further: the place is another one all the same.
    day(db, 3).await;
    assert_eq!(standing(db, &lost).await, Standing::OtherHistory);
    day(db, 4).await;
    assert_eq!(standing(db, &lost).await, Standing::OtherHistory);
}

#[tokio::test]
async fn a_place_of_another_log_is_none() {
    let (store, other) = (store().await, crate::store().await);
    for db in [&store.db, &other.db] {
        day(db, 1).await;
    }
    let elsewhere = head(&other.db).await;
    assert_eq!(standing(&store.db, &elsewhere).await, Standing::OtherLog);
    assert_eq!(head(&store.db).await.log, head(&store.db).await.log, "made once");
}

#[tokio::test]
async fn a_feed_reads_by_the_index_of_positions() {
    let store = store().await;
    let select = feed::AFTER.replace("$1", "7").replace("$2", "256");
    let mut tx = store.db.write().await.unwrap();
    let plan: Vec<String> = match &mut tx.engine {
        TxEngine::Sqlite(transaction) => {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {select}"));
            let mut connection = transaction.connection().await.unwrap();
            let steps = sqlx::query(explain).fetch_all(&mut *connection).await.unwrap();
            steps.iter().map(|step| step.get("detail")).collect()
        }
        TxEngine::Postgres(transaction) => {
            let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {select}"));
            let closed = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
            sqlx::raw_sql(closed).execute(transaction.connection()).await.unwrap();
            let steps = sqlx::query(explain).fetch_all(transaction.connection()).await.unwrap();
            steps.iter().map(|step| step.get(0)).collect()
        }
    };
    let plan = plan.join("\n");
    assert!(plan.contains("change_log_by_position"), "{plan}");
    assert!(plan.contains("(position>?)") || plan.contains("Index Cond: (\"position\" > "), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "{plan}");
}
