//! One directory with its people, a clock moved by hand, and the service's handler in front of a fresh database.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use access::caller::Authentication;
use access::service_key::PrivateKey;
use access::{Caller, Service, SignedIn, roles};
use api::directory::v1::{AgreementType, Directory, DirectorySettings, directory::State};
use api::subscription::v1::subscription_service_server::SubscriptionService as _;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse, SignUpAzureSubscriptionRequest,
    SignUpAzureSubscriptionResponse,
};
use database::on;
use kernel::{DirectoryId, Principal, ServiceAccountId, SessionId, UserId, new_ids};
use runtime::edge::{Edge, WriteLimits};
use runtime::holds::Holds;
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use runtime::peer::PeerError;
use runtime::worker::Worker;
use sqlx::AssertSqlSafe;
use test_support::clock::ManualClock;
use test_support::database::TestDatabase;
use tonic::{Request, Status};

use super::peers::{Script, Scripted};
use crate::domain::catalogue::Catalogue;
use crate::domain::prices::PriceList;
use crate::grpc::Handler;
use crate::peers::directory::DirectoryService;
use crate::peers::identity::IdentityService;
use crate::use_cases::UseCases;
use crate::workers;

pub(super) const E3: &str = "products/enterprisepack/offers/annual";
pub(super) const FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
pub(super) const PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";
const TABLES: [&str; 9] = [
    "subscriptions",
    "subscription_locations",
    "orders",
    "product_guards",
    "azure_owner_guards",
    "role_assignments",
    "holds",
    "change_log",
    "idempotency_records",
];

pub(super) struct World {
    pub(super) database: TestDatabase,
    pub(super) clock: ManualClock,
    pub(super) handler: Handler,
    pub(super) scripted: Arc<Mutex<Script>>,
}

pub(super) fn directory_id(of: &str) -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&[of]))
}

pub(super) fn contoso() -> String {
    format!("directories/{}", directory_id("contoso"))
}

/// A person of contoso, or `name@directory` of another.
pub(super) fn person(name: &str) -> Principal {
    let directory = name.split_once('@').map_or("contoso", |(_, directory)| directory);
    Principal::User(directory_id(directory), UserId::from_uuid(new_ids::derive(&[name])))
}

pub(super) fn robot() -> Principal {
    let id = ServiceAccountId::from_uuid(new_ids::derive(&["robot"]));
    Principal::ServiceAccount(directory_id("contoso"), id)
}

/// A request id that depends on its number alone.
pub(super) fn request_id(number: u32) -> String {
    new_ids::derive(&["request", &number.to_string()]).to_string()
}

/// The session of every principal.
pub(super) fn session() -> SessionId {
    SessionId::from_uuid(new_ids::derive(&["session"]))
}

pub(super) fn from<T>(principal: Principal, message: T) -> Request<T> {
    from_caller(Caller::Principal(SignedIn { principal, session: session() }), message)
}

pub(super) fn from_caller<T>(caller: Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Authentication::Known(caller));
    request
}

pub(super) fn reason(status: Status) -> String {
    PeerError::from(status).reason.unwrap_or_default()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_limits(WriteLimits::default()).await
    }

    pub(super) async fn with_limits(limits: WriteLimits) -> Self {
        let database = test_support::database::fresh("subscription", &crate::migrations()).await;
        let clock = ManualClock::default();
        let script = Arc::new(Mutex::new(script()));
        let peer = Scripted(Arc::clone(&script)).peer();
        let key = PrivateKey::generate().expect("a key can be made");
        let use_cases = UseCases {
            db: database.db.clone(),
            clock: clock.clock(),
            judge: RemoteJudge::new(peer.clone(), clock.clock()),
            identity: IdentityService::new(peer.clone()),
            holds: Holds::new(database.db.clone(), clock.clock(), peer.clone(), Service::Subscription),
            directory: DirectoryService::new(peer),
            catalogue: Arc::new(Catalogue::new(&PriceList::default())),
            page_tokens: PageTokens::new(&key, clock.clock()),
            azure_subscriptions_per_owner: 3,
        };
        let ids = test_support::ids::seeded(7);
        let edge = Edge::new(Service::Subscription, clock.clock(), ids, &key, database.db.clone(), limits);
        Self { database, clock, handler: Handler { edge, use_cases }, scripted: script }
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.scripted.lock().unwrap()
    }

    pub(super) fn change_directory(&self, change: impl FnOnce(&mut Directory)) {
        change(self.script().directories.get_mut(&contoso()).unwrap());
    }

    pub(super) fn advance_days(&self, days: u64) {
        self.clock.advance(Duration::from_hours(24 * days));
    }

    pub(super) async fn attach(
        &self,
        who: Principal,
        request: AttachOffice365SubscriptionRequest,
    ) -> Result<AttachOffice365SubscriptionResponse, Status> {
        let answer = self.handler.attach_office365_subscription(from(who, request)).await;
        answer.map(tonic::Response::into_inner)
    }

    pub(super) async fn sign_up(
        &self,
        who: Principal,
        request: SignUpAzureSubscriptionRequest,
    ) -> Result<SignUpAzureSubscriptionResponse, Status> {
        let answer = self.handler.sign_up_azure_subscription(from(who, request)).await;
        answer.map(tonic::Response::into_inner)
    }

    /// How many rows each table has.
    pub(super) async fn rows(&self) -> Vec<(&'static str, i64)> {
        let mut counts = Vec::new();
        for table in TABLES {
            counts.push((table, self.count(table).await));
        }
        counts
    }

    pub(super) async fn count(&self, table: &str) -> i64 {
        let mut tx = self.database.db.read().await.unwrap();
        let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}");
        on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(c).await).unwrap()
    }
}

