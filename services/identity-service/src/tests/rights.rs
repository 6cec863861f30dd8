//! Directory roles: giving, taking, and the answer to "may this principal, now?".

use access::Service;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::*;
use runtime::peer::Peer;
use std::time::Duration;
use test_support::clock::START;
use tokio::task::JoinSet;
use tonic::Code;

use super::world::{Persona, World, as_bearer, reason, request_id};

const GLOBAL: &str = "global-administrator";
const BILLING: &str = "billing-administrator";

fn question(about: &Persona) -> CheckDirectoryRoleRequest {
    CheckDirectoryRoleRequest {
        directory: about.directory(),
        principal: about.user.name.clone(),
        session: about.session.name.clone(),
        any_of_roles: vec![format!("directoryRoles/{BILLING}")],
        ..Default::default()
    }
}

async fn ask(peer: Peer, question: CheckDirectoryRoleRequest) -> CheckDirectoryRoleResponse {
    DirectoryRoleServiceClient::new(peer).check_directory_role(question).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_role_is_given_held_taken_and_counted() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let peer = || world.as_service(Service::Subscription);
    let before = ask(peer(), question(&cy)).await;
    assert_eq!((before.decision(), before.denial_reason()), (Decision::Denied, DenialReason::RoleMissing));
    let given = world.assign(&ada, &cy.user, BILLING).await.unwrap();
    assert_eq!(given.create_principal, ada.user.name);
    let held = ask(peer(), question(&cy)).await;
    assert_eq!(held.decision(), Decision::Allowed);
    assert_eq!(held.matched_roles, [format!("directoryRoles/{BILLING}")]);
    assert_eq!((held.directory, held.principal), (cy.directory(), cy.user.name.clone()));
    assert!(held.revision > before.revision);
    world.unassign(&ada.token, &given.name).await.unwrap();
    let after = ask(peer(), question(&cy)).await;
    assert_eq!(after.denial_reason(), DenialReason::RoleMissing);
    assert!(after.revision > held.revision);
    assert_eq!(
        reason(&world.unassign(&ada.token, &given.name).await.unwrap_err()),
        "ROLE_ASSIGNMENT_NOT_FOUND"
    );
}

#[tokio::test]
async fn every_denial_has_its_reason() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let (bo, cy) = (world.founded("fabrikam").await, world.member(&ada, "cy").await);
    let peer = || world.as_service(Service::Directory);
    let denial = |question| async { ask(peer(), question).await.denial_reason() };
    let absent = CheckDirectoryRoleRequest {
        principal: format!("{}/users/{}", ada.directory(), request_id("nobody")),
        ..question(&cy)
    };
    let answer = ask(peer(), absent).await;
    assert_eq!((answer.denial_reason(), answer.revision), (DenialReason::PrincipalNotFound, 0));
    let elsewhere = CheckDirectoryRoleRequest { directory: bo.directory(), ..question(&cy) };
    assert_eq!(denial(elsewhere).await, DenialReason::OtherDirectory);
    let foreign = CheckDirectoryRoleRequest { session: ada.session.name.clone(), ..question(&cy) };
    assert_eq!(denial(foreign).await, DenialReason::SessionRevoked);
    world.execute("UPDATE directory_states SET state = 'SUSPENDED'").await;
    assert_eq!(denial(question(&cy)).await, DenialReason::DirectoryNotActive);
    world.execute("UPDATE users SET state = 'DISABLED'").await;
    assert_eq!(denial(question(&cy)).await, DenialReason::PrincipalDisabled);
    world.execute("UPDATE users SET state = 'DELETED'").await;
    assert_eq!(denial(question(&cy)).await, DenialReason::PrincipalDeleted);
}

