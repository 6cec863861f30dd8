//! Signing up: the saga, its retries, its limits.

use api::directory::v1::directory::State;
use tokio::task::JoinSet;

use super::directory::Trouble;
use super::world::{World, reason, sign_up_request};
use crate::{Settings, SignUpPolicy};
use std::time::Duration;

#[tokio::test]
async fn who_signs_up_is_the_first_user_and_global_administrator() {
    let world = World::new().await;
    let made = world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    let user = made.user.unwrap();
    assert_eq!(user.user_principal_name, "ada@contoso.tenure.internal");
    assert_eq!(user.directory_roles, ["directoryRoles/global-administrator"]);
    assert_eq!(made.directory.unwrap().initial_domain, "contoso.tenure.internal");
    assert_eq!(world.directory.states(), [State::Active]);
    let ada = world.sign_in("ADA@contoso.tenure.internal").await;
    assert_eq!(ada.user.name, user.name);
    assert_eq!(world.count("change_log").await, 3);
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_and_another_body_is_refused() {
    let world = World::new().await;
    let first = world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    let again = world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    assert_eq!(first, again);
    let mut other = sign_up_request("contoso", "1");
    other.password = "An0ther password".into();
    assert_eq!(reason(&world.sign_up(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn a_retry_goes_on_wherever_the_first_call_stopped() {
    for trouble in [Trouble::CreateNotDone, Trouble::CreateAnswerLost, Trouble::ActivateNotDone] {
        let world = World::new().await;
        world.directory.suffers(&[trouble]);
        let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
        assert_eq!(reason(&refused), "DEPENDENCY_UNAVAILABLE", "{trouble:?}");
        world.directory.suffers(&[]);
        world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
        assert_eq!(world.directory.states(), [State::Active], "{trouble:?}");
        assert_eq!(world.count("users").await, 1);
        world.sign_in("ada@contoso.tenure.internal").await;
    }
}

#[tokio::test]
async fn nobody_signs_in_before_the_directory_is_active() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::ActivateNotDone]);
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    let refused = world.try_sign_in("ada@contoso.tenure.internal", super::world::PASSWORD).await.unwrap_err();
    assert_eq!(reason(&refused), "DIRECTORY_SUSPENDED");
}

#[tokio::test]
async fn a_taken_domain_is_refused_and_the_same_request_may_try_again() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::CreateAnswerLost]);
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    world.directory.suffers(&[]);
    for _ in 0..2 {
        let refused = world.sign_up(sign_up_request("contoso", "2")).await.unwrap_err();
        assert_eq!(reason(&refused), "INITIAL_DOMAIN_TAKEN");
    }
    // The first sign-up is given up by the worker; its label is free then.
    world.clock.advance(Duration::from_mins(3));
    assert!(world.work("finish sign-ups").await.unwrap());
    world.sign_up(sign_up_request("contoso", "2")).await.unwrap();
    let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    assert_eq!(reason(&refused), "SIGN_UP_ABANDONED");
}

#[tokio::test]
async fn the_worker_finishes_what_stands_and_gives_up_what_does_not() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::ActivateNotDone]);
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    assert!(!world.work("finish sign-ups").await.unwrap(), "two minutes are not over");
    world.clock.advance(Duration::from_mins(3));
    world.work("finish sign-ups").await.unwrap_err();
    world.directory.suffers(&[]);
    world.clock.advance(Duration::from_mins(3));
    assert!(world.work("finish sign-ups").await.unwrap());
    world.sign_in("ada@contoso.tenure.internal").await;
    assert!(!world.work("finish sign-ups").await.unwrap());
    // An answer that was lost twice, and an abandonment that failed once.
    world.directory.suffers(&[Trouble::CreateAnswerLost]);
    world.sign_up(sign_up_request("fabrikam", "2")).await.unwrap_err();
    world.clock.advance(Duration::from_mins(3));
    world.directory.suffers(&[Trouble::AbandonNotDone]);
    world.work("finish sign-ups").await.unwrap_err();
    world.directory.suffers(&[]);
    world.clock.advance(Duration::from_mins(3));
    assert!(world.work("finish sign-ups").await.unwrap());
    let mut states = world.directory.states();
    states.sort_by_key(|state| *state as i32);
    assert_eq!(states, [State::Active, State::Deleted]);
}

