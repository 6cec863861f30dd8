//! Creating and reading people.

use std::time::Duration;

use access::Service;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::*;
use tonic::Code;

use super::world::{World, as_bearer, reason, request_id};

#[tokio::test]
async fn a_global_administrator_creates_members_and_a_member_does_not() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    assert_eq!(cy.user.user_type(), UserType::Member);
    assert!(cy.user.directory_roles.is_empty());
    let refused = world.users().create_user(as_bearer(&cy.token, World::new_user(&ada, "eve"))).await;
    assert_eq!(reason(&refused.unwrap_err()), "PERMISSION_DENIED");
    let users = "user-administrator";
    world.assign(&ada, &cy.user, users).await.unwrap();
    world.users().create_user(as_bearer(&cy.token, World::new_user(&ada, "eve"))).await.unwrap();
}

#[tokio::test]
async fn a_name_is_taken_in_any_case_and_a_retry_is_replayed() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let request = CreateUserRequest { request_id: request_id("cy"), ..World::new_user(&ada, "cy") };
    let first = world.users().create_user(as_bearer(&ada.token, request.clone())).await.unwrap();
    let again = world.users().create_user(as_bearer(&ada.token, request.clone())).await.unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
    let taken = world.users().create_user(as_bearer(&ada.token, World::new_user(&ada, "CY"))).await;
    let taken = taken.unwrap_err();
    assert_eq!((taken.code(), reason(&taken)), (Code::AlreadyExists, "USER_PRINCIPAL_NAME_TAKEN".into()));
    let other = CreateUserRequest { request_id: request_id("cy"), ..World::new_user(&ada, "di") };
    let reused = world.users().create_user(as_bearer(&ada.token, other)).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    assert_eq!(world.count("users").await, 2);
}

#[tokio::test]
async fn k39_a_retry_after_a_day_is_told_that_its_id_was_used() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let request = CreateUserRequest { request_id: request_id("cy"), ..World::new_user(&ada, "cy") };
    world.users().create_user(as_bearer(&ada.token, request.clone())).await.unwrap();
    world.clock.advance(Duration::from_hours(25));
    world.work("sweep").await.unwrap();
    let ada = world.sign_in(&ada.user.user_principal_name).await;
    let late = world.users().create_user(as_bearer(&ada.token, request)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late)), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
    let other = world.users().create_user(as_bearer(&ada.token, World::new_user(&ada, "cy"))).await;
    assert_eq!(reason(&other.unwrap_err()), "USER_PRINCIPAL_NAME_TAKEN");
}

#[tokio::test]
async fn a_name_lies_in_a_domain_that_is_verified_here() {
    let world = World::new().await;
    let (ada, bo) = (world.founded("contoso").await, world.founded("fabrikam").await);
    world.directory.verify_domain("contoso.com", &ada.directory());
    let named = |name: &str| {
        let mut request = World::new_user(&ada, "cy");
        request.user.as_mut().unwrap().user_principal_name = name.into();
        as_bearer(&ada.token, request)
    };
    world.users().create_user(named("cy@Contoso.COM")).await.unwrap();
    for foreign in
        [format!("cy@{}", bo.user.user_principal_name.split('@').nth(1).unwrap()), "cy@x.io".into()]
    {
        let refused = world.users().create_user(named(&foreign)).await.unwrap_err();
        assert_eq!(reason(&refused), "DOMAIN_NOT_VERIFIED", "{foreign}");
    }
}

#[tokio::test]
async fn validate_only_checks_everything_and_writes_nothing() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let before = (world.count("users").await, world.count("change_log").await);
    let request = |local| {
        let request = CreateUserRequest {
            validate_only: true,
            request_id: request_id("dry"),
            ..World::new_user(&ada, local)
        };
        as_bearer(&ada.token, request)
    };
    let shown = world.users().create_user(request("cy")).await.unwrap().into_inner().user.unwrap();
    assert_eq!((shown.name.as_str(), shown.etag.as_str(), shown.display_name.as_str()), ("", "", "cy"));
    let taken = world.users().create_user(request("Ada")).await.unwrap_err();
    assert_eq!(reason(&taken), "USER_PRINCIPAL_NAME_TAKEN");
    assert_eq!(before, (world.count("users").await, world.count("change_log").await));
    assert_eq!(world.count("idempotency_records").await, 0);
}

