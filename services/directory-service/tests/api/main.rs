//! This service through its gRPC API, behind all its layers; identity-service is scripted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod domain_rules;
mod domains;
mod fake_dns;
mod fake_identity;

use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{AUDIENCE, Trust};
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::lien_service_client::LienServiceClient;
use api::directory::v1::{
    AbandonDirectoryRequest, ActivateDirectoryRequest, AgreementType, CreateDirectoryRequest,
    CreateLienRequest, DeleteLienRequest, Directory, DirectorySettings, DomainState, GetDirectoryRequest,
    GetLienRequest, Lien, ListDirectoriesRequest, ListLiensRequest, ListMyDirectoriesRequest,
    ResolveDomainRequest,
};
use api::identity::v1::{Decision, DenialReason};
use database::on;
use directory_service::{Deps, build, check_suffix, migrations};
use fake_dns::FakeDns;
use fake_identity::{FakeIdentity, ISSUER, Spoil};
use kernel::{DirectoryId, new_ids};
use runtime::edge::WriteLimits;
use runtime::peer::Peer;
use runtime::server::{Limits, layered};
use test_support::clock::ManualClock;
use test_support::database::TestDatabase;
use test_support::ids::seeded;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

struct World {
    peer: Peer,
    identity: FakeIdentity,
    dns: FakeDns,
    keys: [PrivateKey; 3],
    clock: ManualClock,
    database: TestDatabase,
}

const SESSION: &str = "5e551011-0000-4000-8000-000000000001";

impl World {
    async fn new() -> Self {
        let database = test_support::database::fresh("directory", &migrations()).await;
        let (clock, identity) = (ManualClock::default(), FakeIdentity::new());
        let dns = FakeDns::new().await;
        let [own, of_identity, of_subscription] = [0; 3].map(|_| PrivateKey::generate().unwrap());
        let operator = PrivateKey::generate().unwrap();
        let services = [(Service::Identity, &of_identity), (Service::Subscription, &of_subscription)];
        let trust = Trust {
            services: services.map(|(service, key)| (service, key.public().to_vec())).into(),
            operator: Some(operator.public().to_vec()),
        };
        let built = build(Deps {
            db: database.db.clone(),
            clock: clock.clock(),
            ids: seeded(1),
            key: own.clone(),
            trust,
            issuer: ISSUER.to_owned(),
            identity: identity.peer().as_service(Service::Directory, own, Service::Identity, clock.clock()),
            initial_domain_suffix: "Tenure.Internal".to_owned(),
            dns_servers: vec![dns.address],
            write_limits: WriteLimits::default(),
        });
        assert_eq!((built.parts.names.len(), built.workers.len()), (3, 2));
        let peer = Peer::in_process(layered(built.parts, &Limits::default()));
        Self { peer, identity, dns, keys: [of_identity, of_subscription, operator], clock, database }
    }

    fn directories(&self) -> DirectoryServiceClient<Peer> {
        DirectoryServiceClient::new(self.peer.clone())
    }

    fn liens(&self) -> LienServiceClient<Peer> {
        LienServiceClient::new(self.peer.clone())
    }

    fn identity<T>(&self, message: T) -> Request<T> {
        let now = self.clock.now();
        with(message, &self.keys[0].service_token(Service::Identity, Service::Directory, now).unwrap())
    }

    fn subscription<T>(&self, message: T) -> Request<T> {
        let now = self.clock.now();
        with(message, &self.keys[1].service_token(Service::Subscription, Service::Directory, now).unwrap())
    }

    fn operator<T>(&self, message: T) -> Request<T> {
        let (id, now) = (uuid::Uuid::from_u128(7), self.clock.now());
        with(message, &self.keys[2].operator_token(AUDIENCE, id, now, Duration::from_mins(10)).unwrap())
    }

    fn member<T>(&self, directory: &str, message: T) -> Request<T> {
        let principal = format!("{directory}/users/{}", new_ids::derive(&["ada"]));
        with(message, &self.identity.token(&principal, SESSION, self.clock.now()))
    }

