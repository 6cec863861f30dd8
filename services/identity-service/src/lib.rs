//! The identity context: people, sign-ups, sessions and their tokens, directory roles, and the one answer to
//! "may this principal, now?" (K3).
//!
//! `grpc` parses and presents, `use_cases` do one thing each, `domain` decides without input or output, `store` is the
//! SQL, `peers` asks the directory context, `workers` finish what nobody waits for. Directories themselves, their
//! domains and their liens belong to the directory context; what roles allow on subscriptions to another one.

mod decision_table;
mod domain;
mod grpc;
mod judge;
mod options;
mod password_hasher;
mod peers;
mod signing_keys;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod use_cases;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{ACCESS_TOKEN_LIFETIME, TokenVerifier, Trust};
use database::{Db, Migrations};
use kernel::{Clock, Ids};
use runtime::audit::AuditLog;
use runtime::config::Network;
use runtime::edge::{Edge, WriteLimits};
use runtime::page_token::PageTokens;
use runtime::peer::Peer;
use runtime::server::ServiceParts;
use runtime::worker::Worker;

pub use crate::decision_table::Decisions;
use crate::grpc::Handlers;
use crate::judge::LocalJudge;
pub use crate::options::Options;
use crate::peers::directory::DirectoryPeer;
use crate::signing_keys::SigningKeys;
use crate::use_cases::UseCases;

/// Who may sign up (K18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignUpPolicy {
    /// Everybody, within the limits.
    Open,
    /// Holders of an operator token alone.
    Operator,
}

/// What an operator can set; the defaults are those of `tenure serve` on a loopback address.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may sign up.
    pub sign_up: SignUpPolicy,
    /// How many sign-ups may begin from one network source in an hour.
    pub sign_up_per_source_per_hour: u32,
    /// How many sign-ups may begin in all in an hour.
    pub sign_up_total_per_hour: u32,
    /// How many sign-ins may fail for one name in an hour, whether or not anybody has it.
    pub sign_in_failures_per_name_per_hour: u32,
    /// How many sign-ins may fail from one network source in an hour.
    pub sign_in_failures_per_source_per_hour: u32,
    /// How many hashes may be computed or wait at once; whoever comes beyond is refused at once.
    pub hash_queue: usize,
    /// How long a session lives after it was opened or last refreshed.
    pub session_lifetime: Duration,
    /// How long an access token lives: at most ten minutes, whatever is set.
    pub access_token_lifetime: Duration,
    /// Peers whose `x-forwarded-for` is believed when limits are kept per source (K18).
    pub trusted_proxies: Vec<Network>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sign_up: SignUpPolicy::Open,
            sign_up_per_source_per_hour: 3_600,
            sign_up_total_per_hour: 36_000,
            sign_in_failures_per_name_per_hour: 100,
            sign_in_failures_per_source_per_hour: 1_000,
            hash_queue: 256,
            session_lifetime: Duration::from_hours(30 * 24),
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            trusted_proxies: Vec::new(),
        }
    }
}

/// What the context needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Its own database, with [`migrations`] applied.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Where new ids come from.
    pub ids: Ids,
    /// Its own key: it signs service tokens and is the root of its secrets (K6).
    pub key: PrivateKey,
    /// Whose service and operator tokens it believes.
    pub trust: Trust,
    /// The issuer of access tokens.
    pub issuer: String,
    /// The directory context, already spoken to as identity-service.
    pub directory: Peer,
    /// How far what was read before may be relied on: it hangs on who else writes the database.
    pub decisions: Decisions,
    /// What an operator can set.
    pub settings: Settings,
    /// How fast principals and directories may write.
    pub write_limits: WriteLimits,
}

/// The context, ready to be served.
pub struct Built {
    /// Its routes, names and token verifier.
    pub parts: ServiceParts,
    /// Its background duties.
    pub workers: Vec<Worker>,
}

/// The schema of the context, for both engines.
pub fn migrations() -> Migrations {
    Migrations {
        sqlite: sqlx::migrate!("migrations/sqlite"),
        postgres: sqlx::migrate!("migrations/postgres"),
    }
}

/// Puts the context together.
pub fn build(deps: Deps) -> Built {
    assemble(deps).0
}

/// Puts the context together; tests reach behind the wire by the use cases.
fn assemble(deps: Deps) -> (Built, Arc<UseCases>) {
    let judge = LocalJudge::new(deps.db.clone(), deps.clock.clone(), deps.decisions);
    let keys = SigningKeys::new(deps.db.clone(), deps.ids.clone(), &deps.key);
    let fetch = keys.fetch_keys(deps.clock.clone());
    let directory = DirectoryPeer::new(deps.directory.clone());
    let page_tokens = PageTokens::new(&deps.key, deps.clock.clone());
    let audit = AuditLog::new(deps.db.clone(), judge.clone(), page_tokens.clone(), deps.clock.clone());
    let use_cases = Arc::new(UseCases::new(&deps, judge, keys, directory));
    let (clock, ids, db) = (deps.clock.clone(), deps.ids.clone(), deps.db.clone());
    let edge = Edge::new(Service::Identity, clock, ids, &deps.key, db, deps.write_limits)
        .with_trusted_proxies(deps.settings.trusted_proxies.clone());
    let handlers = Handlers {
        edge: Arc::new(edge),
        use_cases: Arc::clone(&use_cases),
        page_tokens: Arc::new(page_tokens),
        audit: Arc::new(audit),
    };
    let verifier = TokenVerifier::new(Service::Identity, deps.issuer, deps.trust, fetch, deps.clock);
    let built = Built {
        parts: ServiceParts {
            service: Service::Identity,
            routes: handlers.routes(),
            names: grpc::NAMES.to_vec(),
            verifier: Arc::new(verifier),
        },
        workers: workers::all(&use_cases),
    };
    (built, use_cases)
}
