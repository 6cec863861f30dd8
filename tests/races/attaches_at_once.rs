//! Sixty-four attaches at once: with one request id they are one (P-9), with different ones one wins (K25).

use std::sync::Arc;

use test_support::database::number;

use crate::races::{RACERS, check_then_insert};
use crate::world::{E3, FREE_TRIAL, World, reason, together};

const SUBSCRIPTIONS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions";
const ORDERS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM orders";
const TRIALS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM product_guards WHERE trial_time IS NOT NULL";
const HOLDS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM holds WHERE state = 'HELD'";
const LIENS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM liens";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_attaches_with_one_request_id_are_one() {
    let world = Arc::new(World::new().await);
    let ada = world.sign_up("contoso").await;
    let request = world.trial_request(&ada.directory, E3);
    let outcomes = together((0..RACERS).map(|_| {
        let (world, ada, request) = (Arc::clone(&world), ada.clone(), request.clone());
        async move { world.attach(&ada, request).await }
    }))
    .await;
    let answers: Vec<_> =
        outcomes.into_iter().map(|outcome| outcome.expect("each gets the one answer")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_one_of_each(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_attaches_gets_the_trial() {
    let world = Arc::new(World::new().await);
    let ada = world.sign_up("contoso").await;
    let outcomes = together((0..RACERS).map(|_| {
        let (world, ada) = (Arc::clone(&world), ada.clone());
        async move { world.attach_trial(&ada, E3).await }
    }))
    .await;
    let losers: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(reason).collect();
    assert_eq!(losers.len(), RACERS - 1, "{losers:?}");
    assert!(losers.iter().all(|loser| loser == "FailedPrecondition/TRIAL_ALREADY_USED"), "{losers:?}");
    assert_one_of_each(&world).await;
}

/// S-04, P-14: one free Azure trial a person, however many ask at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_free_trials_of_one_person_is_given() {
    let world = Arc::new(World::new().await);
    let ada = world.sign_up("contoso").await;
    let outcomes = together((0..RACERS).map(|_| {
        let (world, ada) = (Arc::clone(&world), ada.clone());
        async move { world.azure(&ada, FREE_TRIAL).await }
    }))
    .await;
    let losers: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(reason).collect();
    assert_eq!(losers.len(), RACERS - 1, "{losers:?}");
    assert!(losers.iter().all(|loser| loser == "FailedPrecondition/OFFER_ALREADY_USED"), "{losers:?}");
    assert_eq!(number(&world.databases.subscription, SUBSCRIPTIONS).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_first_and_attaching_then_attaches_many() {
    let world = World::new().await;
    let attached = check_then_insert(&world.databases.subscription, "naive_subscriptions").await;
    assert!(attached > 1, "the naive way was expected to attach several, not {attached}");
}

async fn assert_one_of_each(world: &World) {
    let store = &world.databases.subscription;
    for select in [SUBSCRIPTIONS, ORDERS, TRIALS, HOLDS] {
        assert_eq!(number(store, select).await, 1, "{select}");
    }
    assert_eq!(number(&world.databases.directory, LIENS).await, 1, "{LIENS}");
}