    async fn provisioned(&self, label: &str) -> Directory {
        self.clock.advance(Duration::from_secs(1));
        let answer = self.directories().create_directory(self.identity(contoso(label))).await.unwrap();
        answer.into_inner().directory.unwrap()
    }

    async fn active(&self, label: &str) -> Directory {
        let name = self.provisioned(label).await.name;
        let request = self.identity(ActivateDirectoryRequest { name, request_id: String::new() });
        self.directories().activate_directory(request).await.unwrap().into_inner().directory.unwrap()
    }

    async fn refusals(&self) -> i64 {
        let mut tx = self.database.db.read().await.unwrap();
        let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM refusals";
        on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).unwrap()
    }
}

fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn contoso(label: &str) -> CreateDirectoryRequest {
    let directory = Directory {
        display_name: "Contoso".to_owned(),
        region_code: "DE".to_owned(),
        agreement_type: AgreementType::Enterprise.into(),
        settings: Some(DirectorySettings { members_may_create_subscriptions: Some(false) }),
        ..Directory::default()
    };
    CreateDirectoryRequest {
        directory: Some(directory),
        initial_domain_label: label.to_owned(),
        request_id: new_ids::derive(&["create", label]).to_string(),
    }
}

fn lien_on(directory: &str) -> CreateLienRequest {
    let lien = Lien {
        resource: directory.to_owned(),
        restrictions: vec!["directory.directories.delete".to_owned()],
        reason: "2 subscriptions".to_owned(),
        origin: "subscription-service".to_owned(),
        revision: 5,
        ..Lien::default()
    };
    CreateLienRequest { parent: directory.to_owned(), lien: Some(lien), request_id: String::new() }
}

/// Code and reason, as clients read them, and the metadata.
fn told(status: &Status) -> (Code, String, std::collections::HashMap<String, String>) {
    let info = status.get_details_error_info().expect("every error says why");
    assert_eq!(info.domain, "directory.tenure");
    (status.code(), info.reason, info.metadata)
}

fn reason<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    told(&result.unwrap_err()).1
}

#[tokio::test]
async fn identity_makes_a_directory_and_its_members_read_it() {
    let world = World::new().await;
    let active = world.active("Contoso").await;
    let get = GetDirectoryRequest { name: active.name.clone() };
    let read = world.directories().get_directory(world.member(&active.name, get)).await.unwrap();
    assert_eq!(read.into_inner().directory.as_ref(), Some(&active));
    assert_eq!(
        world.identity.script(|script| script.asked.clone()),
        ["microsoft.directory/organization/standard/read"]
    );
    let start = test_support::clock::START.seconds() + 1;
    let expected = Directory {
        name: active.name.clone(),
        uid: active.name["directories/".len()..].to_owned(),
        display_name: "Contoso".to_owned(),
        initial_domain: "contoso.tenure.internal".to_owned(),
        primary_domain: "contoso.tenure.internal".to_owned(),
        region_code: "DE".to_owned(),
        state: State::Active.into(),
        agreement_type: AgreementType::Enterprise.into(),
        settings: Some(DirectorySettings { members_may_create_subscriptions: Some(false) }),
        create_time: Some(prost_types::Timestamp { seconds: start, nanos: 0 }),
        update_time: Some(prost_types::Timestamp { seconds: start, nanos: 0 }),
        etag: active.etag.clone(),
        revision: 2,
    };
    assert_eq!(active, expected);
    let resolve = ResolveDomainRequest { domain: "CONTOSO.Tenure.internal".to_owned() };
    let resolved = world.domains().resolve_domain(world.identity(resolve)).await.unwrap().into_inner();
    assert_eq!((&resolved.directory, resolved.state()), (&active.name, DomainState::Verified));
}

