//! Making, activating and abandoning directories.

use database::{StoreError, idempotency};
use kernel::{Code, Refusal, reason};
use runtime::feed::Feed;

use super::*;
use crate::domain::directory::State;
use crate::grpc::events::Directories;

#[tokio::test]
async fn a_directory_is_made_with_its_initial_domain_verified() {
    let world = World::new().await;
    let directory = world.create("contoso").await.unwrap();
    assert_eq!((directory.state, directory.revision), (State::Provisioning, 1));
    let resolved = world.use_cases.resolve_domain(&IDENTITY, &directory.initial_domain).await.unwrap();
    assert_eq!(resolved, directory.id);
    let read = world.use_cases.get_directory(&SUBSCRIPTION, directory.id).await.unwrap();
    assert_eq!(read, directory);
    assert_eq!(world.rows().await, [1, 1, 1, 0, 1, 0]);
}

#[tokio::test]
async fn only_identity_makes_activates_and_abandons_directories() {
    let world = World::new().await;
    let directory = world.create("contoso").await.unwrap();
    let before = world.rows().await;
    for caller in [operator(), member(directory.id)] {
        let create = world.use_cases.create_directory(&world.call(&caller, CREATE), &contoso("other")).await;
        let activate = world.use_cases.activate_directory(&world.call(&caller, ACTIVATE), directory.id).await;
        let abandon = world.use_cases.abandon_directory(&world.call(&caller, ABANDON), directory.id).await;
        for result in [create, activate, abandon] {
            assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::PERMISSION_DENIED);
        }
    }
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn p_9_a_retry_with_the_same_request_id_gets_the_same_directory() {
    let world = World::new().await;
    let call = world.call_with(&IDENTITY, CREATE, Some(1), 1);
    let first = world.use_cases.create_directory(&call, &contoso("contoso")).await.unwrap();
    world.activate(first.id).await.unwrap();
    let again = world.use_cases.create_directory(&call, &contoso("contoso")).await.unwrap();
    assert_eq!(again, first);
    let other = world.call_with(&IDENTITY, CREATE, Some(1), 2);
    let refused = world.use_cases.create_directory(&other, &contoso("other")).await.unwrap_err();
    assert!(matches!(refused, Refused::Store(StoreError::RequestIdReused)));
    assert_eq!(world.count("directories").await, 1);
}

