//! Many at once, and what workers do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::subscription::v1::{AttachOffice365SubscriptionRequest, SignUpAzureSubscriptionRequest};
use tokio::task::JoinSet;

use super::peers::Broken;
use super::world::{FREE_TRIAL, World, azure, directory_id, person, reason, request_id, ten_seats, trial};
use crate::workers;

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

/// Lets the worker of this name run once.
async fn run(world: &World, name: &str) -> Result<bool, kernel::Refusal> {
    let workers = workers::all(&world.handler.use_cases);
    workers.iter().find(|worker| worker.name == name).unwrap().run_once().await
}

#[tokio::test]
async fn a_hold_is_let_go_when_nothing_is_left_under_it_and_taken_anew() {
    // K11.
    let world = World::new().await;
    world.attach(person("ada"), trial()).await.unwrap();
    assert_eq!(world.script().liens.len(), 1);
    world.advance_days(89);
    run(&world, "release_holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (1, 1));

    // Gone by the clock; the peer is silent at first, and the next order finishes what the worker began.
    world.advance_days(1);
    world.script().broken_directory = Some(Broken::Unavailable);
    run(&world, "release_holds").await.unwrap_err();
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
    run(&world, "release_holds").await.unwrap_err();
    world.script().broken_directory = None;
    run(&world, "release_holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (0, 0));
}

#[tokio::test]
async fn a_young_hold_is_left_alone() {
    let world = World::new().await;
    world.handler.use_cases.ensure_hold(directory_id("contoso")).await.unwrap();
    world.clock.advance(Duration::from_mins(59));
    run(&world, "release_holds").await.unwrap();
    assert_eq!(world.count("holds").await, 1);
    world.clock.advance(Duration::from_mins(2));
    run(&world, "release_holds").await.unwrap();
    assert_eq!(world.count("holds").await, 0);
}

#[tokio::test]
async fn changes_get_their_positions_and_old_answers_go() {
    let world = World::new().await;
    let order = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..ten_seats() };
    world.attach(person("ada"), order).await.unwrap();
    run(&world, "sequence_changes").await.unwrap();
    assert_eq!(world.count("change_log WHERE position IS NULL").await, 0);
    assert_eq!(world.count("change_seals").await, 1);
    world.advance_days(2);
    run(&world, "sweep_idempotency_records").await.unwrap();
    assert_eq!(world.count("idempotency_records").await, 0);
}