#[tokio::test]
async fn p_9_a_retry_over_the_wire_makes_one_directory() {
    let world = World::new().await;
    let first = world.provisioned("contoso").await;
    assert_eq!(world.provisioned("contoso").await, first);
    let mut other = contoso("contoso");
    other.initial_domain_label = "fabrikam".to_owned();
    let refused = world.directories().create_directory(world.identity(other)).await;
    assert_eq!(reason(refused), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn refusals_say_what_to_do_next() {
    let world = World::new().await;
    let active = world.active("contoso").await;
    let mut again = contoso("contoso");
    again.request_id = String::new();
    let taken = world.directories().create_directory(world.identity(again)).await.unwrap_err();
    let (code, reason, metadata) = told(&taken);
    assert_eq!((code, reason.as_str()), (Code::AlreadyExists, "INITIAL_DOMAIN_TAKEN"));
    assert_eq!(metadata["domain"], "contoso.tenure.internal");
    let abandon = AbandonDirectoryRequest { name: active.name, request_id: String::new() };
    let refused = world.directories().abandon_directory(world.identity(abandon)).await.unwrap_err();
    let (code, reason, metadata) = told(&refused);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "INVALID_STATE_TRANSITION"));
    assert_eq!(metadata["current_state"], "STATE_ACTIVE");
    assert_eq!(metadata["allowed_states"], "STATE_PROVISIONING");
    let provisioned = world.provisioned("fabrikam").await;
    let refused =
        world.liens().create_lien(world.subscription(lien_on(&provisioned.name))).await.unwrap_err();
    let (code, reason, metadata) = told(&refused);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "DIRECTORY_NOT_ACTIVE"));
    assert_eq!(
        (&metadata["directory"], metadata["state"].as_str()),
        (&provisioned.name, "STATE_PROVISIONING")
    );
    let abandon = AbandonDirectoryRequest { name: provisioned.name.clone(), request_id: String::new() };
    let gone = world.directories().abandon_directory(world.identity(abandon)).await.unwrap().into_inner();
    assert_eq!(gone.directory.unwrap().state(), State::Deleted);
    let late = ActivateDirectoryRequest { name: provisioned.name, request_id: String::new() };
    let refused = world.directories().activate_directory(world.identity(late)).await.unwrap_err();
    assert_eq!(told(&refused).2["current_state"], "STATE_DELETED");
}

#[tokio::test]
async fn k_36_a_service_calls_what_the_table_lists_and_nothing_else() {
    let world = World::new().await;
    let active = world.active("contoso").await;
    let create = world.directories().create_directory(world.subscription(contoso("fabrikam"))).await;
    let list = world.directories().list_directories(world.identity(ListDirectoriesRequest::default())).await;
    let resolve = ResolveDomainRequest { domain: active.initial_domain.clone() };
    let resolve = world.domains().resolve_domain(world.subscription(resolve)).await;
    assert_eq!([reason(create), reason(list), reason(resolve)], ["PERMISSION_DENIED"; 3]);
    // Not even an operator makes a directory that nobody can sign in to.
    let create = world.directories().create_directory(world.operator(contoso("fabrikam"))).await;
    assert_eq!(reason(create), "PERMISSION_DENIED");
    let list = world.directories().list_directories(world.operator(ListDirectoriesRequest::default())).await;
    assert_eq!(list.unwrap().into_inner().directories, [active]);
}

#[tokio::test]
async fn liens_are_taken_read_and_let_go() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let created = world.liens().create_lien(world.subscription(lien_on(&name))).await.unwrap();
    let lien = created.into_inner().lien.unwrap();
    assert_eq!((&lien.resource, lien.create_principal.as_str()), (&name, "services/subscription-service"));
    let again = world.liens().create_lien(world.subscription(lien_on(&name))).await.unwrap();
    assert_eq!(again.into_inner().lien.as_ref(), Some(&lien));
    let get = GetLienRequest { name: lien.name.clone() };
    let read = world.liens().get_lien(world.member(&name, get.clone())).await.unwrap();
    assert_eq!(read.into_inner().lien.as_ref(), Some(&lien));
    assert_eq!(world.identity.script(|script| script.asked.clone()), ["tenure.directory/liens/read"]);
    let list = ListLiensRequest { parent: name.clone(), ..ListLiensRequest::default() };
    let listed = world.liens().list_liens(world.operator(list)).await.unwrap().into_inner();
    assert_eq!((listed.liens.as_slice(), listed.next_page_token.as_str()), (&[lien.clone()][..], ""));
    let delete = DeleteLienRequest { name: lien.name.clone(), ..DeleteLienRequest::default() };
    world.liens().delete_lien(world.subscription(delete.clone())).await.unwrap();
    assert_eq!(reason(world.liens().delete_lien(world.subscription(delete.clone())).await), "LIEN_NOT_FOUND");
    assert_eq!(reason(world.liens().get_lien(world.operator(get)).await), "LIEN_NOT_FOUND");
    let missing = DeleteLienRequest { allow_missing: true, ..delete };
    world.liens().delete_lien(world.subscription(missing)).await.unwrap();
}

