//! One service as a process of its own: its options, its key, whom it believes, its peers, its database.
//!
//! `tenure` composes all three in one process instead, and has none of these.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::Trust;
use clap::{Args, Parser, Subcommand};
use database::feed::LEAST_RETENTION;
use database::{DatabaseUrl, Db, Migrations};
use http::Uri;
use kernel::{Clock, Ids};
use tonic::transport::Endpoint;

use crate::clock::{system_clock, system_ids};
use crate::config::{self, ConfigInvalid, Secret};
use crate::database_lock::{DatabaseLock, DatabaseLockError};
use crate::edge::WriteLimits;
use crate::health_check::{self, HealthOptions};
use crate::keys::{read_key, read_trust};
use crate::options::{self, Checking, ProcessOptions, ProcessSettings};
use crate::peer::Peer;
use crate::process::{self, Running, Serving, StartFailed};
use crate::server::{Limits, ServiceParts, layered};
use crate::shutdown::Signals;
use crate::worker::Worker;

/// What each of the three binaries can be told.
#[derive(Debug, Args)]
pub struct ServiceOptions {
    #[command(subcommand)]
    command: Option<ServiceCommand>,
    #[command(flatten)]
    process: ProcessOptions,
    /// The service's own database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `sqlite:PATH`; required. With
    /// `?sslmode=verify-full&sslrootcert=FILE` it demands TLS of PostgreSQL, with `require` TLS with whoever answers.
    /// By the variable rather than here, its password stays out of the list of processes.
    #[arg(long, env = "TENURE_DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<Secret<String>>,
    /// The most connections to PostgreSQL.
    #[arg(
        long,
        env = "TENURE_DATABASE_CONNECTIONS",
        default_value_t = database::Settings::POSTGRES_CONNECTIONS.to_string(),
        global = true
    )]
    database_connections: String,
    /// Days for which changes are kept for those who follow them, and as the audit log; 7 at least.
    #[arg(long, env = "TENURE_CHANGE_RETENTION_DAYS", default_value = DEFAULT_RETENTION_DAYS, global = true)]
    change_retention_days: String,
    /// File of the service's private key, the same for all its replicas; `tenure keys init` makes it; required.
    #[arg(long, env = "TENURE_KEY", value_name = "FILE", global = true)]
    key: Option<std::path::PathBuf>,
    /// Folder of the public keys of all services and of the operator, by name; `tenure keys init` makes it; required.
    #[arg(long, env = "TENURE_TRUST", value_name = "DIR", global = true)]
    trust: Option<std::path::PathBuf>,
}

/// What else a service's binary does than serve.
#[derive(Debug, Subcommand)]
enum ServiceCommand {
    /// Asks a running process whether it serves: exit code 0 when it does, 1 when not.
    Health(HealthOptions),
}

/// The options of a service's process, checked.
#[derive(Debug)]
pub struct ServiceSettings {
    process: ProcessSettings,
    database: database::Settings,
    key: PrivateKey,
    trust: Trust,
}

/// Where another service is.
#[derive(Debug)]
pub struct PeerAddress {
    service: Service,
    endpoint: Endpoint,
    /// Whether others could read along.
    in_the_open: bool,
}

/// What a service is built from, in a process of its own.
#[derive(Debug)]
pub struct ServiceDeps {
    /// Its database, migrated.
    pub db: Db,
    /// The current time.
    pub clock: Clock,
    /// Random ids.
    pub ids: Ids,
    /// Its own key.
    pub key: PrivateKey,
    /// Whose tokens it believes.
    pub trust: Trust,
    /// The issuer of access tokens.
    pub issuer: String,
    /// How fast principals and directories may write.
    pub write_limits: WriteLimits,
    own: Service,
}

impl ServiceDeps {
    /// Another service, spoken to as this one; connected at the first call, so that a missing one blocks no start
    /// (K34).
    pub fn peer(&self, address: PeerAddress) -> Peer {
        let PeerAddress { service, endpoint, in_the_open } = address;
        if in_the_open {
            // K34: said aloud, as it is of the own address.
            let address = endpoint.uri();
            tracing::warn!(%service, %address, "a peer is called without TLS: whoever is on the network can read everything");
        }
        Peer::at(endpoint).as_service(self.own, self.key.clone(), service, self.clock.clone())
    }
}

/// The command line of one service's binary, and how the service is built.
pub trait ServiceProgram: Parser {
    /// Which service.
    const SERVICE: Service;
    /// Where it listens when nothing is said.
    const LISTEN: &'static str;
    /// What it alone can be told, checked.
    type Own;

    /// What it can be told as any service.
    fn options(&self) -> &ServiceOptions;
    /// Checks what it alone can be told.
    fn check_own(&self, checking: &mut Checking) -> Option<Self::Own>;
    /// Its schema.
    fn migrations() -> Migrations;
    /// Builds it.
    fn build(deps: ServiceDeps, own: Self::Own) -> (ServiceParts, Vec<Worker>);
}