#[tokio::test]
async fn a_person_without_a_password_does_not_sign_in() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let mut request = World::new_user(&ada, "cy");
    request.user.as_mut().unwrap().password_profile = None;
    let made = world.users().create_user(as_bearer(&ada.token, request)).await.unwrap().into_inner();
    let name = made.user.unwrap().user_principal_name;
    assert_eq!(reason(&world.try_sign_in(&name, "").await.unwrap_err()), "FIELD_INVALID");
    assert_eq!(reason(&world.try_sign_in(&name, "x").await.unwrap_err()), "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn roles_are_shown_to_the_person_and_to_who_may_read_them() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    world.assign(&ada, &cy.user, "billing-administrator").await.unwrap();
    let get = |token: &str, name: &str| {
        let (mut users, request) =
            (world.users(), as_bearer(token, GetUserRequest { name: name.to_owned() }));
        async move { users.get_user(request).await.map(|answer| answer.into_inner().user.unwrap()) }
    };
    let billing = ["directoryRoles/billing-administrator"];
    assert_eq!(get(&cy.token, "users/me").await.unwrap().directory_roles, billing);
    assert_eq!(get(&ada.token, &cy.user.name).await.unwrap().directory_roles, billing);
    let seen = get(&cy.token, &ada.user.name).await.unwrap();
    assert!(seen.directory_roles.is_empty() && seen.last_sign_in_time.is_none());
    let mut peer = UserServiceClient::new(world.as_service(Service::Subscription));
    let name = cy.user.name.clone();
    let by_peer = peer.get_user(GetUserRequest { name }).await.unwrap().into_inner();
    assert_eq!(by_peer.user.unwrap().directory_roles, billing);
    let absent = format!("{}/users/{}", ada.directory(), request_id("nobody"));
    assert_eq!(reason(&get(&cy.token, &absent).await.unwrap_err()), "USER_NOT_FOUND");
    let bo = world.founded("fabrikam").await;
    for foreign in [&ada.user.name, &absent] {
        assert_eq!(reason(&get(&bo.token, foreign).await.unwrap_err()), "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    for local in ["kelly", "Kelvin", "cy"] {
        world.users().create_user(as_bearer(&ada.token, World::new_user(&ada, local))).await.unwrap();
    }
    world.execute("UPDATE users SET state = 'DISABLED' WHERE display_name = 'cy'").await;
    let list = |filter: &str, page_size: i32, page_token: &str| {
        let message = ListUsersRequest {
            parent: ada.directory(),
            page_size,
            page_token: page_token.to_owned(),
            filter: filter.to_owned(),
        };
        let (mut users, request) = (world.users(), as_bearer(&ada.token, message));
        async move { users.list_users(request).await.map(tonic::Response::into_inner) }
    };
    let names = |page: &ListUsersResponse| {
        let mut names: Vec<_> = page.users.iter().map(|user| user.display_name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&list("", 0, "").await.unwrap()), ["Ada", "Kelvin", "cy", "kelly"]);
    assert_eq!(names(&list("state = STATE_ACTIVE", 0, "").await.unwrap()), ["Ada", "Kelvin", "kelly"]);
    assert_eq!(names(&list("display_name = \"KEL*\"", 0, "").await.unwrap()), ["Kelvin", "kelly"]);
    assert_eq!(
        names(&list("user_principal_name = \"c*\" AND state != STATE_ACTIVE", 0, "").await.unwrap()),
        ["cy"]
    );
    assert!(list("state = STATE_DELETED", 0, "").await.unwrap().users.is_empty());
    assert_eq!(names(&list("state != STATE_ACTIVE", 0, "").await.unwrap()), ["cy"]);
    assert_eq!(names(&list("state != STATE_DELETED", 0, "").await.unwrap()).len(), 4);
    assert!(list("state = STATE_ACTIVE AND state != STATE_ACTIVE", 0, "").await.unwrap().users.is_empty());
    assert!(list("user_type != USER_TYPE_MEMBER", 0, "").await.unwrap().users.is_empty());
    assert_eq!(names(&list("display_name = kelvin", 0, "").await.unwrap()), ["Kelvin"]);
    assert_eq!(names(&list("display_name != kelvin", 0, "").await.unwrap()), ["Ada", "cy", "kelly"]);
    let begin = "display_name = \"KE*\" AND user_type = USER_TYPE_MEMBER AND state = STATE_ACTIVE";
    let one = list(begin, 1, "").await.unwrap();
    let other = list(begin, 1, &one.next_page_token).await.unwrap();
    let mut found = [names(&one), names(&other)].concat();
    found.sort();
    assert_eq!(found, ["Kelvin", "kelly"]);
    assert_eq!(other.next_page_token, "");
    let first = list("", 3, "").await.unwrap();
    let rest = list("", 3, &first.next_page_token).await.unwrap();
    assert_eq!((first.users.len(), rest.users.len(), rest.next_page_token.as_str()), (3, 1, ""));
    assert!(first.users.iter().all(|user| user.name != rest.users[0].name));
    let foreign = list("state = STATE_ACTIVE", 3, &first.next_page_token).await.unwrap_err();
    assert_eq!(reason(&foreign), "PAGE_TOKEN_INVALID");
    for wrong in ["mail = \"x\"", "display_name = \"a\0\"", "user_principal_name = \"a\0*\""] {
        assert_eq!(reason(&list(wrong, 0, "").await.unwrap_err()), "FILTER_INVALID", "{wrong:?}");
    }
}

#[tokio::test]
async fn me_tells_the_role_and_what_follows_from_it() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let me = |token: &str| {
        let (mut users, request) = (world.users(), as_bearer(token, GetMeRequest {}));
        async move { users.get_me(request).await.unwrap().into_inner() }
    };
    let member = me(&cy.token).await;
    assert_eq!(member.organizational_roles, ["User"]);
    assert_eq!(member.directory, ada.directory());
    assert_eq!(member.memberships.len(), 1);
    assert_eq!(member.session.unwrap().name, cy.session.name);
    let signs_up = "tenure.subscription/azureSubscriptions/signUp".to_owned();
    let attaches = "tenure.subscription/office365Subscriptions/attach".to_owned();
    assert!(member.effective_permissions.contains(&signs_up));
    assert!(!member.effective_permissions.contains(&attaches));
    world.assign(&ada, &cy.user, "billing-administrator").await.unwrap();
    let billing = me(&cy.token).await;
    assert_eq!(billing.organizational_roles, ["Billing Administrator"]);
    assert_eq!(billing.role_assignments.len(), 1);
    assert!(billing.effective_permissions.contains(&attaches));
}