#[tokio::test]
async fn p_12_whoever_identity_denies_is_refused() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let get = || world.member(&name, GetDirectoryRequest { name: name.clone() });
    world.identity.script(|script| script.denial = Some(DenialReason::SessionRevoked));
    assert_eq!(reason(world.directories().get_directory(get()).await), "SESSION_REVOKED");
    world.identity.script(|script| script.denial = Some(DenialReason::RoleMissing));
    let list = world.member(&name, ListLiensRequest { parent: name.clone(), ..ListLiensRequest::default() });
    let (code, reason, metadata) = told(&world.liens().list_liens(list).await.unwrap_err());
    assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(metadata["permission"], "tenure.directory/liens/read");
    assert_eq!(metadata["roles"], "global-administrator,global-reader");
}

#[tokio::test]
async fn p_3_an_answer_of_identity_that_does_not_fit_is_no_answer() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    world.identity.script(|script| script.memberships = vec!["organisations/1".to_owned()]);
    let spoilt: [Option<Spoil>; 4] = [
        Some(|answer| answer.set_decision(Decision::Unspecified)),
        Some(|answer| answer.principal.push('0')),
        Some(|answer| answer.directory.clear()),
        // The check is good then, and the memberships are not.
        None,
    ];
    for spoilt in spoilt {
        world.identity.script(|script| script.spoilt = spoilt);
        let mine = world.member(&name, ListMyDirectoriesRequest::default());
        let refused = world.directories().list_my_directories(mine).await.unwrap_err();
        let (code, reason, metadata) = told(&refused);
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "DEPENDENCY_UNAVAILABLE"));
        assert_eq!(metadata["dependency"], "identity-service");
    }
}

#[tokio::test]
async fn a_person_lists_the_own_directories_and_no_others() {
    let world = World::new().await;
    let mut mine = Vec::new();
    for label in ["contoso", "fabrikam", "tailspin"] {
        mine.push(world.active(label).await);
    }
    world.active("foreign").await;
    let abandoned = world.provisioned("abandoned").await;
    let abandon = AbandonDirectoryRequest { name: abandoned.name.clone(), request_id: String::new() };
    world.directories().abandon_directory(world.identity(abandon)).await.unwrap();
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    world.identity.script(|script| {
        script.memberships = mine.iter().rev().map(|directory| directory.name.clone()).collect();
        script.memberships.extend([abandoned.name.clone(), format!("directories/{nowhere}")]);
    });
    let home = &mine[0].name;
    let (mut listed, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let message = ListMyDirectoriesRequest { page_size: 2, page_token };
        let request = world.member(home, message);
        let page = world.directories().list_my_directories(request).await.unwrap().into_inner();
        listed.extend(page.directories);
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!((listed, pages), (mine, 2));
}

#[tokio::test]
async fn k_15_a_members_refused_write_is_recorded_and_malformed_ones_are_not() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let malformed = CreateLienRequest { parent: "x".to_owned(), ..lien_on(&name) };
    assert_eq!(reason(world.liens().create_lien(world.member(&name, malformed)).await), "FIELD_INVALID");
    assert_eq!(world.refusals().await, 0);
    for _ in 0..2 {
        let denied = world.liens().create_lien(world.member(&name, lien_on(&name))).await;
        assert_eq!(reason(denied), "PERMISSION_DENIED");
    }
    assert_eq!(world.refusals().await, 1);
}

#[test]
fn a_suffix_is_checked_before_it_is_used() {
    assert!(check_suffix(directory_service::DEFAULT_INITIAL_DOMAIN_SUFFIX).is_ok());
    assert!(check_suffix("tenure.internal.").is_err() && check_suffix("tenure").is_err());
}
