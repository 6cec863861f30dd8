//! The decision table behind the API: what was acknowledged counts at once, whoever is asking meanwhile (P-12).
//!
//! Beside which naive tables these tests stand is told in `decision_table`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use access::Service;
use access::permission::{AttachOffice365, Permission as _, ReadUsers, WriteRoleAssignments};
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::*;
use api::types::v1::ReadConsistency;
use api::types::v1::read_consistency::Level;
use kernel::{Principal, SessionId};
use runtime::peer::Peer;
use test_support::clock::START;
use tokio::task::JoinSet;

use super::directory::Trouble;
use super::world::{Persona, World, as_bearer, reason, request_id, sign_up_request};
use crate::store::standing::{About, find_now};
use crate::{Decisions, Settings};

const BILLING: &str = "billing-administrator";

async fn world(decisions: Decisions) -> World {
    World::deciding(decisions, Settings::default()).await
}

fn question(about: &Persona) -> CheckDirectoryRoleRequest {
    CheckDirectoryRoleRequest {
        directory: about.directory(),
        principal: about.user.name.clone(),
        session: about.session.name.clone(),
        ..Default::default()
    }
}

fn may_attach(about: &Persona) -> CheckDirectoryRoleRequest {
    CheckDirectoryRoleRequest {
        any_of_permissions: vec![AttachOffice365::NAME.to_owned()],
        ..question(about)
    }
}

fn at_least_latency(question: CheckDirectoryRoleRequest) -> CheckDirectoryRoleRequest {
    let consistency = Some(ReadConsistency { level: Some(Level::MinimizeLatency(true)) });
    CheckDirectoryRoleRequest { consistency, ..question }
}

/// `None` means allowed.
async fn denial(peer: Peer, question: CheckDirectoryRoleRequest) -> Option<DenialReason> {
    let answer = DirectoryRoleServiceClient::new(peer).check_directory_role(question).await.unwrap();
    let answer = answer.into_inner();
    (answer.decision() != Decision::Allowed).then(|| answer.denial_reason())
}

fn subscription(world: &World) -> Peer {
    world.as_service(Service::Subscription)
}

/// Whether the judge relies on nothing but what the database has at this moment.
async fn table_agrees(world: &World, personas: &[&Persona]) -> bool {
    for persona in personas {
        let principal: Principal = persona.user.name.parse().unwrap();
        let (_, session) = persona.session.name.rsplit_once('/').unwrap();
        let session: SessionId = session.parse().unwrap();
        for session in [None, Some(session)] {
            let consistency = access::Consistency::Fresh;
            let known = world.use_cases.judge.facts(principal, session, consistency).await.unwrap();
            let stored = find_now(&world.database.db, About::new(principal, session).unwrap()).await.unwrap();
            if format!("{:?}", known.standing()) != format!("{:?}", stored.as_ref()) {
                return false;
            }
        }
    }
    true
}