#[tokio::test]
async fn k_39_a_retry_after_more_than_a_day_is_told_that_its_request_id_was_used() {
    let world = World::new().await;
    let call = world.call_with(&IDENTITY, CREATE, Some(1), 1);
    world.use_cases.create_directory(&call, &contoso("contoso")).await.unwrap();
    world.clock.advance(idempotency::RECORD_LIFETIME);
    let late = world.call_with(&IDENTITY, CREATE, Some(1), 1);
    let refused = world.use_cases.create_directory(&late, &contoso("contoso")).await.unwrap_err();
    assert!(matches!(refused, Refused::Store(StoreError::RequestIdReused)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_racers_for_one_label_have_one_winner() {
    let world = Arc::new(World::new().await);
    let outcomes = at_once(64, |number| {
        let world = Arc::clone(&world);
        async move {
            let call = world.call_with(&IDENTITY, CREATE, Some(number + 1), 1);
            world.use_cases.create_directory(&call, &contoso("contoso")).await
        }
    })
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 63));
    for outcome in refused {
        assert!(matches!(outcome, Err(Refused::InitialDomainTaken(_))), "{outcome:?}");
    }
    assert_eq!(world.rows().await, [1, 1, 1, 0, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_calls_with_one_request_id_make_one_directory() {
    let world = Arc::new(World::new().await);
    let outcomes = at_once(64, |_| {
        let world = Arc::clone(&world);
        async move {
            let call = world.call_with(&IDENTITY, CREATE, Some(1), 1);
            world.use_cases.create_directory(&call, &contoso("contoso")).await.unwrap()
        }
    })
    .await;
    assert!(outcomes.iter().all(|directory| *directory == outcomes[0]));
    assert_eq!(world.rows().await, [1, 1, 1, 0, 1, 1]);
}

#[tokio::test]
async fn k_37_an_abandoned_label_is_free_at_once_and_an_active_one_never_again() {
    let world = World::new().await;
    let abandoned = world.create("contoso").await.unwrap();
    assert_eq!(world.abandon(abandoned.id).await.unwrap().state, State::Deleted);
    let unknown = world.use_cases.resolve_domain(&IDENTITY, &abandoned.initial_domain).await.unwrap_err();
    assert!(matches!(unknown, Refused::DomainNotFound(_)));
    let active = world.create("contoso").await.unwrap();
    world.activate(active.id).await.unwrap();
    assert!(matches!(world.create("contoso").await.unwrap_err(), Refused::InitialDomainTaken(_)));
    // The late repetition of the abandonment does not free what is another directory's by now.
    world.abandon(abandoned.id).await.unwrap();
    let resolved = world.use_cases.resolve_domain(&IDENTITY, &active.initial_domain).await.unwrap();
    assert_eq!(resolved, active.id);
}

#[tokio::test]
async fn steps_that_were_taken_are_no_changes_and_steps_that_are_not_there_are_refused() {
    let world = World::new().await;
    let active = world.active("contoso").await;
    let before = world.rows().await;
    assert_eq!(world.activate(active.id).await.unwrap(), active);
    let refusal = Refusal::from(world.abandon(active.id).await.unwrap_err());
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.reason().as_str(), "INVALID_STATE_TRANSITION");
    let metadata = [("current_state", "STATE_ACTIVE"), ("allowed_states", "STATE_PROVISIONING")];
    assert_eq!(refusal.metadata(), metadata.map(|(key, value)| (key, value.to_owned())));
    let abandoned = world.create("fabrikam").await.unwrap();
    let gone = world.abandon(abandoned.id).await.unwrap();
    assert_eq!(world.abandon(abandoned.id).await.unwrap(), gone);
    let refused = world.activate(abandoned.id).await.unwrap_err();
    assert!(matches!(refused, Refused::InvalidStateTransition { current: State::Deleted, .. }));
    // One directory more, whose domain came and went, with its two changes.
    let after = [before[0] + 1, before[1], before[2], before[3], before[4] + 2, before[5]];
    assert_eq!(world.rows().await, after);
}

#[tokio::test]
async fn a_directory_that_never_was_cannot_take_a_step() {
    let world = World::new().await;
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    assert!(matches!(world.activate(nowhere).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    assert!(matches!(world.abandon(nowhere).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    let refused = world.use_cases.get_directory(&operator(), nowhere).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason().as_str(), "DIRECTORY_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn activation_and_abandonment_at_once_have_one_winner_and_the_label_follows_it() {
    let world = Arc::new(World::new().await);
    for round in 0..8 {
        let directory = world.create(&format!("contoso-{round}")).await.unwrap();
        let outcomes = at_once(8, |number| {
            let (world, id) = (Arc::clone(&world), directory.id);
            async move {
                let activates = number % 2 == 0;
                let step = if activates { world.activate(id).await } else { world.abandon(id).await };
                (activates, step.is_ok())
            }
        })
        .await;
        let state = world.use_cases.get_directory(&IDENTITY, directory.id).await.unwrap().state;
        let activated = state == State::Active;
        assert!(activated || state == State::Deleted);
        assert!(outcomes.iter().all(|(activates, done)| *done == (*activates == activated)), "{outcomes:?}");
        let known = world.use_cases.resolve_domain(&IDENTITY, &directory.initial_domain).await.is_ok();
        assert_eq!(known, activated);
    }
}

#[tokio::test]
async fn workers_position_the_changes_and_sweep_old_answers() {
    let world = World::new().await;
    let call = world.call_with(&IDENTITY, CREATE, Some(1), 1);
    world.use_cases.create_directory(&call, &contoso("contoso")).await.unwrap();
    let (db, clock) = (&world.database.db, world.clock.clock());
    let feed = Feed::new(Directories, db.clone(), &PrivateKey::generate().unwrap(), clock.clone());
    let workers = crate::workers::all(db, &clock, &feed);
    world.clock.advance(idempotency::RECORD_LIFETIME);
    for worker in &workers {
        worker.run_once().await.unwrap();
    }
    assert_eq!(world.count("change_log WHERE position IS NULL").await, 0);
    assert_eq!((world.count("change_seals").await, world.count("idempotency_records").await), (1, 0));
}