/// A worker, with what it remembers between its runs.
pub(super) fn worker(world: &World, name: &str) -> Worker {
    let workers = workers::all(&world.handler.use_cases);
    workers.into_iter().find(|worker| worker.name.contains(name)).unwrap()
}

/// Lets a worker that has just begun run once.
pub(super) async fn run(world: &World, name: &str) -> Result<bool, kernel::Refusal> {
    worker(world, name).run_once().await
}

/// Every change of a kind, as the change log has it afterwards, with the fields that changed.
pub(super) async fn logged(world: &World, kind: &str) -> Vec<(serde_json::Value, String)> {
    let mut tx = world.database.db.read().await.unwrap();
    let select = "SELECT after, changed_fields FROM change_log WHERE kind = $1 ORDER BY entry";
    let rows: Vec<(String, String)> =
        on!(&mut tx, |c| sqlx::query_as(select).bind(kind).fetch_all(c).await).unwrap();
    rows.into_iter().map(|(after, fields)| (serde_json::from_str(&after).unwrap(), fields)).collect()
}

fn script() -> Script {
    let mut script = Script::default();
    let people = [
        ("ada", vec![roles::MEMBER, roles::GLOBAL_ADMINISTRATOR]),
        ("bo", vec![roles::MEMBER, roles::BILLING_ADMINISTRATOR]),
        ("cy", vec![roles::MEMBER]),
        ("di", vec![roles::MEMBER, "license-administrator"]),
        ("gil", vec![roles::GUEST]),
        ("eve@fabrikam", vec![roles::MEMBER, roles::GLOBAL_ADMINISTRATOR]),
    ];
    for (name, held) in people {
        script.roles.insert(person(name).to_string(), held);
    }
    script.roles.insert(robot().to_string(), vec![roles::MEMBER, roles::BILLING_ADMINISTRATOR]);
    script.home_of_guest.insert(person("gil").to_string(), person("gil@fabrikam").to_string());
    for name in ["contoso", "fabrikam"] {
        let directory = Directory {
            name: format!("directories/{}", directory_id(name)),
            display_name: name.to_uppercase(),
            primary_domain: format!("{name}.tenure.internal"),
            state: State::Active.into(),
            agreement_type: AgreementType::SelfService.into(),
            settings: Some(DirectorySettings { members_may_create_subscriptions: Some(true) }),
            ..Directory::default()
        };
        script.directories.insert(directory.name.clone(), directory);
    }
    script
}

/// Ten paid seats of E3 for contoso.
pub(super) fn ten_seats() -> AttachOffice365SubscriptionRequest {
    AttachOffice365SubscriptionRequest {
        parent: contoso(),
        offer: E3.to_owned(),
        seat_count: 10,
        accept_terms: true,
        ..AttachOffice365SubscriptionRequest::default()
    }
}

/// The trial of E3 for contoso.
pub(super) fn trial() -> AttachOffice365SubscriptionRequest {
    AttachOffice365SubscriptionRequest { seat_count: 0, trial: true, ..ten_seats() }
}

pub(super) fn azure(offer: &str) -> SignUpAzureSubscriptionRequest {
    SignUpAzureSubscriptionRequest {
        offer: offer.to_owned(),
        accept_terms: true,
        ..SignUpAzureSubscriptionRequest::default()
    }
}