/// Keeps asking, so that there is always somebody who reads while something is committed.
fn ask_all_the_while(
    world: &World,
    questions: &[CheckDirectoryRoleRequest],
) -> (Arc<AtomicBool>, JoinSet<()>) {
    let (stop, mut asking) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for question in questions {
        let (peer, question, stop) = (subscription(world), question.clone(), Arc::clone(&stop));
        asking.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                denial(peer.clone(), question.clone()).await;
                tokio::task::yield_now().await;
            }
        });
    }
    (stop, asking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_thousand_rounds_a_role_taken_is_denied_at_once_while_others_ask() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let (stop, mut asking) = ask_all_the_while(&world, &[may_attach(&cy)]);
    let mut wrong = 0;
    for round in 0..1_000 {
        let given = world.assign(&ada, &cy.user, BILLING).await.unwrap();
        if denial(subscription(&world), may_attach(&cy)).await.is_some() {
            wrong += 1;
        }
        world.unassign(&ada.token, &given.name).await.unwrap();
        if denial(subscription(&world), may_attach(&cy)).await != Some(DenialReason::RoleMissing) {
            wrong += 1;
        }
        assert_eq!(wrong, 0, "round {round}");
    }
    stop.store(true, Ordering::SeqCst);
    while asking.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_revoked_is_denied_at_once_while_others_ask() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    for _ in 0..10 {
        let leaving = world.sign_in(&cy.user.user_principal_name).await;
        let (stop, mut asking) = ask_all_the_while(&world, &[question(&leaving), question(&cy)]);
        assert_eq!(denial(subscription(&world), question(&leaving)).await, None);
        let revoke = RevokeSessionRequest { name: leaving.session.name.clone() };
        world.sessions().revoke_session(as_bearer(&leaving.token, revoke)).await.unwrap();
        let after = denial(subscription(&world), question(&leaving)).await;
        assert_eq!(after, Some(DenialReason::SessionRevoked));
        assert_eq!(denial(subscription(&world), question(&cy)).await, None, "the other session goes on");
        stop.store(true, Ordering::SeqCst);
        while asking.join_next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_directory_that_becomes_active_is_known_to_be_at_once() {
    let world = world(Decisions::Authoritative).await;
    world.directory.suffers(&[Trouble::ActivateNotDone]);
    world.sign_up(sign_up_request("contoso", "contoso")).await.unwrap_err();
    let mut tx = world.database.db.read().await.unwrap();
    let name = "ada@contoso.tenure.internal";
    let found = crate::store::credentials::find(&mut tx, name).await.unwrap().unwrap();
    drop(tx);
    let ask = || CheckDirectoryRoleRequest {
        directory: format!("directories/{}", found.directory),
        principal: Principal::User(found.directory, found.user).to_string(),
        ..Default::default()
    };
    let by_operator = || async {
        let asked = as_bearer(&world.operator(), ask());
        world.roles().check_directory_role(asked).await.unwrap().into_inner().denial_reason()
    };
    assert_eq!(by_operator().await, DenialReason::DirectoryNotActive);
    world.directory.suffers(&[]);
    world.sign_up(sign_up_request("contoso", "contoso")).await.unwrap();
    assert_eq!(by_operator().await, DenialReason::Unspecified);
}

#[tokio::test]
async fn after_every_write_the_table_agrees_with_the_database() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let bo = world.founded("fabrikam").await;
    let cy = world.member(&ada, "cy").await;
    let all = [&ada, &bo, &cy];
    assert!(table_agrees(&world, &all).await, "after signing up, creating and signing in");
    let given = world.assign(&ada, &cy.user, BILLING).await.unwrap();
    assert!(table_agrees(&world, &all).await, "after giving a role");
    let again = world.assign(&ada, &cy.user, BILLING).await.unwrap_err();
    assert_eq!(reason(&again), "ROLE_ASSIGNMENT_EXISTS");
    assert!(table_agrees(&world, &all).await, "after a refusal");
    world.unassign(&ada.token, &given.name).await.unwrap();
    assert!(table_agrees(&world, &all).await, "after taking a role");
    world.clock.advance(Duration::from_mins(5));
    let refresh = |token: &str| RefreshSessionRequest { refresh_token: token.into() };
    let next = world.sessions().refresh_session(refresh(&cy.refresh_token)).await.unwrap().into_inner();
    assert!(table_agrees(&world, &all).await, "after refreshing a session");
    world.sessions().refresh_session(refresh(&next.refresh_token)).await.unwrap();
    world.sessions().refresh_session(refresh(&cy.refresh_token)).await.unwrap_err();
    assert!(table_agrees(&world, &all).await, "after a session died of a stolen token");
    let revoke = RevokeSessionRequest { name: bo.session.name.clone() };
    world.sessions().revoke_session(as_bearer(&bo.token, revoke)).await.unwrap();
    assert!(table_agrees(&world, &all).await, "after revoking a session");
    world.work("sweep").await.unwrap();
    assert!(table_agrees(&world, &all).await, "after a sweep");
}

#[tokio::test]
async fn a_role_given_again_after_its_end_is_held_again_until_its_new_one() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    for minutes in [2_u64, 4] {
        let message = CreateRoleAssignmentRequest {
            parent: ada.directory(),
            role_assignment: Some(DirectoryRoleAssignment {
                role: format!("directoryRoles/{BILLING}"),
                principal: cy.user.name.clone(),
                expire_time: Some(runtime::wire::timestamp(START.plus(Duration::from_mins(minutes)))),
                ..Default::default()
            }),
            ..Default::default()
        };
        world.roles().create_role_assignment(as_bearer(&ada.token, message)).await.unwrap();
        assert_eq!(denial(subscription(&world), may_attach(&cy)).await, None);
        // No write tells of this.
        world.clock.advance(Duration::from_mins(2));
        assert_eq!(denial(subscription(&world), may_attach(&cy)).await, Some(DenialReason::RoleMissing));
    }
}

