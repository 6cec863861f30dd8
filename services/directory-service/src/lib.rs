//! The directory context: directories, their domains, and the liens on them.
//!
//! - `domain/`: the rules, pure. What a directory is and which steps it takes (`directory`), domains and how they are
//!   proven (`directory_domain`), their names (`domain_name`), liens (`lien`), and why something is refused (`refused`).
//! - `use_cases/`: what each rpc does: the right, the transaction, the decision, the rows.
//! - `store/`: SQL. The lock on a directory's row guards its state, its domains and its liens.
//! - `grpc/`: messages in and out, and the table of refusals.
//! - `peers/`: identity-service, asked for memberships; DNS, asked for records. `workers/`: positions of changes, old answers.
//!
//! Who may do what is identity's knowledge, and who lives in a directory too; nothing of either is kept here.

mod challenges;
mod domain;
mod grpc;
mod options;
mod peers;
mod store;
mod use_cases;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{TokenVerifier, Trust};
use database::{Db, Migrations};
use kernel::{Clock, Ids};
use runtime::edge::{Edge, WriteLimits};
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use runtime::peer::Peer;
use runtime::server::ServiceParts;
use runtime::worker::Worker;

use challenges::Challenges;
use domain::domain_name::DomainSuffix;
pub use domain::domain_name::DomainSuffixInvalid;
pub use options::{Options, Settings};
use peers::dns::Dns;
use peers::identity::Identity;
use use_cases::UseCases;

/// What all initial domains end with, where the operator says nothing else.
pub const DEFAULT_INITIAL_DOMAIN_SUFFIX: &str = "tenure.internal";

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
    /// identity-service, through a peer that speaks as directory-service.
    pub identity: Peer,
    /// What all initial domains end with; [`check_suffix`] accepts it.
    pub initial_domain_suffix: String,
    /// The name servers that are asked about domains; those of the system where there are none.
    pub dns_servers: Vec<SocketAddr>,
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

/// The schema of this context, for both databases.
pub fn migrations() -> Migrations {
    Migrations {
        sqlite: sqlx::migrate!("migrations/sqlite"),
        postgres: sqlx::migrate!("migrations/postgres"),
    }
}

/// Refuses what cannot be the end of initial domains, so that a configuration is checked before it is used.
pub fn check_suffix(suffix: &str) -> Result<(), DomainSuffixInvalid> {
    suffix.parse::<DomainSuffix>().map(|_| ())
}

/// Builds the service; nothing runs until its parts are served and its workers started.
pub fn build(deps: Deps) -> Built {
    let suffix = deps.initial_domain_suffix.parse().expect("whoever configures the suffix has checked it");
    let fetch = runtime::jwks::fetch_keys(deps.identity.clone());
    let verifier = TokenVerifier::new(Service::Directory, deps.issuer, deps.trust, fetch, deps.clock.clone());
    let workers = workers::all(&deps.db, &deps.clock);
    let use_cases = UseCases {
        db: deps.db.clone(),
        judge: RemoteJudge::new(deps.identity.clone(), deps.clock.clone()),
        identity: Identity::new(deps.identity),
        dns: Dns::new(&deps.dns_servers),
        challenges: Challenges::new(&deps.key),
        page_tokens: PageTokens::new(&deps.key, deps.clock.clone()),
        clock: deps.clock.clone(),
    };
    let edge = Edge::new(Service::Directory, deps.clock, deps.ids, &deps.key, deps.db, deps.write_limits);
    let parts = ServiceParts {
        service: Service::Directory,
        routes: grpc::routes(grpc::Handler { edge, use_cases, suffix }),
        names: grpc::service_names(),
        verifier: Arc::new(verifier),
    };
    Built { parts, workers }
}