#[tokio::test]
async fn a_first_user_under_a_foreign_suffix_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let mut request = sign_up_request("contoso", "1");
    request.admin_user.as_mut().unwrap().user_principal_name = "ada@contoso.example.com".into();
    let refused = world.sign_up(request).await.unwrap_err();
    assert_eq!(reason(&refused), "FIELD_INVALID");
    assert_eq!(world.directory.states(), [State::Deleted]);
    assert_eq!(world.count("users").await, 0);
}

#[tokio::test]
async fn a_closed_server_and_an_enterprise_agreement_take_an_operator() {
    let closed = Settings { sign_up: SignUpPolicy::Operator, ..Settings::default() };
    let world = World::with(closed).await;
    let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (tonic::Code::PermissionDenied, "SIGN_UP_CLOSED".into()));
    let operator = world.operator();
    world.sign_up_as(&operator, sign_up_request("contoso", "1")).await.unwrap();

    let world = World::new().await;
    let mut request = sign_up_request("contoso", "1");
    request.set_agreement_type(api::identity::v1::AgreementType::Enterprise);
    assert_eq!(reason(&world.sign_up(request.clone()).await.unwrap_err()), "SIGN_UP_CLOSED");
    world.sign_up_as(&world.operator(), request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_sign_ups_with_one_request_id_make_one_directory() {
    let world = World::new().await;
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let mut client =
            api::identity::v1::sign_up_service_client::SignUpServiceClient::new(world.peer.clone());
        calls.spawn(async move { client.sign_up(sign_up_request("contoso", "1")).await });
    }
    let answers: Vec<_> =
        calls.join_all().await.into_iter().map(|answer| answer.unwrap().into_inner()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.directory.states(), [State::Active]);
    assert_eq!((world.count("users").await, world.count("role_assignments").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_sign_ups_for_one_label_have_one_winner() {
    let world = World::new().await;
    let mut calls = JoinSet::new();
    for number in 0..64 {
        let mut client =
            api::identity::v1::sign_up_service_client::SignUpServiceClient::new(world.peer.clone());
        calls.spawn(async move { client.sign_up(sign_up_request("contoso", &number.to_string())).await });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refusals.map(reason).all(|reason| reason == "INITIAL_DOMAIN_TAKEN"));
    assert_eq!(world.count("users").await, 1);
}

const MORE_THAN_A_DAY: Duration = Duration::from_hours(25);

#[tokio::test]
async fn k39_a_sign_up_that_is_repeated_after_a_day_is_another_one_and_ends() {
    let world = World::new().await;
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    world.clock.advance(MORE_THAN_A_DAY);
    world.work("sweep").await.unwrap();
    assert_eq!(world.count("sign_ups").await, 0);
    for _ in 0..2 {
        let late = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
        assert_eq!(reason(&late), "INITIAL_DOMAIN_TAKEN");
    }
    world.clock.advance(Duration::from_mins(3));
    assert!(
        world.work("finish sign-ups").await.unwrap(),
        "it may have made a directory, which is asked once"
    );
    world.clock.advance(Duration::from_mins(3));
    assert!(!world.work("finish sign-ups").await.unwrap(), "nothing is left to do");
    assert_eq!(world.directory.states(), [State::Active]);
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn k39_a_sign_up_that_was_interrupted_for_a_day_is_given_up_and_its_label_free() {
    for by_worker in [true, false] {
        let world = World::new().await;
        world.directory.suffers(&[Trouble::CreateAnswerLost]);
        world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
        world.directory.suffers(&[]);
        world.clock.advance(MORE_THAN_A_DAY);
        if by_worker {
            assert!(world.work("finish sign-ups").await.unwrap());
        } else {
            let late = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
            assert_eq!(
                (late.code(), reason(&late)),
                (tonic::Code::FailedPrecondition, "REQUEST_ID_REUSED".into())
            );
        }
        assert_eq!(world.directory.states(), [State::Deleted]);
        let again = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
        assert_eq!(reason(&again), "SIGN_UP_ABANDONED");
        world.clock.advance(Duration::from_mins(3));
        assert!(!world.work("finish sign-ups").await.unwrap());
        world.sign_up(sign_up_request("contoso", "2")).await.unwrap();
    }
}

#[tokio::test]
async fn a_twin_that_is_refused_late_gets_the_answer_of_the_one_that_was_not() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::TakenAnswerHeld]);
    let slow = world.sign_up(sign_up_request("contoso", "1"));
    let fast = async {
        world.directory.holds().await;
        let made = world.sign_up(sign_up_request("contoso", "1")).await;
        world.directory.release.notify_one();
        made
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!(slow.unwrap(), fast.unwrap());
    assert_eq!(world.directory.states(), [State::Active]);
}

#[tokio::test]
async fn a_directory_whose_attempt_a_twin_has_ended_is_given_up() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::CreateAnswerHeld]);
    let slow = world.sign_up(sign_up_request("contoso", "1"));
    let fast = async {
        world.directory.holds().await;
        world.directory.suffers(&[Trouble::Taken]);
        let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
        world.directory.suffers(&[]);
        world.directory.release.notify_one();
        refused
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!(reason(&fast), "INITIAL_DOMAIN_TAKEN");
    assert_eq!(reason(&slow.unwrap_err()), "SIGN_UP_ABANDONED");
    assert_eq!(world.directory.states(), [State::Deleted]);
    assert_eq!(world.count("users").await, 0);
    // Who was told that the domain is taken may try again with the same request id (K7).
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn a_directory_whose_maker_died_before_noting_it_is_given_up_though_its_attempt_was_refused() {
    let world = World::new().await;
    world.directory.suffers(&[Trouble::CreateAnswerLost]);
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    world.directory.suffers(&[Trouble::Taken]);
    let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    assert_eq!(reason(&refused), "INITIAL_DOMAIN_TAKEN");
    assert_eq!(world.directory.states(), [State::Provisioning]);
    world.directory.suffers(&[]);
    world.clock.advance(Duration::from_mins(3));
    assert!(world.work("finish sign-ups").await.unwrap());
    assert_eq!(world.directory.states(), [State::Deleted]);
    world.clock.advance(Duration::from_mins(3));
    assert!(!world.work("finish sign-ups").await.unwrap(), "it is asked once");
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_turns_up_after_its_attempt_has_ended_is_given_up_by_the_worker_if_need_be() {
    // The attempt has ended, or made way for another one.
    for refused_twins in [1, 2] {
        let world = World::new().await;
        world.directory.suffers(&[Trouble::CreateAnswerHeld]);
        let slow = world.sign_up(sign_up_request("contoso", "1"));
        let fast = async {
            world.directory.holds().await;
            world.directory.suffers(&[Trouble::Taken]);
            for _ in 0..refused_twins {
                let refused = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
                assert_eq!(reason(&refused), "INITIAL_DOMAIN_TAKEN");
            }
            world.directory.suffers(&[Trouble::AbandonNotDone]);
            world.directory.release.notify_one();
        };
        let (slow, ()) = tokio::join!(slow, fast);
        assert_eq!(reason(&slow.unwrap_err()), "DEPENDENCY_UNAVAILABLE");
        assert_eq!(world.directory.states(), [State::Provisioning]);
        world.directory.suffers(&[]);
        world.clock.advance(Duration::from_mins(3));
        // The directory that turned up, and once what the refused attempt may have made.
        assert!(world.work("finish sign-ups").await.unwrap());
        assert!(world.work("finish sign-ups").await.unwrap());
        assert_eq!(world.directory.states(), [State::Deleted], "{refused_twins}");
        assert!(!world.work("finish sign-ups").await.unwrap(), "nothing is left to do");
        world.sign_up(sign_up_request("contoso", "2")).await.unwrap();
    }
}
