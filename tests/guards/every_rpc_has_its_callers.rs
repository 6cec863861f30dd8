//! Every rpc of the descriptor set, called by those who may not and by those who may: one reviewed table.
//!
//! An rpc without a row fails, so that no rpc is registered whose callers nobody has thought about (attacks 19, 20).

use std::collections::BTreeSet;

use api::directory::v1 as directory;
use api::identity::v1 as identity;
use api::subscription::v1 as subscription;
use prost::Message as _;
use runtime::peer::Peer;
use tonic::{Request, Status};

use crate::raw;
use crate::world::{E3, FREE_TRIAL, Person, World, reason, with_token};

/// What five callers get: nobody, another directory's Global Administrator, a plain member, a Global Administrator
/// whose session was revoked, and the operator.
struct Row {
    method: &'static str,
    anonymous: &'static str,
    foreign: &'static str,
    member: &'static str,
    revoked: &'static str,
    operator: &'static str,
}

const OK: &str = "OK";
const MISSING: &str = "Unauthenticated/TOKEN_MISSING";
const REVOKED: &str = "Unauthenticated/SESSION_REVOKED";
const DENIED: &str = "PermissionDenied/PERMISSION_DENIED";

const fn row(
    method: &'static str,
    anonymous: &'static str,
    foreign: &'static str,
    member: &'static str,
    revoked: &'static str,
    operator: &'static str,
) -> Row {
    Row { method, anonymous, foreign, member, revoked, operator }
}

