//! Sixty-four attaches at once: with one request id they are one (P-9), with different ones one wins (K25).

use crate::races::check_then_insert;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_attaches_with_one_request_id_are_one() {
    World::new().await.place().many_attaches_with_one_request_id_are_one("contoso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_attaches_gets_the_trial() {
    World::new().await.place().one_of_many_attaches_gets_the_trial("contoso").await;
}

/// S-04, P-14: one free Azure trial a person, however many ask at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_free_trials_of_one_person_is_given() {
    World::new().await.place().one_of_many_free_trials_of_one_person_is_given("contoso").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_first_and_attaching_then_attaches_many() {
    let world = World::new().await;
    let attached = check_then_insert(&world.databases.subscription, "naive_subscriptions").await;
    assert!(attached > 1, "the naive way was expected to attach several, not {attached}");
}
