//! Both replicas do the duties of the background, at the same moment and on the same rows: each is done once.

use access::Service;
use api::identity::v1::SignUpRequest;
use database::fail_point::{FailPoint, VARIABLE};
use database::{Db, on};
use system_tests::contests::count;
use system_tests::people::{E3, reason, together};

use crate::fleet::{Fleet, REPLICAS, is_not_for_sqlite, until};
use crate::process::Program;
use crate::wire::Repeated;

/// How many purchases and how many sign-ups are cut off.
const CUT_OFF: usize = 6;

/// Beyond the patience of every duty.
const LONG_AGO: &str = "CAST(EXTRACT(EPOCH FROM now() - INTERVAL '2 hours') * 1000000 AS BIGINT)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_replicas_let_go_of_holds_and_sweep_at_once() {
    if is_not_for_sqlite() {
        return;
    }
    let mut fleet = Fleet::start().await;
    let people = fleet.by_turns(&Repeated::default());
    let ada = people.sign_up("needed").await;
    people.attach_trial(&ada, E3).await.unwrap();
    let (directory, subscription) = (fleet.databases.directory.clone(), fleet.databases.subscription.clone());
    for number in 0..CUT_OFF {
        // K11: noted, and the process died before the lien was taken, or before that was known.
        let id = people.sign_up(&format!("cut-off-{number}")).await.directory;
        let id = id.strip_prefix("directories/").unwrap().to_owned();
        let values = format!("('{id}', 'subscriptions', 'TAKING', NULL, {number} + 1, 0, 0)");
        let columns = "directory, reason, state, lien, revision, uses, hold_time";
        write(&subscription, &format!("INSERT INTO holds ({columns}) VALUES {values}")).await;
    }
    write(&subscription, &format!("UPDATE holds SET hold_time = {LONG_AGO}")).await;
    write(&subscription, &format!("UPDATE idempotency_records SET expire_time = {LONG_AGO}")).await;
    assert!(count(&subscription, "idempotency_records").await > 0);
    for number in 0..REPLICAS {
        fleet.kill(Service::Subscription, number);
    }
    fleet.start_again(Service::Subscription);

    until("holds without a cause are let go", || async { count(&subscription, "holds").await == 1 }).await;
    until("answers whose day is over are gone", || async {
        count(&subscription, "idempotency_records").await == 0
    })
    .await;
    assert_eq!(count(&directory, "liens").await, 1, "the lien that is needed stands alone");
    assert_eq!(count(&subscription, "holds WHERE state = 'HELD'").await, 1);
    fleet.assert_change_logs_intact().await;
}

/// K18: some are finished and some given up, and nobody else's label is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_replicas_end_sign_ups_that_a_crash_cut_off() {
    if is_not_for_sqlite() {
        return;
    }
    let die = |service, program: Program| match service {
        Service::Identity => program.env(VARIABLE, &format!("{}:3", FailPoint::AfterUser.name())),
        Service::Directory | Service::Subscription => program,
    };
    let mut fleet = Fleet::start_with(die).await;
    let anybody = fleet.by_turns(&Repeated::default());
    let requests: Vec<_> = (0..REPLICAS * CUT_OFF)
        .map(|number| (number % REPLICAS, anybody.sign_up_request(&format!("cut-off-{number}"))))
        .collect();
    let people = [fleet.once_through(0), fleet.once_through(1)];
    together(requests.iter().cloned().map(|(number, request)| {
        let people = people[number].clone();
        // Whoever is answered is answered rightly; the others come again below.
        async move { people.sign_ups().sign_up(request).await.is_ok() }
    }))
    .await;
    for number in 0..REPLICAS {
        fleet.died(Service::Identity, number);
    }
    let identity = fleet.databases.identity.clone();
    write(&identity, &format!("UPDATE sign_ups SET update_time = {LONG_AGO} WHERE state <> 'DONE'")).await;
    let unfinished = "sign_ups WHERE state NOT IN ('DONE', 'ABANDONED')";
    assert!(count(&identity, unfinished).await > 1);
    fleet.start_again(Service::Identity);

    until("every sign-up has ended", || async { count(&identity, unfinished).await == 0 }).await;
    assert_whole_or_nothing(&fleet).await;
    for (_, request) in requests {
        match anybody.sign_ups().sign_up(request.clone()).await {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(reason(&status), "Aborted/SIGN_UP_ABANDONED");
                let request_id = anybody.request_id();
                let again = SignUpRequest { request_id, ..request };
                anybody.sign_ups().sign_up(again).await.expect("an abandoned label is free");
            }
        }
    }
    assert_whole_or_nothing(&fleet).await;
    fleet.assert_change_logs_intact().await;
}

/// As many of everything as sign-ups were done.
async fn assert_whole_or_nothing(fleet: &Fleet) {
    let (directory, identity) = (&fleet.databases.directory, &fleet.databases.identity);
    let done = count(identity, "sign_ups WHERE state = 'DONE'").await;
    for (db, rows) in [
        (directory, "directories WHERE state = 'ACTIVE'"),
        (directory, "domain_claims"),
        (identity, "directory_states WHERE state = 'ACTIVE'"),
        (identity, "users"),
        (identity, "role_assignments"),
    ] {
        assert_eq!(count(db, rows).await, done, "{rows}");
    }
}

async fn write(db: &Db, statement: &str) {
    let mut tx = db.write().await.unwrap();
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}