#[tokio::test]
async fn services_give_the_session_and_others_ask_about_themselves_or_as_readers() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let (bo, cy) = (world.founded("fabrikam").await, world.member(&ada, "cy").await);
    let without = CheckDirectoryRoleRequest { session: String::new(), ..question(&cy) };
    let mut peer = DirectoryRoleServiceClient::new(world.as_service(Service::Subscription));
    assert_eq!(reason(&peer.check_directory_role(without.clone()).await.unwrap_err()), "FIELD_INVALID");
    let by = |persona: &Persona, question: CheckDirectoryRoleRequest| {
        let (mut roles, request) = (world.roles(), as_bearer(&persona.token, question));
        async move { roles.check_directory_role(request).await.map(tonic::Response::into_inner) }
    };
    assert_eq!(by(&cy, without.clone()).await.unwrap().denial_reason(), DenialReason::RoleMissing);
    assert_eq!(by(&ada, without.clone()).await.unwrap().denial_reason(), DenialReason::RoleMissing);
    assert_eq!(by(&bo, without.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    let elsewhere = CheckDirectoryRoleRequest { directory: bo.directory(), ..without.clone() };
    assert_eq!(reason(&by(&cy, elsewhere).await.unwrap_err()), "PERMISSION_DENIED");
    let about_ada = CheckDirectoryRoleRequest { session: String::new(), ..question(&ada) };
    assert_eq!(by(&cy, about_ada.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    let operator = as_bearer(&world.operator(), about_ada);
    world.roles().check_directory_role(operator).await.unwrap();
    let unknown =
        CheckDirectoryRoleRequest { any_of_roles: vec!["directoryRoles/emperor".into()], ..without };
    assert_eq!(reason(&by(&ada, unknown).await.unwrap_err()), "FIELD_INVALID");
}

#[tokio::test]
async fn giving_a_role_twice_is_told_unless_that_is_fine() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let first = world.assign(&ada, &cy.user, BILLING).await.unwrap();
    let twice = world.assign(&ada, &cy.user, BILLING).await.unwrap_err();
    assert_eq!((twice.code(), reason(&twice)), (Code::AlreadyExists, "ROLE_ASSIGNMENT_EXISTS".into()));
    let fine = CreateRoleAssignmentRequest {
        parent: ada.directory(),
        role_assignment: Some(first.clone()),
        allow_existing: true,
        request_id: request_id("fine"),
    };
    for _ in 0..2 {
        let answer = world.roles().create_role_assignment(as_bearer(&ada.token, fine.clone())).await.unwrap();
        assert_eq!(answer.into_inner().role_assignment.unwrap(), first);
    }
    let absent =
        User { name: format!("{}/users/{}", ada.directory(), request_id("x")), ..Default::default() };
    assert_eq!(reason(&world.assign(&ada, &absent, BILLING).await.unwrap_err()), "PRINCIPAL_NOT_FOUND");
    assert_eq!(reason(&world.assign(&ada, &cy.user, "emperor").await.unwrap_err()), "ROLE_NOT_FOUND");
    assert_eq!(reason(&world.assign(&cy, &cy.user, GLOBAL).await.unwrap_err()), "PERMISSION_DENIED");
    world.execute("UPDATE users SET state = 'DISABLED' WHERE display_name = 'cy'").await;
    let refused = world.assign(&ada, &cy.user, GLOBAL).await.unwrap_err();
    assert_eq!(reason(&refused), "PRINCIPAL_NOT_ACTIVE");
    let refusals = world.count("refusals").await;
    assert!(refusals >= 4, "refusals of authenticated writes are recorded: {refusals}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_who_give_the_same_role_at_once_make_one_assignment() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (mut roles, message) = (
            world.roles(),
            CreateRoleAssignmentRequest {
                parent: ada.directory(),
                role_assignment: Some(DirectoryRoleAssignment {
                    role: format!("directoryRoles/{BILLING}"),
                    principal: cy.user.name.clone(),
                    ..Default::default()
                }),
                allow_existing: true,
                ..Default::default()
            },
        );
        let request = as_bearer(&ada.token, message);
        calls.spawn(async move { roles.create_role_assignment(request).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(world.count("role_assignments").await, 2);
}

#[tokio::test]
async fn an_assignment_ends_by_the_clock_and_can_be_given_anew() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let until = |minutes: u64| CreateRoleAssignmentRequest {
        parent: ada.directory(),
        role_assignment: Some(DirectoryRoleAssignment {
            role: format!("directoryRoles/{GLOBAL}"),
            principal: cy.user.name.clone(),
            expire_time: Some(runtime::wire::timestamp(START.plus(Duration::from_mins(minutes)))),
            ..Default::default()
        }),
        ..Default::default()
    };
    let past = as_bearer(&ada.token, until(0));
    assert_eq!(reason(&world.roles().create_role_assignment(past).await.unwrap_err()), "FIELD_INVALID");
    world.roles().create_role_assignment(as_bearer(&ada.token, until(5))).await.unwrap();
    // K17: it does not count, so that the permanent one is still the last.
    let permanent = world.assignments(&ada, &format!("principal = \"{}\"", ada.user.name)).await;
    let refused = world.unassign(&cy.token, &permanent[0].name).await.unwrap_err();
    assert_eq!(reason(&refused), "LAST_GLOBAL_ADMINISTRATOR");
    world.clock.advance(Duration::from_mins(5));
    let refused = world.unassign(&cy.token, &permanent[0].name).await.unwrap_err();
    assert_eq!(reason(&refused), "PERMISSION_DENIED");
    assert_eq!(world.assignments(&ada, "").await.len(), 1);
    world.assign(&ada, &cy.user, GLOBAL).await.unwrap();
    assert_eq!(world.assignments(&ada, &format!("role = \"directoryRoles/{GLOBAL}\"")).await.len(), 2);
}

#[tokio::test]
async fn a_retry_after_the_assignments_end_gets_the_recorded_answer() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let request = CreateRoleAssignmentRequest {
        parent: ada.directory(),
        role_assignment: Some(DirectoryRoleAssignment {
            role: format!("directoryRoles/{BILLING}"),
            principal: cy.user.name.clone(),
            expire_time: Some(runtime::wire::timestamp(START.plus(Duration::from_mins(5)))),
            ..Default::default()
        }),
        request_id: request_id("for five minutes"),
        ..Default::default()
    };
    let give = || {
        let (mut roles, request) = (world.roles(), as_bearer(&ada.token, request.clone()));
        async move { roles.create_role_assignment(request).await }
    };
    let first = give().await.unwrap().into_inner();
    world.clock.advance(Duration::from_mins(6));
    assert_eq!(give().await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn k39_giving_a_role_again_after_a_day_is_told_that_its_id_was_used() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    for allow_existing in [false, true] {
        let request = CreateRoleAssignmentRequest {
            parent: ada.directory(),
            role_assignment: Some(DirectoryRoleAssignment {
                role: if allow_existing {
                    "directoryRoles/reports-reader"
                } else {
                    "directoryRoles/guest-inviter"
                }
                .into(),
                principal: cy.user.name.clone(),
                ..Default::default()
            }),
            allow_existing,
            request_id: request_id(&allow_existing.to_string()),
        };
        let ada = world.sign_in(&ada.user.user_principal_name).await;
        world.roles().create_role_assignment(as_bearer(&ada.token, request.clone())).await.unwrap();
        world.clock.advance(Duration::from_hours(25));
        world.work("sweep").await.unwrap();
        let ada = world.sign_in(&ada.user.user_principal_name).await;
        let late = world.roles().create_role_assignment(as_bearer(&ada.token, request)).await.unwrap_err();
        assert_eq!(reason(&late), "REQUEST_ID_REUSED", "{allow_existing}");
    }
}

#[tokio::test]
async fn an_operator_who_gives_a_role_is_told_by_name() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let given = world.assign(&Persona { token: world.operator(), ..ada }, &cy.user, BILLING).await.unwrap();
    let operator = kernel::new_ids::derive(&["operator"]);
    assert_eq!(given.create_principal, format!("operators/{operator}"));
}

#[tokio::test]
async fn a_session_of_somebody_else_is_none_of_the_principals() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let ask = |session: String| async {
        let question = CheckDirectoryRoleRequest { session, any_of_roles: Vec::new(), ..question(&cy) };
        let answer = ask(world.as_service(Service::Directory), question).await;
        (answer.decision(), answer.denial_reason())
    };
    let (_, own) = cy.session.name.rsplit_once('/').unwrap();
    assert_eq!(ask(cy.session.name.clone()).await.0, Decision::Allowed);
    let mismatched = format!("{}/sessions/{own}", ada.user.name);
    assert_eq!(ask(mismatched).await, (Decision::Denied, DenialReason::SessionRevoked));
}

#[tokio::test]
async fn nobody_takes_the_last_or_their_own_global_administrator_role() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let own = world.assignments(&ada, "").await.remove(0);
    assert_eq!(reason(&world.unassign(&ada.token, &own.name).await.unwrap_err()), "OWN_GLOBAL_ADMINISTRATOR");
    let operator = world.operator();
    assert_eq!(reason(&world.unassign(&operator, &own.name).await.unwrap_err()), "LAST_GLOBAL_ADMINISTRATOR");
    world.assign(&ada, &cy.user, GLOBAL).await.unwrap();
    world.execute("UPDATE users SET state = 'DISABLED' WHERE display_name = 'cy'").await;
    assert_eq!(reason(&world.unassign(&operator, &own.name).await.unwrap_err()), "LAST_GLOBAL_ADMINISTRATOR");
    world.execute("UPDATE users SET state = 'ACTIVE'").await;
    let stale =
        DeleteRoleAssignmentRequest { name: own.name.clone(), etag: "stale".into(), ..Default::default() };
    let refused = world.roles().delete_role_assignment(as_bearer(&cy.token, stale)).await.unwrap_err();
    assert_eq!(reason(&refused), "ETAG_MISMATCH");
    let guarded = DeleteRoleAssignmentRequest {
        name: own.name.clone(),
        etag: own.etag.clone(),
        request_id: request_id("remove"),
        ..Default::default()
    };
    for _ in 0..2 {
        world.roles().delete_role_assignment(as_bearer(&cy.token, guarded.clone())).await.unwrap();
    }
    let missing = DeleteRoleAssignmentRequest { name: own.name, allow_missing: true, ..Default::default() };
    world.roles().delete_role_assignment(as_bearer(&cy.token, missing)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_who_remove_each_other_leave_one() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let bo = world.member(&ada, "bo").await;
    for round in 0..10 {
        world.execute("DELETE FROM role_assignments WHERE create_time >= 0").await;
        let insert = |name: &str| {
            format!(
                "INSERT INTO role_assignments (directory, id, principal, role, create_principal, create_time,
                    expire_time, revision)
                SELECT directory, id, id, '{GLOBAL}', 'test', 1, NULL, 1 FROM users WHERE display_name = '{name}'"
            )
        };
        world.execute(&insert("Ada")).await;
        world.execute(&insert("bo")).await;
        let id = |persona: &Persona| format!("{}/roleAssignments/{}", persona.directory(), persona.user.uid);
        let (of_ada, of_bo) = (id(&ada), id(&bo));
        let (a, b) = tokio::join!(world.unassign(&ada.token, &of_bo), world.unassign(&bo.token, &of_ada));
        assert!(a.is_ok() != b.is_ok(), "round {round}: {a:?} {b:?}");
        assert_eq!(world.count("role_assignments").await, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_member_lists_their_own_assignments_and_no_others() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    world.assign(&ada, &cy.user, "reports-reader").await.unwrap();
    let list = |filter: String| {
        let message = ListRoleAssignmentsRequest { parent: ada.directory(), filter, ..Default::default() };
        let (mut roles, request) = (world.roles(), as_bearer(&cy.token, message));
        async move { roles.list_role_assignments(request).await }
    };
    let own = list(format!("principal = \"{}\"", cy.user.name)).await.unwrap().into_inner();
    assert_eq!(own.role_assignments.len(), 1);
    for filter in [String::new(), format!("principal = \"{}\"", ada.user.name)] {
        assert_eq!(reason(&list(filter).await.unwrap_err()), "PERMISSION_DENIED");
    }
    for filter in ["principal != \"x\"", "principal = \"users/me\"", "role = \"emperor\""] {
        let refused = list(filter.to_owned()).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused)), (Code::InvalidArgument, "FILTER_INVALID".into()));
    }
}

#[tokio::test]
async fn all_roles_are_listed_in_pages() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListDirectoryRolesRequest { page_size: 50, page_token };
        let page = world.roles().list_directory_roles(as_bearer(&ada.token, message)).await.unwrap();
        let page = page.into_inner();
        names.extend(page.directory_roles.into_iter().map(|role| role.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 123);
    assert!(names.is_sorted());
}
