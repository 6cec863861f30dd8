//! Many at once, and what workers do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::subscription::v1::{AttachOffice365SubscriptionRequest, SignUpAzureSubscriptionRequest};
use database::{hold, on};
use kernel::{DirectoryId, LienId, new_ids};
use tokio::task::JoinSet;

use super::peers::Broken;
use super::world::{
    FREE_TRIAL, World, azure, directory_id, person, reason, request_id, run, ten_seats, trial, worker,
};
use crate::use_cases::HOLD_REASON;

const RACERS: u32 = 64;

/// Attaches in parallel, each with the request id of its number.
async fn race(world: &Arc<World>, number: impl Fn(u32) -> u32) -> Vec<Result<String, String>> {
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (world, request_id) = (Arc::clone(world), request_id(number(racer)));
        racers.spawn(async move {
            let order = AttachOffice365SubscriptionRequest { request_id, ..trial() };
            let answer = world.attach(person("ada"), order).await.map_err(reason)?;
            Ok(format!("{answer:?}"))
        });
    }
    racers.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_at_once_have_one_effect_and_equal_answers() {
    let world = Arc::new(World::new().await);
    let answers: HashSet<_> = race(&world, |_| 1).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.len(), 1);
    for table in ["subscriptions", "orders", "holds"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_requests_at_once_give_one_subscription_and_one_trial() {
    // K25.
    let world = Arc::new(World::new().await);
    let (won, lost): (Vec<_>, Vec<_>) =
        race(&world, |racer| racer).await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 63));
    assert!(lost.into_iter().all(|refused| refused.unwrap_err() == "TRIAL_ALREADY_USED"));
    for table in ["subscriptions", "orders", "holds"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_at_once_gets_one_free_trial() {
    // S-04, P-14.
    let world = Arc::new(World::new().await);
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let world = Arc::clone(&world);
        let order = SignUpAzureSubscriptionRequest { request_id: request_id(racer), ..azure(FREE_TRIAL) };
        racers.spawn(async move { world.sign_up(person("cy"), order).await.map_err(reason) });
    }
    let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.into_iter().all(|refused| refused.unwrap_err() == "OFFER_ALREADY_USED"));
    assert_eq!((world.count("subscriptions").await, world.count("role_assignments").await), (1, 1));
}

#[tokio::test]
async fn a_hold_is_let_go_when_nothing_is_left_under_it_and_taken_anew() {
    // K11.
    let world = World::new().await;
    world.attach(person("ada"), trial()).await.unwrap();
    assert_eq!(world.script().liens.len(), 1);
    world.advance_days(89);
    run(&world, "release holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (1, 1));

    // Gone by the clock; the peer is silent at first, and the next order finishes what the worker began.
    world.advance_days(1);
    world.script().broken_directory = Some(Broken::Unavailable);
    run(&world, "release holds").await.unwrap_err();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (1, 1));
    world.script().broken_directory = None;
    world.attach(person("ada"), ten_seats()).await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (1, 1));
    assert_eq!(world.script().liens_taken, 2);
}

#[tokio::test]
async fn the_worker_finishes_letting_go() {
    let world = World::new().await;
    world.attach(person("ada"), trial()).await.unwrap();
    world.advance_days(90);
    world.script().broken_directory = Some(Broken::Internal);
    run(&world, "release holds").await.unwrap_err();
    world.script().broken_directory = None;
    run(&world, "release holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (0, 0));
}

#[tokio::test]
async fn a_young_hold_is_left_alone() {
    let world = World::new().await;
    world.handler.use_cases.ensure_hold(directory_id("contoso")).await.unwrap();
    world.clock.advance(Duration::from_mins(59));
    run(&world, "release holds").await.unwrap();
    assert_eq!(world.count("holds").await, 1);
    world.clock.advance(Duration::from_mins(2));
    run(&world, "release holds").await.unwrap();
    assert_eq!(world.count("holds").await, 0);
}

/// Holds directories of these numbers, one a second, the last an hour ago.
async fn hold_many(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let lien = LienId::from_uuid(new_ids::derive(&["lien", &number.to_string()]));
        let (db, now) = (&world.database.db, world.clock.now());
        hold::begin(db, numbered(number), HOLD_REASON, now).await.unwrap();
        hold::held(db, numbered(number), HOLD_REASON, lien, now.micros(), now).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    world.clock.advance(Duration::from_hours(1));
}

fn numbered(number: u32) -> DirectoryId {
    directory_id(&format!("directory {number}"))
}

#[tokio::test]
async fn holds_that_cannot_be_let_go_do_not_keep_the_others_waiting() {
    // K11: one run looks at a hundred, and directory-service does not give back the liens of twice as many.
    let world = World::new().await;
    hold_many(&world, 0..201).await;
    let stick = |numbers: std::ops::Range<u32>| {
        world.script().stuck = numbers.map(|number| format!("directories/{}", numbered(number))).collect();
    };
    stick(0..200);
    let worker = worker(&world, "release holds");
    for left in [201, 201, 200] {
        worker.run_once().await.unwrap_err();
        assert_eq!(world.count("holds").await, left);
    }
    assert_eq!(world.count("holds WHERE state = 'RELEASING'").await, 200);
    // Those that can be let go by now are, though the older ones cannot; in the end all are come round to.
    stick(0..100);
    for _ in 0..3 {
        let _ = worker.run_once().await;
    }
    assert_eq!(world.count("holds").await, 100);
    stick(0..0);
    for _ in 0..3 {
        worker.run_once().await.unwrap();
    }
    assert_eq!(world.count("holds").await, 0);
}

#[tokio::test]
async fn one_run_looks_at_a_hundred_holds_and_the_next_at_those_behind_them() {
    let world = World::new().await;
    world.attach(person("ada"), ten_seats()).await.unwrap();
    hold_many(&world, 1..101).await;
    // All but the last have a subscription, as contoso has one.
    let copy = "INSERT INTO subscriptions SELECT $1 AS directory, id, kind, owner_user, product, offer,
            display_name, seats, term, start_time, trial_end_time, active_until, disabled_from, deleted_from,
            announced_state, create_time, update_time, revision
        FROM subscriptions WHERE directory = $2";
    let mut tx = world.database.db.write().await.unwrap();
    for number in 1..100 {
        let (to, from) = (numbered(number).uuid(), directory_id("contoso").uuid());
        on!(&mut tx, |c| sqlx::query(copy).bind(to).bind(from).execute(c).await.map(|_| ())).unwrap();
    }
    tx.commit_bookkeeping().await.unwrap();
    let worker = worker(&world, "release holds");
    for left in [101, 100, 100] {
        worker.run_once().await.unwrap();
        assert_eq!(world.count("holds").await, left);
    }
}

#[tokio::test]
async fn changes_get_their_positions_and_old_answers_go() {
    let world = World::new().await;
    let order = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..ten_seats() };
    world.attach(person("ada"), order).await.unwrap();
    run(&world, "sequence changes").await.unwrap();
    assert_eq!(world.count("change_log WHERE position IS NULL").await, 0);
    assert_eq!(world.count("change_seals").await, 1);
    world.advance_days(2);
    run(&world, "sweep answered requests").await.unwrap();
    assert_eq!(world.count("idempotency_records").await, 0);
}
