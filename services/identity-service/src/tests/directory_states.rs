//! What the directory context tells of a directory's state (K2, P-12): it counts from the answer on, for everybody.

use std::time::Duration;

use access::Service;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::directory_state_service_client::DirectoryStateServiceClient;
use api::identity::v1::*;
use api::types::v1::ReadConsistency;
use api::types::v1::read_consistency::Level;
use tonic::Status;

use super::world::{PASSWORD, Persona, World, as_bearer, reason};
use crate::{Decisions, Settings};

const ACTIVE: DirectoryState = DirectoryState::Active;
const SUSPENDED: DirectoryState = DirectoryState::Suspended;
const DELETED: DirectoryState = DirectoryState::Deleted;

async fn apply(
    world: &World,
    directory: &str,
    state: DirectoryState,
    revision: i64,
) -> Result<ApplyDirectoryStateResponse, Status> {
    let request =
        ApplyDirectoryStateRequest { directory: directory.to_owned(), state: state.into(), revision };
    let mut client = DirectoryStateServiceClient::new(world.as_service(Service::Directory));
    client.apply_directory_state(request).await.map(tonic::Response::into_inner)
}

/// What the checks of all consistencies say of a persona, each asked by a service and by themselves.
async fn checks(world: &World, persona: &Persona) -> Vec<Option<DenialReason>> {
    let mut answers = Vec::new();
    for level in [None, Some(Level::FullyConsistent(true)), Some(Level::MinimizeLatency(true))] {
        let question = CheckDirectoryRoleRequest {
            directory: persona.directory(),
            principal: persona.user.name.clone(),
            session: persona.session.name.clone(),
            consistency: level.map(|level| ReadConsistency { level: Some(level) }),
            ..Default::default()
        };
        let mut client = DirectoryRoleServiceClient::new(world.as_service(Service::Subscription));
        let answer = client.check_directory_role(question).await.unwrap().into_inner();
        answers.push((answer.decision() != Decision::Allowed).then(|| answer.denial_reason()));
    }
    answers
}

async fn refresh(world: &World, token: &str) -> Result<RefreshSessionResponse, Status> {
    let message = RefreshSessionRequest { refresh_token: token.to_owned() };
    world.sessions().refresh_session(message).await.map(tonic::Response::into_inner)
}

async fn who_am_i(world: &World, persona: &Persona) -> Result<(), Status> {
    world.users().get_me(as_bearer(&persona.token, GetMeRequest {})).await.map(|_| ())
}

/// Whether the persona gets anything, by any door.
async fn is_let_in(world: &World, persona: &Persona) -> bool {
    let checks = checks(world, persona).await;
    let allowed = checks.iter().all(Option::is_none);
    assert!(allowed || checks.iter().all(|denied| *denied == Some(DenialReason::DirectoryNotActive)));
    let doors = [
        who_am_i(world, persona).await.map_err(|status| (reason(&status), "PERMISSION_DENIED")),
        world
            .try_sign_in(&persona.user.user_principal_name, PASSWORD)
            .await
            .map(|_| ())
            .map_err(|status| (reason(&status), "DIRECTORY_SUSPENDED")),
        refresh(world, &persona.refresh_token)
            .await
            .map(|_| ())
            .map_err(|status| (reason(&status), "DIRECTORY_SUSPENDED")),
    ];
    for door in doors {
        assert_eq!(door.is_ok(), allowed, "{door:?}");
        if let Err((told, expected)) = door {
            assert_eq!(told, expected);
        }
    }
    allowed
}

#[tokio::test]
async fn p_12_nobody_gets_anything_in_a_directory_that_is_not_active_and_all_again_when_it_is() {
    for decisions in [Decisions::Authoritative, Decisions::Aged] {
        let world = World::deciding(decisions, Settings::default()).await;
        let ada = world.founded("contoso").await;
        let bo = world.founded("fabrikam").await;
        // The table is warm before, whoever is asked about.
        assert!(is_let_in(&world, &ada).await && is_let_in(&world, &bo).await);
        for (revision, state) in [(3, SUSPENDED), (4, DELETED), (5, ACTIVE), (6, DELETED), (7, ACTIVE)] {
            let answer = apply(&world, &ada.directory(), state, revision).await.unwrap();
            assert_eq!(
                (answer.directory.as_str(), answer.state(), answer.revision),
                (ada.directory().as_str(), state, revision)
            );
            assert_eq!(is_let_in(&world, &ada).await, state == ACTIVE, "{state:?}");
            assert!(is_let_in(&world, &bo).await, "another directory");
        }
    }
}

#[tokio::test]
async fn k_2_the_higher_revision_wins_in_whatever_order_they_come() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let name = ada.directory();
    apply(&world, &name, SUSPENDED, 9).await.unwrap();
    for (state, revision) in [(ACTIVE, 8), (ACTIVE, 9), (DELETED, 1)] {
        let answer = apply(&world, &name, state, revision).await.unwrap();
        assert_eq!((answer.state(), answer.revision), (SUSPENDED, 9));
        assert!(!is_let_in(&world, &ada).await);
    }
    apply(&world, &name, ACTIVE, 10).await.unwrap();
    assert!(is_let_in(&world, &ada).await);
}

