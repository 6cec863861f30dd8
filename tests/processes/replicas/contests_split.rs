//! Every contest, split over the replicas: the database decides, and no lock of one process.

use std::sync::Arc;

use database::{Db, on};
use system_tests::contests::{Place, RACERS, count};
use system_tests::people::together;
use tokio::sync::{Barrier, Mutex};

use crate::fleet::{Fleet, REPLICAS, is_not_for_sqlite};
use crate::wire::Repeated;

/// How often each contest is held.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_that_start_at_once_serve_and_stop_in_order() {
    if is_not_for_sqlite() {
        return;
    }
    let mut fleet = Fleet::start().await;
    for (number, label) in ["contoso", "fabrikam"].into_iter().enumerate() {
        let people = fleet.through(number);
        let ada = people.sign_up(label).await;
        people.attach_trial(&ada, system_tests::people::E3).await.unwrap();
    }
    // K21: made once, under the lock.
    assert_eq!(count(&fleet.databases.identity, "signing_keys").await, 1);
    for (code, log) in fleet.stop().await {
        assert_eq!(code, Some(0), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_contest_has_one_winner_over_two_replicas() {
    if is_not_for_sqlite() {
        return;
    }
    let fleet = Fleet::start().await;
    let repeated = Repeated::default();
    let place = fleet.place(&repeated);
    for round in 0..ROUNDS {
        hold_all(&place, round).await;
    }
    for duel in 0..ROUNDS * 8 {
        place.two_administrators_remove_each_other(&format!("duel-{duel}")).await;
    }
    println!("repeated: {:?}", repeated.seen());
    fleet.assert_change_logs_intact().await;
    assert_no_defect(&fleet.logs());
}

/// Neither a call nor a duty met what no retry mends; a server that is too busy is no defect.
fn assert_no_defect(logs: &str) {
    let is_told = |line: &&str| line.contains(" ERROR ") || line.contains("a background duty");
    let is_busy = |line: &&str| line.to_lowercase().contains("unavailable");
    let found: Vec<_> = logs.lines().filter(is_told).filter(|line| !is_busy(line)).collect();
    assert!(found.is_empty(), "{found:?}");
}

async fn hold_all(place: &Place, round: usize) {
    place.one_of_many_sign_ups_gets_the_label(&format!("label-{round}")).await;
    place.many_sign_ups_with_one_request_id_are_one(&format!("sign-up-{round}")).await;
    place.many_attaches_with_one_request_id_are_one(&format!("attach-{round}")).await;
    place.one_of_many_attaches_gets_the_trial(&format!("trial-{round}")).await;
    place.one_of_many_free_trials_of_one_person_is_given(&format!("azure-{round}")).await;
    place.one_of_many_creations_gets_the_name(&format!("name-{round}")).await;
    place.one_refresh_token_has_one_successor(&format!("refresh-{round}")).await;
}

/// The naive twin: a lock in each process keeps its own racers apart, and nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_in_each_process_gives_each_process_a_winner() {
    if is_not_for_sqlite() {
        return;
    }
    let database = test_support::database::foundation().await;
    create(&database.db, "naive_one").await;
    create(&database.db, "naive_two").await;
    assert_eq!(look_and_put_under_locks(&database.db, "naive_one", 1).await, 1);
    let winners = look_and_put_under_locks(&database.db, "naive_two", REPLICAS).await;
    assert_eq!(usize::try_from(winners).unwrap(), REPLICAS, "the naive way was expected to have two winners");
}

/// Each racer looks and puts under the lock of its process; gives how many did.
async fn look_and_put_under_locks(db: &Db, table: &'static str, processes: usize) -> i64 {
    let locks: Vec<_> = (0..processes).map(|_| Arc::new(Mutex::new(true))).collect();
    let firsts = Arc::new(Barrier::new(processes));
    together((0..RACERS).map(|racer| {
        let (db, lock, firsts) = (db.clone(), Arc::clone(&locks[racer % processes]), Arc::clone(&firsts));
        async move {
            let mut is_first = lock.lock().await;
            let absent = count(&db, table).await == 0;
            if std::mem::take(&mut *is_first) {
                firsts.wait().await;
            }
            if absent {
                put(&db, table).await;
            }
        }
    }))
    .await;
    count(db, table).await
}

async fn create(db: &Db, table: &str) {
    write(db, format!("CREATE TABLE {table} (thing TEXT NOT NULL)")).await;
}

async fn put(db: &Db, table: &str) {
    write(db, format!("INSERT INTO {table} (thing) VALUES ('contoso')")).await;
}

async fn write(db: &Db, statement: String) {
    let mut tx = db.write().await.unwrap();
    let statement = sqlx::AssertSqlSafe(statement);
    on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}
