//! The use cases on a real database; identity is unreachable here, so that whatever asks it shows.

mod directories;
mod liens;
mod queries;

use std::sync::Arc;
use std::time::Duration;

use access::service_key::PrivateKey;
use access::{Call, Caller, Service, SignedIn};
use database::on;
use kernel::{DirectoryId, Ids, Principal, RegionCode, RequestId, SessionId, UserId, new_ids};
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use runtime::peer::Peer;
use sqlx::AssertSqlSafe;
use test_support::clock::ManualClock;
use test_support::database::TestDatabase;

use super::UseCases;
use crate::challenges::Challenges;
use crate::domain::directory::{AgreementType, Directory, NewDirectory, Settings};
use crate::domain::refused::Refused;
use crate::peers::dns::Dns;
use crate::peers::identity::Identity;

const CREATE: &str = "/tenure.directory.v1.DirectoryService/CreateDirectory";
const ACTIVATE: &str = "/tenure.directory.v1.DirectoryService/ActivateDirectory";
const ABANDON: &str = "/tenure.directory.v1.DirectoryService/AbandonDirectory";

const IDENTITY: Caller = Caller::Service(Service::Identity);
const SUBSCRIPTION: Caller = Caller::Service(Service::Subscription);

fn operator() -> Caller {
    Caller::Operator("of-the-tests".to_owned())
}

fn member(directory: DirectoryId) -> Caller {
    let principal = Principal::User(directory, UserId::from_uuid(new_ids::derive(&["ada"])));
    Caller::Principal(SignedIn { principal, session: SessionId::from_uuid(new_ids::derive(&["session"])) })
}

struct World {
    use_cases: Arc<UseCases>,
    clock: ManualClock,
    ids: Ids,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = test_support::database::fresh("directory", &crate::migrations()).await;
        let clock = ManualClock::default();
        let (nobody, _) = Peer::later();
        let key = PrivateKey::generate().unwrap();
        let use_cases = UseCases {
            db: database.db.clone(),
            judge: RemoteJudge::new(nobody.clone(), clock.clock()),
            identity: Identity::new(nobody),
            dns: Dns::new(&[]),
            challenges: Challenges::new(&key),
            page_tokens: PageTokens::new(&key, clock.clock()),
            clock: clock.clock(),
        };
        Self { use_cases: Arc::new(use_cases), clock, ids: test_support::ids::seeded(7), database }
    }

    /// A call without a request id.
    fn call(&self, caller: &Caller, method: &'static str) -> Call {
        self.call_with(caller, method, None, 0)
    }

    /// A call with a request id, and a fingerprint that stands for its content.
    fn call_with(&self, caller: &Caller, method: &'static str, request: Option<u128>, content: u8) -> Call {
        let request_id = request.map(|number| RequestId::derived(uuid::Uuid::from_u128(number)));
        Call {
            new_id: Call::derive_id(Some(caller), method, request_id, &self.ids),
            caller: Some(caller.clone()),
            method,
            request_id,
            fingerprint: [content; 32],
            now: self.clock.now(),
            trace_id: None,
        }
    }

    async fn create(&self, label: &str) -> Result<Directory, Refused> {
        self.use_cases.create_directory(&self.call(&IDENTITY, CREATE), &contoso(label)).await
    }

    async fn activate(&self, id: DirectoryId) -> Result<Directory, Refused> {
        self.use_cases.activate_directory(&self.call(&IDENTITY, ACTIVATE), id).await
    }

    async fn abandon(&self, id: DirectoryId) -> Result<Directory, Refused> {
        self.use_cases.abandon_directory(&self.call(&IDENTITY, ABANDON), id).await
    }

    /// An active directory, a second younger than the one before.
    async fn active(&self, label: &str) -> Directory {
        self.clock.advance(Duration::from_secs(1));
        let directory = self.create(label).await.unwrap();
        self.activate(directory.id).await.unwrap()
    }

    async fn count(&self, table: &str) -> i64 {
        let mut tx = self.database.db.read().await.unwrap();
        let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}");
        on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(c).await).unwrap()
    }

    /// Rows of all tables that a refused call must leave as they are.
    async fn rows(&self) -> Vec<i64> {
        let mut rows = Vec::new();
        for table in ["directories", "domains", "domain_claims", "liens", "change_log", "idempotency_records"]
        {
            rows.push(self.count(table).await);
        }
        rows
    }
}

fn contoso(label: &str) -> NewDirectory {
    NewDirectory {
        display_name: "Contoso".to_owned(),
        initial_domain: format!("{label}.tenure.internal").parse().unwrap(),
        region_code: RegionCode::UNITED_STATES,
        agreement_type: AgreementType::SelfService,
        settings: Settings { members_may_create_subscriptions: true },
    }
}

/// Runs the same thing so many times at once, and gives all outcomes.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: u128,
    start: impl Fn(u128) -> F,
) -> Vec<T> {
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        running.spawn(start(number));
    }
    running.join_all().await
}