#[tokio::test]
async fn a_directory_that_is_not_known_has_nobody_to_let_in() {
    let world = World::new().await;
    let name = "directories/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
    let answer = apply(&world, name, ACTIVE, 3).await.unwrap();
    assert_eq!((answer.directory.as_str(), answer.state(), answer.revision), (name, ACTIVE, 3));
    assert_eq!(world.count("directory_states").await, 0);
}

#[tokio::test]
async fn only_directory_service_tells() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let request =
        || ApplyDirectoryStateRequest { directory: ada.directory(), state: SUSPENDED.into(), revision: 9 };
    let mut by_peer = DirectoryStateServiceClient::new(world.as_service(Service::Subscription));
    let by_peer = by_peer.apply_directory_state(request()).await.unwrap_err();
    assert_eq!(reason(&by_peer), "PERMISSION_DENIED");
    let mut direct = DirectoryStateServiceClient::new(world.peer.clone());
    for token in [ada.token.clone(), world.operator()] {
        let refused = direct.apply_directory_state(as_bearer(&token, request())).await.unwrap_err();
        assert_eq!(reason(&refused), "PERMISSION_DENIED");
    }
    assert!(is_let_in(&world, &ada).await);
}

#[tokio::test]
async fn what_is_told_must_be_whole() {
    let world = World::new().await;
    for (directory, state, revision) in [
        ("contoso", ACTIVE, 1),
        ("directories/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6", DirectoryState::Unspecified, 1),
        ("directories/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6", ACTIVE, 0),
    ] {
        assert_eq!(reason(&apply(&world, directory, state, revision).await.unwrap_err()), "FIELD_INVALID");
    }
}

/// A suspension that is told before identity has noted that the directory is active stays, when it does (K2).
#[tokio::test]
async fn k_18_the_end_of_a_sign_up_opens_no_directory_that_is_suspended() {
    let world = World::new().await;
    let request = super::world::sign_up_request("contoso", "contoso");
    world.directory.suffers(&[super::directory::Trouble::ActivateNotDone]);
    world.sign_up(request.clone()).await.unwrap_err();
    let mut tx = world.database.db.read().await.unwrap();
    let name = "ada@contoso.tenure.internal";
    let found = crate::store::credentials::find(&mut tx, name).await.unwrap().unwrap();
    drop(tx);
    apply(&world, &format!("directories/{}", found.directory), SUSPENDED, 9).await.unwrap();
    world.directory.suffers(&[]);
    world.sign_up(request).await.unwrap();
    assert_eq!(reason(&world.try_sign_in(name, PASSWORD).await.unwrap_err()), "DIRECTORY_SUSPENDED");
}

/// Attack 3: a domain that a deleted directory had becomes another's, with people of the same names; nobody lands in the
/// old one, and nobody of the old one gets into the new.
#[tokio::test]
async fn a_name_whose_domain_changed_hands_is_the_living_directorys() {
    let world = World::new().await;
    let create = async |admin: &Persona, name: &str, password: &str| {
        let (_, domain) = name.split_once('@').unwrap();
        world.directory.verify_domain(domain, &admin.directory());
        let mut request = World::new_user(admin, "cy");
        let user = request.user.as_mut().unwrap();
        user.user_principal_name = name.to_owned();
        user.password_profile.as_mut().unwrap().password = password.to_owned();
        world.users().create_user(as_bearer(&admin.token, request)).await.unwrap().into_inner().user.unwrap()
    };
    let (old_password, new_password) = ("An 0ld passw0rd", "A new passw0rd, 9");
    for (round, old_first) in [true, false].into_iter().enumerate() {
        let name = &format!("cy@contoso-{round}.com");
        let one = world.founded(&format!("one-{round}")).await;
        let other = world.founded(&format!("other-{round}")).await;
        // Whichever row comes first in the table.
        let (old, new) = if old_first { (one, other) } else { (other, one) };
        let old_cy = create(&old, name, old_password).await;
        world.try_sign_in(name, old_password).await.unwrap();
        apply(&world, &old.directory(), DELETED, 100).await.unwrap();
        let refused = world.try_sign_in(name, old_password).await.unwrap_err();
        assert_eq!(reason(&refused), "DIRECTORY_SUSPENDED", "as long as nobody else has the name");
        let new_cy = create(&new, name, new_password).await;
        assert_ne!(old_cy.name, new_cy.name);
        let signed_in = world.try_sign_in(name, new_password).await.unwrap();
        assert_eq!(signed_in.user.unwrap().name, new_cy.name);
        let refused = world.try_sign_in(name, old_password).await.unwrap_err();
        assert_eq!(reason(&refused), "CREDENTIALS_INVALID");
        apply(&world, &new.directory(), DELETED, 100).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
}