const TABLE: &[Row] = &[
    // Peers and operators only: no principal is even asked about.
    row("directory.v1.DirectoryService/AbandonDirectory", MISSING, DENIED, DENIED, DENIED, DENIED),
    row("directory.v1.DirectoryService/ActivateDirectory", MISSING, DENIED, DENIED, DENIED, DENIED),
    row("directory.v1.DirectoryService/CreateDirectory", MISSING, DENIED, DENIED, DENIED, DENIED),
    row("directory.v1.DirectoryService/GetDirectory", MISSING, DENIED, OK, REVOKED, OK),
    row("directory.v1.DirectoryService/ListDirectories", MISSING, DENIED, DENIED, DENIED, OK),
    row("directory.v1.DirectoryService/ListMyDirectories", MISSING, OK, OK, REVOKED, DENIED),
    row("directory.v1.DomainService/CreateDomain", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("directory.v1.DomainService/DeleteDomain", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("directory.v1.DomainService/GetDomain", MISSING, DENIED, OK, REVOKED, DENIED),
    row("directory.v1.DomainService/ListDomains", MISSING, DENIED, OK, REVOKED, DENIED),
    row("directory.v1.DomainService/RotateDomainChallenge", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("directory.v1.DomainService/SetPrimaryDomain", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("directory.v1.DomainService/VerifyDomain", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("directory.v1.DomainService/ResolveDomain", MISSING, DENIED, DENIED, DENIED, OK),
    row("directory.v1.LienService/CreateLien", MISSING, DENIED, DENIED, DENIED, OK),
    row("directory.v1.LienService/DeleteLien", MISSING, DENIED, DENIED, DENIED, OK),
    // The operator has just deleted it.
    row("directory.v1.LienService/GetLien", MISSING, DENIED, DENIED, REVOKED, "NotFound/LIEN_NOT_FOUND"),
    row("directory.v1.LienService/ListLiens", MISSING, DENIED, DENIED, REVOKED, OK),
    row("identity.v1.DirectoryRoleService/CheckDirectoryRole", MISSING, DENIED, DENIED, REVOKED, OK),
    row("identity.v1.DirectoryRoleService/CreateRoleAssignment", MISSING, DENIED, DENIED, REVOKED, OK),
    // Another Global Administrator remains: the one whose session was revoked.
    row("identity.v1.DirectoryRoleService/DeleteRoleAssignment", MISSING, DENIED, DENIED, REVOKED, OK),
    row("identity.v1.DirectoryRoleService/ListDirectoryRoles", MISSING, OK, OK, REVOKED, DENIED),
    // A plain member lists own assignments by naming them in the filter, which this request does not.
    row("identity.v1.DirectoryRoleService/ListRoleAssignments", MISSING, DENIED, DENIED, REVOKED, OK),
    // Public: a token is not looked at.
    row("identity.v1.SessionService/GetJsonWebKeySet", OK, OK, OK, OK, OK),
    row(
        "identity.v1.SessionService/RefreshSession",
        "Unauthenticated/REFRESH_TOKEN_INVALID",
        "Unauthenticated/REFRESH_TOKEN_INVALID",
        "Unauthenticated/REFRESH_TOKEN_INVALID",
        "Unauthenticated/REFRESH_TOKEN_INVALID",
        "Unauthenticated/REFRESH_TOKEN_INVALID",
    ),
    row("identity.v1.SessionService/RevokeSession", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row(
        "identity.v1.SessionService/SignIn",
        "Unauthenticated/CREDENTIALS_INVALID",
        "Unauthenticated/CREDENTIALS_INVALID",
        "Unauthenticated/CREDENTIALS_INVALID",
        "Unauthenticated/CREDENTIALS_INVALID",
        "Unauthenticated/CREDENTIALS_INVALID",
    ),
    row(
        "identity.v1.SignUpService/SignUp",
        "AlreadyExists/INITIAL_DOMAIN_TAKEN",
        "AlreadyExists/INITIAL_DOMAIN_TAKEN",
        "AlreadyExists/INITIAL_DOMAIN_TAKEN",
        "AlreadyExists/INITIAL_DOMAIN_TAKEN",
        "AlreadyExists/INITIAL_DOMAIN_TAKEN",
    ),
    row("identity.v1.UserService/CreateUser", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row("identity.v1.UserService/GetMe", MISSING, OK, OK, REVOKED, DENIED),
    row("identity.v1.UserService/GetUser", MISSING, DENIED, OK, REVOKED, DENIED),
    row("identity.v1.UserService/ListMemberships", MISSING, DENIED, DENIED, DENIED, DENIED),
    row("identity.v1.UserService/ListUsers", MISSING, DENIED, OK, REVOKED, DENIED),
    row("subscription.v1.CatalogService/GetOffer", MISSING, OK, OK, REVOKED, DENIED),
    row("subscription.v1.CatalogService/GetProduct", MISSING, OK, OK, REVOKED, DENIED),
    row("subscription.v1.CatalogService/ListOffers", MISSING, OK, OK, REVOKED, DENIED),
    row("subscription.v1.CatalogService/ListProducts", MISSING, OK, OK, REVOKED, DENIED),
    row("subscription.v1.OrderService/GetOrder", MISSING, DENIED, DENIED, REVOKED, DENIED),
    // A plain member lists own orders: none.
    row("subscription.v1.OrderService/ListOrders", MISSING, DENIED, OK, REVOKED, DENIED),
    row("subscription.v1.OrderService/PreviewOffice365Order", MISSING, DENIED, DENIED, REVOKED, DENIED),
    row(
        "subscription.v1.SubscriptionService/AttachOffice365Subscription",
        MISSING,
        DENIED,
        DENIED,
        REVOKED,
        DENIED,
    ),
    row("subscription.v1.SubscriptionService/GetSubscription", MISSING, DENIED, DENIED, REVOKED, DENIED),
    // A plain member lists own subscriptions.
    row("subscription.v1.SubscriptionService/ListSubscriptions", MISSING, DENIED, OK, REVOKED, DENIED),
    // It lands in the caller's own directory, whichever that is (P-1).
    row("subscription.v1.SubscriptionService/SignUpAzureSubscription", MISSING, OK, OK, REVOKED, DENIED),
];

/// What the requests name: a directory of Ada's with something of everything in it.
struct Stage {
    ada: Person,
    assignment: String,
    subscription: String,
    order: String,
    lien: String,
    request_id: String,
}

async fn stage(world: &World) -> Stage {
    let ada = world.sign_up("contoso").await;
    let answer = world.attach(&ada, world.trial_request(&ada.directory, E3)).await.unwrap();
    let liens = directory::ListLiensRequest { parent: ada.directory.clone(), ..Default::default() };
    let liens = world.liens().list_liens(ada.says(liens)).await.unwrap().into_inner().liens;
    Stage {
        assignment: world.assignment_of(&ada, &ada, "global-administrator").await,
        subscription: answer.subscription.unwrap().name,
        order: answer.order.unwrap().name,
        lien: liens[0].name.clone(),
        request_id: world.request_id(),
        ada,
    }
}

/// A request that the method understands, about Ada's directory.
fn message(method: &str, on: &Stage) -> Vec<u8> {
    match method.split('.').next() {
        Some("directory") => directory_message(method, on),
        Some("identity") => identity_message(method, on),
        _ => subscription_message(method, on),
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn directory_message(method: &str, on: &Stage) -> Vec<u8> {
    let parent = on.ada.directory.clone();
    let name = format!("{parent}/domains/contoso.tenure.internal");
    match method.rsplit('/').next().unwrap() {
        "CreateDomain" => directory::CreateDomainRequest {
            parent,
            domain_id: "contoso.example".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "DeleteDomain" => directory::DeleteDomainRequest { name, ..Default::default() }.encode_to_vec(),
        "GetDomain" => directory::GetDomainRequest { name }.encode_to_vec(),
        "ListDomains" => directory::ListDomainsRequest { parent, ..Default::default() }.encode_to_vec(),
        "RotateDomainChallenge" => {
            directory::RotateDomainChallengeRequest { name, ..Default::default() }.encode_to_vec()
        }
        "SetPrimaryDomain" => {
            directory::SetPrimaryDomainRequest { name, ..Default::default() }.encode_to_vec()
        }
        "VerifyDomain" => directory::VerifyDomainRequest { name, ..Default::default() }.encode_to_vec(),
        "AbandonDirectory" => {
            directory::AbandonDirectoryRequest { name: parent, ..Default::default() }.encode_to_vec()
        }
        "ActivateDirectory" => {
            directory::ActivateDirectoryRequest { name: parent, ..Default::default() }.encode_to_vec()
        }
        "CreateDirectory" => directory::CreateDirectoryRequest {
            directory: Some(directory::Directory {
                display_name: "Fabrikam".to_owned(),
                ..Default::default()
            }),
            initial_domain_label: "another".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetDirectory" => directory::GetDirectoryRequest { name: parent }.encode_to_vec(),
        "ListDirectories" => directory::ListDirectoriesRequest::default().encode_to_vec(),
        "ListMyDirectories" => directory::ListMyDirectoriesRequest::default().encode_to_vec(),
        "ResolveDomain" => {
            directory::ResolveDomainRequest { domain: "contoso.tenure.internal".to_owned() }.encode_to_vec()
        }
        "CreateLien" => directory::CreateLienRequest {
            parent: parent.clone(),
            lien: Some(directory::Lien {
                resource: parent,
                restrictions: vec!["directory.directories.delete".to_owned()],
                reason: "a test".to_owned(),
                origin: "a test".to_owned(),
                revision: 1,
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec(),
        "DeleteLien" => {
            directory::DeleteLienRequest { name: on.lien.clone(), ..Default::default() }.encode_to_vec()
        }
        "GetLien" => directory::GetLienRequest { name: on.lien.clone() }.encode_to_vec(),
        "ListLiens" => directory::ListLiensRequest { parent, ..Default::default() }.encode_to_vec(),
        other => panic!("{other} has no request here"),
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn identity_message(method: &str, on: &Stage) -> Vec<u8> {
    let parent = on.ada.directory.clone();
    let user = on.ada.name.clone();
    match method.rsplit('/').next().unwrap() {
        "CheckDirectoryRole" => identity::CheckDirectoryRoleRequest {
            directory: parent,
            principal: user,
            any_of_roles: vec!["directoryRoles/global-administrator".to_owned()],
            ..Default::default()
        }
        .encode_to_vec(),
        "CreateRoleAssignment" => identity::CreateRoleAssignmentRequest {
            parent,
            role_assignment: Some(identity::DirectoryRoleAssignment {
                role: "directoryRoles/billing-administrator".to_owned(),
                principal: user,
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec(),
        "DeleteRoleAssignment" => {
            identity::DeleteRoleAssignmentRequest { name: on.assignment.clone(), ..Default::default() }
                .encode_to_vec()
        }
        "ListDirectoryRoles" => identity::ListDirectoryRolesRequest::default().encode_to_vec(),
        "ListRoleAssignments" => {
            identity::ListRoleAssignmentsRequest { parent, ..Default::default() }.encode_to_vec()
        }
        "GetJsonWebKeySet" => identity::GetJsonWebKeySetRequest {}.encode_to_vec(),
        "RefreshSession" => {
            identity::RefreshSessionRequest { refresh_token: "not-a-token".to_owned() }.encode_to_vec()
        }
        "RevokeSession" => identity::RevokeSessionRequest { name: on.ada.session.clone() }.encode_to_vec(),
        "SignIn" => identity::SignInRequest {
            user_principal_name: on.ada.user_principal_name.clone(),
            password: "Wrong-Horse-9".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "SignUp" => identity::SignUpRequest {
            organization_display_name: "Contoso".to_owned(),
            domain_label: "contoso".to_owned(),
            admin_user: Some(identity::User {
                user_principal_name: "ada".to_owned(),
                display_name: "Ada".to_owned(),
                ..Default::default()
            }),
            password: crate::world::PASSWORD.to_owned(),
            request_id: on.request_id.clone(),
            ..Default::default()
        }
        .encode_to_vec(),
        "CreateUser" => identity::CreateUserRequest {
            parent,
            user: Some(identity::User {
                user_principal_name: "new@contoso.tenure.internal".to_owned(),
                display_name: "New".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetMe" => identity::GetMeRequest {}.encode_to_vec(),
        "GetUser" => identity::GetUserRequest { name: user }.encode_to_vec(),
        "ListMemberships" => identity::ListMembershipsRequest { user, ..Default::default() }.encode_to_vec(),
        "ListUsers" => identity::ListUsersRequest { parent, ..Default::default() }.encode_to_vec(),
        other => panic!("{other} has no request here"),
    }
}

fn subscription_message(method: &str, on: &Stage) -> Vec<u8> {
    let parent = on.ada.directory.clone();
    match method.rsplit('/').next().unwrap() {
        "GetOffer" => subscription::GetOfferRequest { name: E3.to_owned() }.encode_to_vec(),
        "GetProduct" => {
            subscription::GetProductRequest { name: "products/enterprisepack".to_owned() }.encode_to_vec()
        }
        "ListOffers" => {
            subscription::ListOffersRequest { parent: "products/-".to_owned(), ..Default::default() }
                .encode_to_vec()
        }
        "ListProducts" => subscription::ListProductsRequest::default().encode_to_vec(),
        "GetOrder" => subscription::GetOrderRequest { name: on.order.clone() }.encode_to_vec(),
        "ListOrders" => subscription::ListOrdersRequest { parent, ..Default::default() }.encode_to_vec(),
        "PreviewOffice365Order" => subscription::PreviewOffice365OrderRequest {
            parent,
            offer: E3.to_owned(),
            trial: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "AttachOffice365Subscription" => subscription::AttachOffice365SubscriptionRequest {
            parent,
            offer: E3.to_owned(),
            trial: true,
            accept_terms: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "GetSubscription" => {
            subscription::GetSubscriptionRequest { name: on.subscription.clone() }.encode_to_vec()
        }
        "ListSubscriptions" => {
            subscription::ListSubscriptionsRequest { parent, ..Default::default() }.encode_to_vec()
        }
        "SignUpAzureSubscription" => subscription::SignUpAzureSubscriptionRequest {
            offer: FREE_TRIAL.to_owned(),
            display_name: "Azure".to_owned(),
            accept_terms: true,
            ..Default::default()
        }
        .encode_to_vec(),
        other => panic!("{other} has no request here"),
    }
}

fn peer(world: &World, method: &str) -> Peer {
    match method.split('.').next() {
        Some("directory") => world.directory_peer(),
        Some("identity") => world.identity_peer(),
        _ => world.subscription_peer(),
    }
}

async fn outcome(world: &World, method: &str, request: Request<Vec<u8>>) -> String {
    let answer: Result<_, Status> =
        raw::call(peer(world, method), &format!("/tenure.{method}"), request).await;
    answer.map_or_else(|status| reason(&status), |_| OK.to_owned())
}

#[test]
fn every_rpc_has_a_row() {
    let rows: BTreeSet<_> = TABLE.iter().map(|row| format!("/tenure.{}", row.method)).collect();
    let rpcs: BTreeSet<_> = api::method_paths().into_iter().collect();
    assert_eq!(rows, rpcs);
    assert_eq!(TABLE.len(), rpcs.len(), "each rpc has one row");
}

#[tokio::test]
async fn every_rpc_answers_its_callers_as_reviewed() {
    let world = World::new().await;
    let on = stage(&world).await;
    let foreign = world.sign_up("fabrikam").await;
    let member = world.add(&on.ada, "cy").await;
    let revoked = world.add(&on.ada, "eve").await;
    world.give(&on.ada, &revoked, "global-administrator").await;
    let revoke = identity::RevokeSessionRequest { name: revoked.session.clone() };
    world.sessions().revoke_session(revoked.says(revoke)).await.unwrap();
    let mut wrong = Vec::new();
    for row in TABLE {
        let message = || message(row.method, &on);
        let callers = [
            ("anonymous", Request::new(message()), row.anonymous),
            ("foreign", with_token(message(), &foreign.token), row.foreign),
            ("member", with_token(message(), &member.token), row.member),
            ("revoked", with_token(message(), &revoked.token), row.revoked),
            ("operator", with_token(message(), &world.operator_token()), row.operator),
        ];
        for (who, request, expected) in callers {
            let got = outcome(&world, row.method, request).await;
            if got != expected {
                wrong.push(format!("{who} {}: {got}, not {expected}", row.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A token that is no token, or whose signature was tampered with, is refused everywhere but where none is needed.
#[tokio::test]
async fn a_forged_token_is_refused_by_every_rpc_that_needs_one() {
    let world = World::new().await;
    let on = stage(&world).await;
    let mut tampered = on.ada.token.clone().into_bytes();
    let last = tampered.len() - 20;
    tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for path in api::method_paths().iter().filter(|path| !access::calls::is_public(path)) {
        let method = path.strip_prefix("/tenure.").unwrap();
        for token in ["nonsense", &tampered] {
            let got = outcome(&world, method, with_token(message(method, &on), token)).await;
            assert_eq!(got, "Unauthenticated/TOKEN_INVALID", "{method}");
        }
    }
}
