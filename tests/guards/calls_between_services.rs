//! K1: one table says which service calls what; the servers enforce exactly that; what a peer calls calls no peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use access::{Service, calls};
use runtime::peer::Peer;
use tonic::body::Body;
use tonic::{Code, Request};

use crate::raw;
use crate::world::{World, reason, with_token};

/// The table as it was reviewed.
const REVIEWED: &[&str] = &[
    "directory-service → tenure.identity.v1.DirectoryRoleService/CheckDirectoryRole",
    "directory-service → tenure.identity.v1.UserService/ListMemberships",
    "identity-service → tenure.directory.v1.DirectoryService/AbandonDirectory",
    "identity-service → tenure.directory.v1.DirectoryService/ActivateDirectory",
    "identity-service → tenure.directory.v1.DirectoryService/CreateDirectory",
    "identity-service → tenure.directory.v1.DirectoryService/GetDirectory",
    "identity-service → tenure.directory.v1.DomainService/ResolveDomain",
    "identity-service → tenure.directory.v1.LienService/CreateLien",
    "identity-service → tenure.directory.v1.LienService/DeleteLien",
    "subscription-service → tenure.directory.v1.DirectoryService/GetDirectory",
    "subscription-service → tenure.directory.v1.LienService/CreateLien",
    "subscription-service → tenure.directory.v1.LienService/DeleteLien",
    "subscription-service → tenure.identity.v1.DirectoryRoleService/CheckDirectoryRole",
    "subscription-service → tenure.identity.v1.UserService/GetUser",
    "subscription-service → tenure.identity.v1.UserService/ListMemberships",
];

fn owner_of(path: &str) -> Service {
    match path.split('.').nth(1) {
        Some("directory") => Service::Directory,
        Some("identity") => Service::Identity,
        Some("subscription") => Service::Subscription,
        other => panic!("{path} belongs to {other:?}"),
    }
}

fn peer_of(world: &World, service: Service) -> Peer {
    match service {
        Service::Directory => world.directory_peer(),
        Service::Identity => world.identity_peer(),
        Service::Subscription => world.subscription_peer(),
    }
}

#[test]
fn the_table_is_the_reviewed_one() {
    let table: Vec<_> =
        calls::BETWEEN_SERVICES.iter().map(|(from, path)| format!("{from} → {}", &path[1..])).collect();
    assert_eq!(table, REVIEWED);
    let known = api::method_paths();
    assert!(calls::BETWEEN_SERVICES.iter().all(|(_, path)| known.iter().any(|known| known == path)));
}

#[tokio::test]
async fn a_service_token_calls_what_the_table_says_and_nothing_else() {
    let world = World::new().await;
    for path in api::method_paths().iter().filter(|path| !calls::is_public(path)) {
        let to = owner_of(path);
        for from in Service::ALL.into_iter().filter(|from| *from != to) {
            let request = with_token(Vec::new(), &world.service_token(from, to));
            let answer = raw::call(peer_of(&world, to), path, request).await;
            let refused = answer.as_ref().err().map(reason);
            let denied = refused.as_deref() == Some("PermissionDenied/PERMISSION_DENIED");
            assert_eq!(denied, !calls::is_allowed(from, path), "{from} → {path}: {refused:?}");
        }
    }
}

/// A service token is for one service; elsewhere, and in a person's place, it is worth nothing (attack 2).
#[tokio::test]
async fn a_service_token_is_for_one_service() {
    let world = World::new().await;
    let token = world.service_token(Service::Subscription, Service::Directory);
    let path = "/tenure.identity.v1.DirectoryRoleService/CheckDirectoryRole";
    let refused = raw::call(world.identity_peer(), path, with_token(Vec::new(), &token)).await.unwrap_err();
    assert_eq!(reason(&refused), "Unauthenticated/TOKEN_INVALID");
}

/// Counts what passes.
#[derive(Clone)]
struct Counting {
    peer: Peer,
    calls: Arc<AtomicUsize>,
}

impl tower::Service<http::Request<Body>> for Counting {
    type Response = <Peer as tower::Service<http::Request<Body>>>::Response;
    type Error = <Peer as tower::Service<http::Request<Body>>>::Error;
    type Future = <Peer as tower::Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.peer.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.peer.call(request)
    }
}

#[tokio::test]
async fn what_a_peer_calls_calls_no_peer() {
    let calls_made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls_made);
    let world =
        World::with(&move |_, _, peer| Peer::of(Counting { peer, calls: Arc::clone(&counted) })).await;
    let ada = world.sign_up("contoso").await;
    for (from, path) in calls::BETWEEN_SERVICES {
        let to = owner_of(path);
        let before = calls_made.load(Ordering::SeqCst);
        let mut request: Request<Vec<u8>> = with_token(message(path, &ada), &world.service_token(*from, to));
        request.set_timeout(std::time::Duration::from_secs(5));
        let answer = raw::call(peer_of(&world, to), path, request).await;
        let code = answer.as_ref().err().map_or(Code::Ok, tonic::Status::code);
        assert!(
            ![Code::Internal, Code::Unavailable, Code::InvalidArgument].contains(&code),
            "{path}: {answer:?}"
        );
        assert_eq!(calls_made.load(Ordering::SeqCst), before, "{from} → {path} called on");
    }
}

/// A request that the method understands.
fn message(path: &str, ada: &crate::world::Person) -> Vec<u8> {
    use api::directory::v1 as directory;
    use api::identity::v1 as identity;
    use prost::Message as _;
    let method = path.rsplit('/').next().unwrap();
    let lien = format!("{}/liens/00000000-0000-4000-8000-000000000001", ada.directory);
    match method {
        "CheckDirectoryRole" => identity::CheckDirectoryRoleRequest {
            directory: ada.directory.clone(),
            principal: ada.name.clone(),
            session: ada.session.clone(),
            ..identity::CheckDirectoryRoleRequest::default()
        }
        .encode_to_vec(),
        "ListMemberships" => {
            identity::ListMembershipsRequest { user: ada.name.clone(), ..Default::default() }.encode_to_vec()
        }
        "GetUser" => identity::GetUserRequest { name: ada.name.clone() }.encode_to_vec(),
        "AbandonDirectory" => {
            directory::AbandonDirectoryRequest { name: ada.directory.clone(), ..Default::default() }
                .encode_to_vec()
        }
        "ActivateDirectory" => {
            directory::ActivateDirectoryRequest { name: ada.directory.clone(), ..Default::default() }
                .encode_to_vec()
        }
        "CreateDirectory" => directory::CreateDirectoryRequest {
            directory: Some(directory::Directory {
                display_name: "Fabrikam".to_owned(),
                ..Default::default()
            }),
            initial_domain_label: "fabrikam".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetDirectory" => directory::GetDirectoryRequest { name: ada.directory.clone() }.encode_to_vec(),
        "ResolveDomain" => {
            directory::ResolveDomainRequest { domain: "contoso.tenure.internal".to_owned() }.encode_to_vec()
        }
        "CreateLien" => directory::CreateLienRequest {
            parent: ada.directory.clone(),
            lien: Some(directory::Lien {
                resource: ada.directory.clone(),
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
            directory::DeleteLienRequest { name: lien, allow_missing: true, ..Default::default() }
                .encode_to_vec()
        }
        other => panic!("{other} is called between services and has no request here"),
    }
}