#[tokio::test]
async fn a_session_ends_by_the_clock_and_lives_on_when_refreshed() {
    let lifetime = Duration::from_mins(8);
    let settings = Settings { session_lifetime: lifetime, ..Settings::default() };
    let world = World::deciding(Decisions::Authoritative, settings).await;
    let ada = world.founded("contoso").await;
    let bo = world.founded("fabrikam").await;
    assert_eq!(denial(subscription(&world), question(&ada)).await, None);
    assert_eq!(denial(subscription(&world), question(&bo)).await, None);
    world.clock.advance(Duration::from_mins(4));
    let refresh = RefreshSessionRequest { refresh_token: ada.refresh_token.clone() };
    world.sessions().refresh_session(refresh).await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(denial(subscription(&world), question(&ada)).await, None);
    assert_eq!(denial(subscription(&world), question(&bo)).await, Some(DenialReason::SessionRevoked));
}

/// Attack 16.
#[tokio::test]
async fn another_question_gets_its_own_answer() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let (bo, cy) = (world.founded("fabrikam").await, world.member(&ada, "cy").await);
    let peer = || subscription(&world);
    let asking = |permissions: &[&str]| CheckDirectoryRoleRequest {
        any_of_permissions: permissions.iter().map(ToString::to_string).collect(),
        ..question(&cy)
    };
    for _ in 0..2 {
        assert_eq!(denial(peer(), question(&cy)).await, None);
        assert_eq!(denial(peer(), asking(&[ReadUsers::NAME])).await, None);
        let missing = denial(peer(), asking(&[WriteRoleAssignments::NAME])).await;
        assert_eq!(missing, Some(DenialReason::RoleMissing));
        let by_role = CheckDirectoryRoleRequest {
            any_of_roles: vec!["directoryRoles/global-administrator".into()],
            ..question(&cy)
        };
        assert_eq!(denial(peer(), by_role).await, Some(DenialReason::RoleMissing));
        let elsewhere = CheckDirectoryRoleRequest { directory: bo.directory(), ..question(&cy) };
        assert_eq!(denial(peer(), elsewhere).await, Some(DenialReason::OtherDirectory));
        let others_session = CheckDirectoryRoleRequest { session: ada.session.name.clone(), ..question(&cy) };
        assert_eq!(denial(peer(), others_session).await, Some(DenialReason::SessionRevoked));
        let made_up = format!("{}/sessions/{}", cy.user.name, request_id("made up"));
        let made_up = CheckDirectoryRoleRequest { session: made_up, ..question(&cy) };
        assert_eq!(denial(peer(), made_up).await, Some(DenialReason::SessionRevoked));
        // Another caller: what ada may ask, cy may not, and bo not at all.
        let about_ada = || CheckDirectoryRoleRequest { session: String::new(), ..question(&ada) };
        world.roles().check_directory_role(as_bearer(&ada.token, about_ada())).await.unwrap();
        for stranger in [&cy, &bo] {
            let refused = world.roles().check_directory_role(as_bearer(&stranger.token, about_ada())).await;
            assert_eq!(reason(&refused.unwrap_err()), "PERMISSION_DENIED");
        }
    }
}