/// Why a service's process could not start.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Lock(#[from] DatabaseLockError),
    #[error(transparent)]
    Database(#[from] database::OpenError),
    #[error(transparent)]
    Start(#[from] StartFailed),
}

/// The `main` of a service's binary.
pub fn main<P: ServiceProgram>() -> ExitCode {
    let command = options::command::<P>(&[("listen", P::LISTEN)]);
    let program: P = options::parse(command.clone());
    let name = P::SERVICE.as_str();
    if let Some(ServiceCommand::Health(health)) = &program.options().command {
        return health_check::run(name, health, &program.options().process);
    }
    match check(&program, Checking::new(&command, std::env::vars_os())) {
        Ok((settings, own)) => {
            let telemetry = settings.process.telemetry.clone();
            process::run(name, &telemetry, serve::<P>(settings, own))
        }
        Err(invalid) => process::refuse(name, &invalid),
    }
}

/// Checks everything, and tells every problem at once.
fn check<P: ServiceProgram>(
    program: &P,
    mut checking: Checking,
) -> Result<(ServiceSettings, P::Own), ConfigInvalid> {
    let settings = program.options().check(P::SERVICE, &mut checking);
    let own = program.check_own(&mut checking);
    checking.problems.finish()?;
    let checked = "every problem ended this function";
    Ok((settings.expect(checked), own.expect(checked)))
}

async fn serve<P: ServiceProgram>(settings: ServiceSettings, own: P::Own) -> Result<ExitCode, Failed> {
    let signals = Signals::listen();
    // Held to the end of this function, behind the closing of the database.
    let _lock = DatabaseLock::of(&settings.database.url)?;
    let db = Db::open(&settings.database, &P::migrations()).await?;
    let ServiceSettings { process, key, trust, .. } = settings;
    let issuer = process.issuer.clone();
    let deps = ServiceDeps {
        db: db.clone(),
        clock: system_clock(),
        ids: system_ids(),
        key,
        trust,
        issuer,
        write_limits: process.write_limits,
        own: P::SERVICE,
    };
    let (parts, workers) = P::build(deps, own);
    let limits = Limits { longest_call: process.request_timeout, ..Limits::default() };
    let serving = Serving { services: vec![(layered(parts, &limits), db)], workers, limits };
    let running = Running::start(&process, signals, serving).await?;
    running.announce();
    Ok(running.until_stopped().await)
}

impl ServiceOptions {
    fn check(&self, service: Service, checking: &mut Checking) -> Option<ServiceSettings> {
        let process = self.process.check(service.as_str(), checking);
        let database = self.database(checking);
        let key = required("--key", self.key.as_deref(), checking);
        let key = key.and_then(|path| checking.problems.take("--key", read_key(path)));
        let trust = required("--trust", self.trust.as_deref(), checking);
        let trust = trust.and_then(|path| checking.problems.take("--trust", read_trust(path)));
        if let (Some(key), Some(trust)) = (&key, &trust)
            && trust.services.get(&service).map(Vec::as_slice) != Some(key.public())
        {
            // With another's key nobody would believe this service, and it would seal with what the other knows.
            let message = format!("is not the private half of {service}.pub in the folder of --trust");
            checking.problems.add("--key", message);
        }
        Some(ServiceSettings { process: process?, database: database?, key: key?, trust: trust? })
    }

    fn database(&self, checking: &mut Checking) -> Option<database::Settings> {
        let text = required("--database-url", self.database_url.as_ref(), checking);
        let url = text
            .and_then(|text| checking.problems.take("--database-url", text.expose().parse::<DatabaseUrl>()));
        // One writes while another reads; a pool of one would wait for itself.
        let connections = config::whole(&self.database_connections, &(2..=1_000));
        let connections = checking.problems.take("--database-connections", connections);
        let change_retention = change_retention(&self.change_retention_days, checking);
        Some(database::Settings {
            postgres_connections: connections?,
            change_retention: change_retention?,
            ..database::Settings::at(url?)
        })
    }
}

/// For how many days changes are kept where nothing is said.
pub const DEFAULT_RETENTION_DAYS: &str = "7";

/// Checks for how long changes are kept.
pub fn change_retention(days: &str, checking: &mut Checking) -> Option<Duration> {
    let least = LEAST_RETENTION.as_secs() / SECONDS_A_DAY;
    let days = checking.problems.take("--change-retention-days", config::whole(days, &(least..=36_500)))?;
    Some(Duration::from_secs(days * SECONDS_A_DAY))
}

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// Checks a peer's address, `http://HOST:PORT` or `https://HOST:PORT`; after the authorities.
pub fn check_peer(
    flag: &str,
    service: Service,
    address: Option<&str>,
    checking: &mut Checking,
) -> Option<PeerAddress> {
    let address = required(flag, address, checking)?;
    let uri = checking.problems.take(flag, address.parse::<Uri>())?;
    let only_a_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'))
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none();
    let in_the_open = uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback);
    let endpoint = match (uri.scheme_str(), &checking.authorities) {
        (Some("http"), _) if only_a_host => Ok(Endpoint::from(uri)),
        (Some("https"), Some(authorities)) if only_a_host => {
            Endpoint::from(uri).tls_config(authorities.client()).map_err(|error| error.to_string())
        }
        (Some("https"), None) if only_a_host => {
            Err("is an https:// address: add --tls-ca, the authority of its certificate".to_owned())
        }
        _ => Err(format!("must be the address of {service}: http://HOST:PORT or https://HOST:PORT")),
    };
    Some(PeerAddress { service, endpoint: checking.problems.take(flag, endpoint)?, in_the_open })
}

/// Whether a URL's host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn required<T>(flag: &str, value: Option<T>, checking: &mut Checking) -> Option<T> {
    if value.is_none() {
        checking.problems.add(flag, "is required");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_34_only_what_is_not_this_machine_lies_in_the_open() {
        for here in ["localhost", "127.0.0.1", "127.8.0.1", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["identity-service", "10.0.0.1", "0.0.0.0", "[fd00::1]", "localhost.example"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
