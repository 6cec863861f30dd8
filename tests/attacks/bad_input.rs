//! Bad input to every rpc that takes any: `INVALID_ARGUMENT`, every wrong field at once, and nothing written.

use std::collections::BTreeSet;

use api::directory::v1 as directory;
use api::identity::v1 as identity;
use api::subscription::v1 as subscription;
use prost::Message;
use runtime::peer::Peer;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::raw;
use crate::world::{World, with_token};

const BAD: &str = "no name at all";

/// Who calls: whoever would be allowed to, so that it is the input that is refused.
#[derive(Clone, Copy)]
enum As {
    Administrator,
    Operator,
    Identity,
}

struct Row {
    method: &'static str,
    by: As,
    message: Vec<u8>,
    fields: &'static [&'static str],
}

fn row(method: &'static str, by: As, message: &impl Message, fields: &'static [&'static str]) -> Row {
    Row { method, by, message: message.encode_to_vec(), fields }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn directory_rows() -> Vec<Row> {
    use directory::{
        AbandonDirectoryRequest, ActivateDirectoryRequest, CreateDirectoryRequest, CreateLienRequest,
        DeleteLienRequest, Directory, GetDirectoryRequest, GetLienRequest, Lien, ListDirectoriesRequest,
        ListLiensRequest, ListMyDirectoriesRequest, ResolveDomainRequest,
    };
    let (bad, id) = (BAD.to_owned(), "nonsense".to_owned());
    vec![
        row(
            "directory.v1.DirectoryService/CreateDirectory",
            As::Identity,
            &CreateDirectoryRequest {
                directory: Some(Directory { region_code: "XX".to_owned(), ..Directory::default() }),
                initial_domain_label: "-bad-".to_owned(),
                request_id: id.clone(),
            },
            &["directory.display_name", "directory.region_code", "initial_domain_label", "request_id"],
        ),
        row(
            "directory.v1.DirectoryService/ActivateDirectory",
            As::Identity,
            &ActivateDirectoryRequest { name: bad.clone(), request_id: id.clone() },
            &["name", "request_id"],
        ),
        row(
            "directory.v1.DirectoryService/AbandonDirectory",
            As::Identity,
            &AbandonDirectoryRequest { name: bad.clone(), request_id: id.clone() },
            &["name", "request_id"],
        ),
        row(
            "directory.v1.DirectoryService/GetDirectory",
            As::Administrator,
            &GetDirectoryRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "directory.v1.DirectoryService/ListDirectories",
            As::Operator,
            &ListDirectoriesRequest { page_size: -1, page_token: bad.clone() },
            &["page_size"],
        ),
        row(
            "directory.v1.DirectoryService/ListMyDirectories",
            As::Administrator,
            &ListMyDirectoriesRequest { page_size: -1, page_token: String::new() },
            &["page_size"],
        ),
        row(
            "directory.v1.DomainService/ResolveDomain",
            As::Operator,
            &ResolveDomainRequest { domain: "not a domain".to_owned() },
            &["domain"],
        ),
        row(
            "directory.v1.LienService/CreateLien",
            As::Operator,
            &CreateLienRequest {
                parent: bad.clone(),
                lien: Some(Lien { resource: bad.clone(), reason: "r".repeat(201), ..Lien::default() }),
                request_id: id.clone(),
            },
            &["lien.origin", "lien.reason", "lien.resource", "lien.restrictions", "parent", "request_id"],
        ),
        row(
            "directory.v1.LienService/GetLien",
            As::Operator,
            &GetLienRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "directory.v1.LienService/ListLiens",
            As::Operator,
            &ListLiensRequest { parent: bad.clone(), page_size: -1, ..ListLiensRequest::default() },
            &["page_size", "parent"],
        ),
        row(
            "directory.v1.LienService/DeleteLien",
            As::Operator,
            &DeleteLienRequest { name: bad, request_id: id, allow_missing: true },
            &["name", "request_id"],
        ),
    ]
}

fn domain_rows() -> Vec<Row> {
    use directory::{
        CreateDomainRequest, DeleteDomainRequest, GetDomainRequest, ListDomainsRequest,
        RotateDomainChallengeRequest, SetPrimaryDomainRequest, VerifyDomainRequest,
    };
    let (by, bad, id) = (As::Administrator, BAD.to_owned(), "nonsense".to_owned());
    let named = &["name", "request_id"];
    vec![
        row(
            "directory.v1.DomainService/CreateDomain",
            by,
            &CreateDomainRequest {
                parent: bad.clone(),
                domain_id: "'; DROP TABLE domains; --".to_owned(),
                request_id: id.clone(),
            },
            &["domain_id", "parent", "request_id"],
        ),
        row(
            "directory.v1.DomainService/VerifyDomain",
            by,
            &VerifyDomainRequest { name: bad.clone(), request_id: id.clone() },
            named,
        ),
        row(
            "directory.v1.DomainService/RotateDomainChallenge",
            by,
            &RotateDomainChallengeRequest { name: bad.clone(), request_id: id.clone() },
            named,
        ),
        row(
            "directory.v1.DomainService/SetPrimaryDomain",
            by,
            &SetPrimaryDomainRequest { name: bad.clone(), request_id: id.clone() },
            named,
        ),
        row("directory.v1.DomainService/GetDomain", by, &GetDomainRequest { name: bad.clone() }, &["name"]),
        row(
            "directory.v1.DomainService/ListDomains",
            by,
            &ListDomainsRequest { parent: bad.clone(), page_size: -1, ..ListDomainsRequest::default() },
            &["page_size", "parent"],
        ),
        row(
            "directory.v1.DomainService/DeleteDomain",
            by,
            &DeleteDomainRequest { name: bad, request_id: id, ..DeleteDomainRequest::default() },
            named,
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn identity_rows() -> Vec<Row> {
    use identity::{
        CheckDirectoryRoleRequest, CreateRoleAssignmentRequest, CreateUserRequest,
        DeleteRoleAssignmentRequest, DirectoryRoleAssignment, GetUserRequest, ListDirectoryRolesRequest,
        ListRoleAssignmentsRequest, ListUsersRequest, PasswordProfile, RevokeSessionRequest, SignUpRequest,
        User, UserType,
    };
    let (bad, id) = (BAD.to_owned(), "nonsense".to_owned());
    vec![
        row(
            "identity.v1.SignUpService/SignUp",
            As::Administrator,
            &SignUpRequest {
                domain_label: "-bad-".to_owned(),
                region_code: "XX".to_owned(),
                admin_user: Some(User { user_principal_name: "a b".to_owned(), ..User::default() }),
                password: "short".to_owned(),
                request_id: id.clone(),
                ..SignUpRequest::default()
            },
            &[
                "admin_user.display_name",
                "admin_user.user_principal_name",
                "domain_label",
                "organization_display_name",
                "password",
                "region_code",
                "request_id",
            ],
        ),
        row(
            "identity.v1.UserService/CreateUser",
            As::Administrator,
            &CreateUserRequest {
                parent: bad.clone(),
                user: Some(User {
                    user_principal_name: "two@at@signs".to_owned(),
                    display_name: "d".repeat(257),
                    region_code: "XX".to_owned(),
                    user_type: UserType::Guest.into(),
                    password_profile: Some(PasswordProfile {
                        password: "short".to_owned(),
                        change_required: false,
                    }),
                    ..User::default()
                }),
                request_id: id.clone(),
                validate_only: false,
            },
            &[
                "parent",
                "request_id",
                "user.display_name",
                "user.password_profile.password",
                "user.region_code",
                "user.user_principal_name",
                "user.user_type",
            ],
        ),
        row(
            "identity.v1.UserService/GetUser",
            As::Administrator,
            &GetUserRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "identity.v1.UserService/ListUsers",
            As::Administrator,
            &ListUsersRequest { parent: bad.clone(), page_size: -1, ..ListUsersRequest::default() },
            &["page_size", "parent"],
        ),
        row(
            "identity.v1.SessionService/RevokeSession",
            As::Administrator,
            &RevokeSessionRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "identity.v1.DirectoryRoleService/ListDirectoryRoles",
            As::Administrator,
            &ListDirectoryRolesRequest { page_size: -1, page_token: String::new() },
            &["page_size"],
        ),
        row(
            "identity.v1.DirectoryRoleService/CreateRoleAssignment",
            As::Administrator,
            &CreateRoleAssignmentRequest {
                parent: bad.clone(),
                role_assignment: Some(DirectoryRoleAssignment {
                    role: bad.clone(),
                    principal: bad.clone(),
                    ..DirectoryRoleAssignment::default()
                }),
                allow_existing: false,
                request_id: id.clone(),
            },
            &["parent", "request_id", "role_assignment.principal", "role_assignment.role"],
        ),
        row(
            "identity.v1.DirectoryRoleService/DeleteRoleAssignment",
            As::Administrator,
            &DeleteRoleAssignmentRequest { name: bad.clone(), request_id: id, ..Default::default() },
            &["name", "request_id"],
        ),
        row(
            "identity.v1.DirectoryRoleService/ListRoleAssignments",
            As::Administrator,
            &ListRoleAssignmentsRequest { parent: bad.clone(), page_size: -1, ..Default::default() },
            &["page_size", "parent"],
        ),
        row(
            "identity.v1.DirectoryRoleService/CheckDirectoryRole",
            As::Operator,
            &CheckDirectoryRoleRequest {
                directory: bad.clone(),
                principal: bad.clone(),
                session: bad.clone(),
                any_of_roles: vec![bad],
                ..CheckDirectoryRoleRequest::default()
            },
            &["any_of_roles[0]", "directory", "principal", "session"],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn subscription_rows() -> Vec<Row> {
    use subscription::{
        AttachOffice365SubscriptionRequest, GetOfferRequest, GetOrderRequest, GetProductRequest,
        GetSubscriptionRequest, ListOffersRequest, ListOrdersRequest, ListProductsRequest,
        ListSubscriptionsRequest, PreviewOffice365OrderRequest, SignUpAzureSubscriptionRequest,
    };
    let (bad, id) = (BAD.to_owned(), "nonsense".to_owned());
    let by = As::Administrator;
    vec![
        row(
            "subscription.v1.CatalogService/ListProducts",
            by,
            &ListProductsRequest { page_size: -1, ..Default::default() },
            &["page_size"],
        ),
        row(
            "subscription.v1.CatalogService/GetProduct",
            by,
            &GetProductRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "subscription.v1.CatalogService/ListOffers",
            by,
            &ListOffersRequest { parent: bad.clone(), page_size: -1, ..Default::default() },
            &["page_size", "parent"],
        ),
        row("subscription.v1.CatalogService/GetOffer", by, &GetOfferRequest { name: bad.clone() }, &["name"]),
        row(
            "subscription.v1.OrderService/PreviewOffice365Order",
            by,
            &PreviewOffice365OrderRequest {
                parent: bad.clone(),
                offer: bad.clone(),
                seat_count: -1,
                trial: false,
            },
            &["offer", "parent", "seat_count"],
        ),
        row("subscription.v1.OrderService/GetOrder", by, &GetOrderRequest { name: bad.clone() }, &["name"]),
        row(
            "subscription.v1.OrderService/ListOrders",
            by,
            &ListOrdersRequest { parent: bad.clone(), page_size: -1, ..Default::default() },
            &["page_size", "parent"],
        ),
        row(
            "subscription.v1.SubscriptionService/AttachOffice365Subscription",
            by,
            &AttachOffice365SubscriptionRequest {
                parent: bad.clone(),
                offer: bad.clone(),
                seat_count: -1,
                display_name: "d".repeat(257),
                request_id: id.clone(),
                ..Default::default()
            },
            &["display_name", "offer", "parent", "request_id", "seat_count"],
        ),
        row(
            "subscription.v1.SubscriptionService/SignUpAzureSubscription",
            by,
            &SignUpAzureSubscriptionRequest {
                offer: bad.clone(),
                display_name: "d".repeat(257),
                expected_directory: bad.clone(),
                request_id: id,
                ..Default::default()
            },
            &["display_name", "expected_directory", "offer", "request_id"],
        ),
        row(
            "subscription.v1.SubscriptionService/GetSubscription",
            by,
            &GetSubscriptionRequest { name: bad.clone() },
            &["name"],
        ),
        row(
            "subscription.v1.SubscriptionService/ListSubscriptions",
            by,
            &ListSubscriptionsRequest { parent: bad, page_size: -1, ..Default::default() },
            &["page_size", "parent"],
        ),
    ]
}

fn wrong_fields(status: &Status) -> BTreeSet<String> {
    let request = status.get_details_bad_request();
    request
        .into_iter()
        .flat_map(|request| request.field_violations)
        .map(|violation| violation.field)
        .collect()
}

#[tokio::test]
async fn every_wrong_field_is_told_at_once_and_nothing_is_written() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let before = world.row_counts().await;
    let mut wrong = Vec::new();
    let rows = directory_rows().into_iter().chain(domain_rows());
    for row in rows.chain(identity_rows()).chain(subscription_rows()) {
        let (peer, service): (Peer, _) = match row.method.split('.').next() {
            Some("directory") => (world.directory_peer(), access::Service::Directory),
            Some("identity") => (world.identity_peer(), access::Service::Identity),
            _ => (world.subscription_peer(), access::Service::Subscription),
        };
        let token = match row.by {
            As::Administrator => ada.token.clone(),
            As::Operator => world.operator_token(),
            As::Identity => world.service_token(access::Service::Identity, service),
        };
        let answer =
            raw::call(peer, &format!("/tenure.{}", row.method), with_token(row.message, &token)).await;
        let expected: BTreeSet<String> = row.fields.iter().map(ToString::to_string).collect();
        match answer {
            Err(status) if status.code() == Code::InvalidArgument && wrong_fields(&status) == expected => {}
            Err(status) => {
                wrong.push(format!("{}: {:?} {:?}", row.method, status.code(), wrong_fields(&status)));
            }
            Ok(_) => wrong.push(format!("{}: OK", row.method)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.row_counts().await, before);
}
