//! The subscription context: the catalogue, orders, and subscriptions to Azure and Office 365.
//!
//! - `domain/`: the rules, pure. What can be had (`catalogue`, `prices`), what an order leads to (`office365`, `azure`),
//!   what a subscription is and where it is in its life (`subscription`, `lifecycle`), why something is refused
//!   (`refused`).
//! - `use_cases/`: what each rpc does: the right, the peers, the hold, one transaction.
//! - `store/`: SQL. One guard row a product of a directory, one an Azure owner.
//! - `grpc/`: messages in and out, and the table of refusals.
//! - `peers/`: directory-service and identity-service. `workers/`: positions of changes, holds, old answers.
//! - `data/`: the catalogue's data and the default price list.
//!
//! Who may is identity's knowledge and what a directory is is directory's; neither is kept here. Nothing is charged:
//! orders and receipts carry prices, payment is somebody else's.

mod domain;
mod grpc;
mod options;
mod peers;
mod store;
#[cfg(test)]
mod tests;
mod use_cases;
mod workers;

use std::fmt;
use std::sync::Arc;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{TokenVerifier, Trust};
use database::{Db, Migrations};
use kernel::{Clock, Ids};
use runtime::edge::{Edge, WriteLimits};
use runtime::holds::Holds;
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use runtime::peer::Peer;
use runtime::server::ServiceParts;
use runtime::worker::Worker;

pub use domain::catalogue::CATALOGUE_VERSION;
use domain::catalogue::Catalogue;
pub use domain::prices::{PriceList, PriceListInvalid};
pub use options::Options;
use peers::directory::DirectoryService;
use peers::identity::IdentityService;
use use_cases::UseCases;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most Azure subscriptions that are not Deleted which one user may own.
    pub azure_subscriptions_per_owner: i64,
}

impl Default for Settings {
    /// 50 a user: a choice of this system, no document states a number.
    fn default() -> Self {
        Self { azure_subscriptions_per_owner: 50 }
    }
}

/// What the service is built from.
#[derive(Debug)]
pub struct Deps {
    /// Its own database, with [`migrations`] applied.
    pub db: Db,
    /// The current time.
    pub clock: Clock,
    /// New ids where no request derives them.
    pub ids: Ids,
    /// Its own key, the root of its secrets (K6).
    pub key: PrivateKey,
    /// Whose tokens it believes.
    pub trust: Trust,
    /// The issuer of access tokens.
    pub issuer: String,
    /// identity-service, through a peer that speaks as subscription-service.
    pub identity: Peer,
    /// directory-service, through a peer that speaks as subscription-service.
    pub directory: Peer,
    /// What seats cost.
    pub prices: PriceList,
    /// Limits.
    pub settings: Settings,
    /// How fast principals and directories may write.
    pub write_limits: WriteLimits,
}

/// The service, ready to be served.
pub struct Built {
    /// What a server needs.
    pub parts: ServiceParts,
    /// Its background duties.
    pub workers: Vec<Worker>,
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// The schema of this context, for both databases.
pub fn migrations() -> Migrations {
    Migrations {
        sqlite: sqlx::migrate!("migrations/sqlite"),
        postgres: sqlx::migrate!("migrations/postgres"),
    }
}

/// Builds the service; nothing runs until its parts are served and its workers started.
pub fn build(deps: Deps) -> Built {
    let fetch = runtime::jwks::fetch_keys(deps.identity.clone());
    let verifier =
        TokenVerifier::new(Service::Subscription, deps.issuer, deps.trust, fetch, deps.clock.clone());
    let use_cases = UseCases {
        db: deps.db.clone(),
        clock: deps.clock.clone(),
        judge: RemoteJudge::new(deps.identity.clone(), deps.clock.clone()),
        identity: IdentityService::new(deps.identity),
        holds: Holds::new(deps.db.clone(), deps.clock.clone(), deps.directory.clone(), Service::Subscription),
        directory: DirectoryService::new(deps.directory),
        catalogue: Arc::new(Catalogue::new(&deps.prices)),
        page_tokens: PageTokens::new(&deps.key, deps.clock.clone()),
        azure_subscriptions_per_owner: deps.settings.azure_subscriptions_per_owner,
    };
    let workers = workers::all(&use_cases);
    let edge = Edge::new(Service::Subscription, deps.clock, deps.ids, &deps.key, deps.db, deps.write_limits);
    let parts = ServiceParts {
        service: Service::Subscription,
        routes: grpc::routes(&grpc::Handler { edge, use_cases }),
        names: grpc::service_names(),
        verifier: Arc::new(verifier),
    };
    Built { parts, workers }
}
