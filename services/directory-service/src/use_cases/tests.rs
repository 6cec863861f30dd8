//! The use cases on a real database; of identity only what it is told of directories is reachable here, so that whatever
//! asks more shows.

mod deletions;
mod directories;
mod identity;
mod liens;
mod life_cycle;
mod queries;
mod races;

use std::sync::Arc;
use std::time::Duration;

use access::service_key::PrivateKey;
use access::{Call, Caller, Service, SignedIn};
use database::on;
use kernel::{DirectoryId, Ids, Principal, RequestId, SessionId, UserId, new_ids};
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use sqlx::AssertSqlSafe;
use test_support::clock::ManualClock;
use test_support::database::TestDatabase;

use super::UseCases;
use crate::Settings;
use crate::domain::directory::{Directory, contoso};
use crate::domain::refused::Refused;
use crate::peers::identity::Identity;
use identity::Told;

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
    told: Told,
}

impl World {
    async fn new() -> Self {
        let database = test_support::database::fresh("directory", &crate::migrations()).await;
        let clock = ManualClock::default();
        let told = Told::default();
        let peer = told.peer();
        let key = PrivateKey::generate().unwrap();
        let use_cases = UseCases {
            db: database.db.clone(),
            judge: RemoteJudge::new(peer.clone(), clock.clock()),
            identity: Identity::new(peer),
            page_tokens: PageTokens::new(&key, clock.clock()),
            deletion_retention: Settings::default().deletion_retention,
            clock: clock.clock(),
        };
        Self { use_cases: Arc::new(use_cases), clock, ids: test_support::ids::seeded(7), database, told }
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