#[tokio::test]
async fn memberships_are_told_to_peers_alone_and_include_those_as_a_guest() {
    let world = World::new().await;
    let (ada, bo) = (world.founded("contoso").await, world.founded("fabrikam").await);
    let cy = world.member(&ada, "cy").await;
    // A guest row as an invitation will make it: cy of contoso in fabrikam.
    world
        .execute(
            "UPDATE users SET user_type = 'GUEST',
                home_directory = (SELECT directory FROM users WHERE display_name = 'cy'),
                home_user = (SELECT id FROM users WHERE display_name = 'cy')
            WHERE user_principal_name = 'ada@fabrikam.tenure.internal'",
        )
        .await;
    let message = |user: &str| ListMembershipsRequest { user: user.into(), ..Default::default() };
    let refused = world.users().list_memberships(as_bearer(&ada.token, message(&cy.user.name))).await;
    assert_eq!(reason(&refused.unwrap_err()), "PERMISSION_DENIED");
    let mut peer = UserServiceClient::new(world.as_service(Service::Directory));
    for row in [&cy.user.name, &bo.user.name] {
        let memberships = peer.list_memberships(message(row)).await.unwrap().into_inner().memberships;
        let mut found: Vec<_> = memberships.iter().map(|m| (m.directory.clone(), m.user_type())).collect();
        found.sort();
        let mut expected = [(ada.directory(), UserType::Member), (bo.directory(), UserType::Guest)];
        expected.sort();
        assert_eq!(found, expected);
    }
}
