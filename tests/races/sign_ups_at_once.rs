//! Sixty-four organisations want one label at once: the database decides, and one gets it.

use std::sync::Arc;

use test_support::database::number;

use crate::races::{RACERS, check_then_insert};
use crate::world::{World, reason, together};

const DIRECTORIES: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM directories WHERE state = 'ACTIVE'";
const USERS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM users";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_sixty_four_sign_ups_gets_the_label() {
    let world = Arc::new(World::new().await);
    let outcomes = together((0..RACERS).map(|_| {
        let world = Arc::clone(&world);
        async move { world.sign_ups().sign_up(world.sign_up_request("contoso")).await }
    }))
    .await;
    let losers: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(reason).collect();
    assert_eq!(losers.len(), RACERS - 1, "{losers:?}");
    assert!(losers.iter().all(|loser| loser == "AlreadyExists/INITIAL_DOMAIN_TAKEN"), "{losers:?}");
    assert_eq!(number(&world.databases.directory, DIRECTORIES).await, 1);
    assert_eq!(number(&world.databases.identity, USERS).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_sign_ups_with_one_request_id_are_one() {
    let world = Arc::new(World::new().await);
    let request = world.sign_up_request("contoso");
    let outcomes = together((0..RACERS).map(|_| {
        let (world, request) = (Arc::clone(&world), request.clone());
        async move { world.sign_ups().sign_up(request).await.map(tonic::Response::into_inner) }
    }))
    .await;
    let answers: Vec<_> =
        outcomes.into_iter().map(|outcome| outcome.expect("each gets the one answer")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(number(&world.databases.directory, DIRECTORIES).await, 1);
    assert_eq!(number(&world.databases.identity, USERS).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_first_and_taking_then_gives_one_label_to_many() {
    let world = World::new().await;
    let takers = check_then_insert(&world.databases.directory, "naive_labels").await;
    assert!(takers > 1, "the naive way was expected to give the label to several, not to {takers}");
}