#[tokio::test]
async fn k20_a_guest_is_denied_as_soon_as_its_home_says_so() {
    let world = world(Decisions::Authoritative).await;
    let (ada, bo) = (world.founded("contoso").await, world.founded("fabrikam").await);
    world
        .execute(
            "UPDATE users SET user_type = 'GUEST',
                home_directory = (SELECT directory FROM users WHERE user_principal_name LIKE '%contoso%'),
                home_user = (SELECT id FROM users WHERE user_principal_name LIKE '%contoso%')
            WHERE user_principal_name LIKE '%fabrikam%'",
        )
        .await;
    let reads =
        CheckDirectoryRoleRequest { any_of_permissions: vec![ReadUsers::NAME.to_owned()], ..question(&bo) };
    for _ in 0..2 {
        assert_eq!(denial(subscription(&world), question(&bo)).await, None);
        assert_eq!(denial(subscription(&world), question(&ada)).await, None);
    }
    // A change of the home directory alone, as its own write would tell of it.
    world.execute_untold("UPDATE users SET state = 'DISABLED' WHERE user_type = 'MEMBER'").await;
    assert_eq!(denial(subscription(&world), question(&bo)).await, Some(DenialReason::PrincipalDisabled));
    assert_eq!(denial(subscription(&world), reads).await, Some(DenialReason::PrincipalDisabled));
}

/// Drops a call after so many steps; says whether it was answered before.
async fn given_up_after(mut steps: u32, call: impl Future) -> bool {
    let mut call = pin!(call);
    poll_fn(|context| match (call.as_mut().poll(context), steps) {
        (Poll::Ready(_), _) => Poll::Ready(true),
        (Poll::Pending, 0) => Poll::Ready(false),
        (Poll::Pending, _) => {
            steps -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_caller_is_gone_is_known_all_the_same() {
    let world = world(Decisions::Authoritative).await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let mut gone_through = 0;
    for steps in 0..2_000 {
        denial(subscription(&world), may_attach(&cy)).await;
        // Given up one step later in each round: now and then the COMMIT is on its way.
        let answered = given_up_after(steps % 50, world.assign(&ada, &cy.user, BILLING)).await;
        // It waits for the row that a COMMIT on its way has changed.
        world.execute_untold("UPDATE users SET language_code = language_code").await;
        let agrees = async {
            while !table_agrees(&world, &[&cy]).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), agrees).await.expect("the table never heard of it");
        let held = world.assignments(&ada, &format!("principal = \"{}\"", cy.user.name)).await;
        for held in held {
            gone_through += u32::from(!answered);
            world.unassign(&ada.token, &held.name).await.unwrap();
        }
        if steps >= 100 && gone_through > 0 {
            break;
        }
    }
    assert!(gone_through > 0, "no COMMIT was on its way");
}

#[tokio::test]
async fn where_others_write_only_those_who_allow_it_hear_old_news_and_for_at_most_five_seconds() {
    let world = world(Decisions::Aged).await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    world.assign(&ada, &cy.user, BILLING).await.unwrap();
    let fresh = || async { denial(subscription(&world), may_attach(&cy)).await };
    let fast = || async { denial(subscription(&world), at_least_latency(may_attach(&cy))).await };
    assert_eq!(fast().await, None);
    // Another process takes the role away.
    world.execute_untold("DELETE FROM role_assignments WHERE role = 'billing-administrator'").await;
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(fast().await, None, "old news, and allowed");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(fast().await, Some(DenialReason::RoleMissing));
    world.assign(&ada, &cy.user, BILLING).await.unwrap();
    assert_eq!(fast().await, None, "what this process wrote itself is known at once");
    world.execute_untold("DELETE FROM role_assignments WHERE role = 'billing-administrator'").await;
    assert_eq!(fresh().await, Some(DenialReason::RoleMissing));
    assert_eq!(fast().await, Some(DenialReason::RoleMissing), "what was read for others serves too");
}
