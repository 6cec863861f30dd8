//! Three services in one process: the same crates, messages and layers as three processes, without a socket between.

use std::time::Duration;

use access::Service;
use database::{Db, OpenError, Settings as DatabaseSettings};
use kernel::{Clock, Ids};
use runtime::data_folder::DataFolder;
use runtime::edge::WriteLimits;
use runtime::keys::KeyFolder;
use runtime::peer::Peer;
use runtime::server::{Layered, Limits, layered};
use runtime::worker::Worker;
use subscription_service::PriceList;

use crate::options::Settings;

/// The three contexts' databases; no context touches another's.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Directories, domains, liens.
    pub directory: Db,
    /// Users, sessions, roles.
    pub identity: Db,
    /// Orders and subscriptions.
    pub subscription: Db,
}

impl Databases {
    /// Their names in a data folder.
    pub const NAMES: [&'static str; 3] = ["directory", "identity", "subscription"];

    /// Opens the three files of a data folder.
    pub async fn open(folder: &DataFolder) -> Result<Self, OpenError> {
        let settings = |name| {
            let url = folder.database_url(name).parse().expect("a data folder's URL is one of SQLite's");
            DatabaseSettings::at(url)
        };
        let [of_directory, of_identity, of_subscription] = Self::NAMES.map(settings);
        let migrations = [
            directory_service::migrations(),
            identity_service::migrations(),
            subscription_service::migrations(),
        ];
        // At once: on an empty folder, making the schemas is most of what a start takes.
        let (directory, identity, subscription) = tokio::try_join!(
            Db::open(&of_directory, &migrations[0]),
            Db::open(&of_identity, &migrations[1]),
            Db::open(&of_subscription, &migrations[2]),
        )?;
        Ok(Self { directory, identity, subscription })
    }
}

/// What the three services are built from.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Their databases.
    pub databases: Databases,
    /// The clock of all three.
    pub clock: Clock,
    /// Where random ids come from.
    pub ids: Ids,
    /// Issuer of access tokens.
    pub issuer: String,
    /// What all initial domains end with, and who is asked about others.
    pub directory: directory_service::Settings,
    /// Prices.
    pub prices: PriceList,
    /// Identity's limits and policies.
    pub identity: identity_service::Settings,
    /// Subscription's limits.
    pub subscription: subscription_service::Settings,
    /// How fast principals and directories may write.
    pub write_limits: WriteLimits,
    /// Longest time of a call.
    pub request_timeout: Duration,
}

impl Deps {
    /// What a checked configuration says, over open databases.
    pub fn new(settings: &Settings, databases: Databases, clock: Clock, ids: Ids) -> Self {
        Self {
            databases,
            clock,
            ids,
            issuer: settings.process.issuer.clone(),
            directory: settings.directory.clone(),
            prices: settings.prices.clone(),
            identity: settings.identity.clone(),
            subscription: settings.subscription.clone(),
            write_limits: settings.process.write_limits,
            request_timeout: settings.process.request_timeout,
        }
    }
}

/// The three services, ready to be served and worked for.
#[derive(Debug)]
pub struct Embedded {
    /// directory-service with its layers.
    pub directory: Layered,
    /// identity-service with its layers.
    pub identity: Layered,
    /// subscription-service with its layers.
    pub subscription: Layered,
    /// The background duties of all three.
    pub workers: Vec<Worker>,
    /// The limits that they were built with.
    pub limits: Limits,
}

/// How subscription-service reaches identity; tests put something broken in between.
pub type BetweenPeers<'a> = &'a dyn Fn(Service, Service, Peer) -> Peer;

impl Embedded {
    /// Builds the three services over in-process peers; the pair that asks each other is bound late.
    pub fn build(deps: &Deps, keys: &KeyFolder) -> Self {
        Self::build_with(deps, keys, &|_, _, peer| peer)
    }

    /// As [`Self::build`], where `between` may wrap the way from one service to another.
    pub fn build_with(deps: &Deps, keys: &KeyFolder, between: BetweenPeers<'_>) -> Self {
        let limits = Limits { longest_call: deps.request_timeout, ..Limits::default() };
        let (directory_peer, directory_slot) = Peer::later();
        let (identity_peer, identity_slot) = Peer::later();
        let peer = |from: Service, to: Service, peer: &Peer| {
            between(from, to, peer.clone()).as_service(
                from,
                keys.service(from).clone(),
                to,
                deps.clock.clone(),
            )
        };
        let directory = directory_service::build(directory_service::Deps {
            db: deps.databases.directory.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            key: keys.service(Service::Directory).clone(),
            trust: keys.trust(),
            issuer: deps.issuer.clone(),
            identity: peer(Service::Directory, Service::Identity, &identity_peer),
            initial_domain_suffix: deps.directory.initial_domain_suffix.clone(),
            dns_servers: deps.directory.dns_servers.clone(),
            write_limits: deps.write_limits,
        });
        let identity = identity_service::build(identity_service::Deps {
            db: deps.databases.identity.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            key: keys.service(Service::Identity).clone(),
            trust: keys.trust(),
            issuer: deps.issuer.clone(),
            directory: peer(Service::Identity, Service::Directory, &directory_peer),
            // The data folder's lock: nobody else writes.
            decisions: identity_service::Decisions::Authoritative,
            settings: deps.identity.clone(),
            write_limits: deps.write_limits,
        });
        let subscription = subscription_service::build(subscription_service::Deps {
            db: deps.databases.subscription.clone(),
            clock: deps.clock.clone(),
            ids: deps.ids.clone(),
            key: keys.service(Service::Subscription).clone(),
            trust: keys.trust(),
            issuer: deps.issuer.clone(),
            identity: peer(Service::Subscription, Service::Identity, &identity_peer),
            directory: peer(Service::Subscription, Service::Directory, &directory_peer),
            prices: deps.prices.clone(),
            settings: deps.subscription.clone(),
            write_limits: deps.write_limits,
        });
        let mut workers = directory.workers;
        workers.extend(identity.workers);
        workers.extend(subscription.workers);
        let directory = layered(directory.parts, &limits);
        let identity = layered(identity.parts, &limits);
        directory_slot.connect(directory.clone());
        identity_slot.connect(identity.clone());
        Self { directory, identity, subscription: layered(subscription.parts, &limits), workers, limits }
    }
}
