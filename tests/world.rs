//! The world of a test: the three services over fresh databases, and people who act through the public API.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Deref;
use std::time::Duration;

use access::Service;
use access::token::AUDIENCE;
use api::identity::v1 as identity;
use database::{Db, TxEngine, on};
use runtime::edge::WriteLimits;
use runtime::keys::KeyFolder;
use runtime::peer::Peer;
use runtime::server::Layered;
use subscription_service::PriceList;
use system_tests::contests::Place;
pub(crate) use system_tests::people::*;
use tempfile::TempDir;
use tenure::embedded::{BetweenPeers, Databases, Deps, Embedded};
use test_support::clock::ManualClock;
use test_support::database::{TestDatabase, fresh};
use test_support::ids::seeded;
use tower::ServiceExt as _;

/// The three services and what they stand on.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) keys: KeyFolder,
    pub(crate) embedded: Embedded,
    pub(crate) databases: Databases,
    people: People,
    _stores: [TestDatabase; 3],
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&|_, _, peer| peer).await
    }

    /// A world where something stands between the services.
    pub(crate) async fn with(between: BetweenPeers<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let keys = KeyFolder::open_or_create(&folder.path().join("keys")).expect("keys can be made");
        let stores = [
            fresh("directory", &directory_service::migrations()).await,
            fresh("identity", &identity_service::migrations()).await,
            fresh("subscription", &subscription_service::migrations()).await,
        ];
        let databases = Databases {
            directory: stores[0].db.clone(),
            identity: stores[1].db.clone(),
            subscription: stores[2].db.clone(),
        };
        let clock = ManualClock::default();
        let deps = Deps {
            databases: databases.clone(),
            clock: clock.clock(),
            ids: seeded(1),
            issuer: "tenure".to_owned(),
            directory: directory_service::Settings::default(),
            prices: PriceList::default(),
            identity: identity_service::Settings::default(),
            subscription: subscription_service::Settings::default(),
            write_limits: WriteLimits::default(),
            request_timeout: Duration::from_mins(1),
        };
        let embedded = Embedded::build_with(&deps, &keys, between);
        let wire = |layered: &Layered| Wire::new(layered.clone().map_err(|never: Infallible| match never {}));
        let people = People {
            directory: wire(&embedded.directory),
            identity: wire(&embedded.identity),
            subscription: wire(&embedded.subscription),
            ids: seeded(2),
        };
        Self { clock, keys, embedded, databases, people, _stores: stores, _folder: folder }
    }

    pub(crate) fn directory_peer(&self) -> Peer {
        Peer::in_process(self.embedded.directory.clone())
    }
    pub(crate) fn identity_peer(&self) -> Peer {
        Peer::in_process(self.embedded.identity.clone())
    }
    pub(crate) fn subscription_peer(&self) -> Peer {
        Peer::in_process(self.embedded.subscription.clone())
    }

    /// Where contests are held.
    pub(crate) fn place(&self) -> Place {
        Place { people: self.people.clone(), databases: self.databases.clone() }
    }

    /// The services' databases, with the names of their contexts.
    pub(crate) fn stores(&self) -> [(&'static str, &Db); 3] {
        let Databases { directory, identity, subscription } = &self.databases;
        [("directory", directory), ("identity", identity), ("subscription", subscription)]
    }

    pub(crate) fn operator_token(&self) -> String {
        self.keys
            .operator()
            .operator_token(AUDIENCE, self.people.ids.random(), self.clock.now(), Duration::from_mins(10))
            .expect("the operator key signs")
    }

    pub(crate) fn service_token(&self, from: Service, to: Service) -> String {
        self.keys.service(from).service_token(from, to, self.clock.now()).expect("a service key signs")
    }

    /// A new directory under an Enterprise Agreement.
    pub(crate) async fn sign_up_enterprise(&self, label: &str) -> Person {
        let mut message = self.sign_up_request(label);
        message.set_agreement_type(identity::AgreementType::Enterprise);
        self.signed_up(with_token(message, &self.operator_token())).await
    }

    /// Rows of every table of every database.
    pub(crate) async fn row_counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (context, db) in self.stores() {
            for table in tables(db).await {
                counts.insert(format!("{context}.{table}"), count(db, &table).await);
            }
        }
        counts
    }
}

impl Deref for World {
    type Target = People;

    fn deref(&self) -> &People {
        &self.people
    }
}

/// The tables of a database, in order.
pub(crate) async fn tables(db: &Db) -> Vec<String> {
    let mut tx = db.read().await.expect("a test database reads");
    let select = match &tx.engine {
        TxEngine::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        }
        TxEngine::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_all(c).await).expect("tables can be listed")
}

async fn count(db: &Db, table: &str) -> i64 {
    let mut tx = db.read().await.expect("a test database reads");
    let select = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).expect("rows can be counted")
}
