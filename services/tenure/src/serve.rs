//! `tenure serve`: from a checked configuration to a running server and back to nothing, in order.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use database::Db;
use runtime::clock::{system_clock, system_ids};
use runtime::data_folder::{DataFolder, DataFolderError};
use runtime::keys::{KeyError, KeyFolder};
use runtime::server::{Health, ServeError, Server};
use runtime::shutdown::{Shutdown, Signals, Tasks, run_until_stopped};
use runtime::worker::Worker;
use tokio::net::TcpListener;

use crate::embedded::{Databases, Deps, Embedded};
use crate::options::Settings;

/// How often a service's readiness is looked at.
const STORAGE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Why the server could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeFailed {
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The key files.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The databases.
    #[error(transparent)]
    Database(#[from] database::OpenError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The transport.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The operator's and the services' keys.
    pub keys: KeyFolder,
    /// What asks the process to stop.
    pub(crate) signals: Signals,
    folder: DataFolder,
    databases: Databases,
    health: Health,
    shutdown: Shutdown,
    tasks: Tasks,
}

impl Running {
    /// Locks the data folder, opens the databases, starts workers and the server.
    pub async fn start(settings: &Settings) -> Result<Self, ServeFailed> {
        let signals = Signals::listen();
        let folder = DataFolder::lock(&settings.data_dir)?;
        let mut files = KeyFolder::files(&folder.keys());
        files.extend(Databases::NAMES.map(|name| folder.path().join(format!("{name}.db"))));
        folder.check_whole(&files)?;
        let keys = KeyFolder::open_or_create(&folder.keys())?;
        let databases = Databases::open(&folder).await?;
        folder.note_whole()?;
        let deps = Deps::new(settings, databases.clone(), system_clock(), system_ids());
        let embedded = Embedded::build(&deps, &keys);
        let listen = |source| ServeFailed::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let watched = watched(&embedded, &databases);
        for worker in embedded.workers {
            worker.start(&tasks, shutdown.clone());
        }
        let server =
            Server::new(vec![embedded.directory, embedded.identity, embedded.subscription], embedded.limits);
        let health = server.health();
        let (soft, hard) = (shutdown.soft_stopped(), shutdown.hard_stopped());
        let (crashed, ending) = (tasks.clone(), shutdown.clone());
        tasks.spawn("server", async move {
            if let Err(error) = server.serve(listener, soft, hard).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the server failed; the process stops"
                );
                crashed.note_crash("server");
                ending.soft();
            }
        });
        watch_storage(&health, watched).start(&tasks, shutdown.clone());
        health.set_serving().await;
        tracing::info!(%address, "serving");
        if !address.ip().is_loopback() {
            // K34: said aloud, since it was allowed by a flag that is easily forgotten.
            tracing::warn!(%address, "serving without TLS: whoever is on the network can read everything");
        }
        Ok(Self { address, keys, signals, folder, databases, health, shutdown, tasks })
    }

    /// Serves until a signal, then stops in order: `NOT_SERVING`, drain, hard stop; databases closed last.
    pub async fn until_stopped(self) -> ExitCode {
        let health = self.health;
        let stopped = run_until_stopped(&self.shutdown, &self.tasks, &self.signals, async move {
            health.set_not_serving().await;
        })
        .await;
        self.databases.close().await;
        drop(self.folder);
        stopped.exit_code()
    }

    /// Stops at once in order, without waiting for a signal; says how that went.
    pub async fn stop(self) -> ExitCode {
        self.health.set_not_serving().await;
        self.shutdown.soft();
        self.until_stopped().await
    }
}

/// Names of a service's servers, and the database that it is nothing without.
type Watched = Vec<(Vec<&'static str>, Db)>;

fn watched(embedded: &Embedded, databases: &Databases) -> Watched {
    let Databases { directory, identity, subscription } = databases.clone();
    vec![
        (embedded.directory.names().to_vec(), directory),
        (embedded.identity.names().to_vec(), identity),
        (embedded.subscription.names().to_vec(), subscription),
    ]
}

/// Readiness is a service's own storage (K34): asked every few seconds, told by health.
fn watch_storage(health: &Health, watched: Watched) -> Worker {
    let (health, watched) = (health.clone(), Arc::new(watched));
    Worker::new("watch_storage", STORAGE_CHECK_INTERVAL, move || {
        let (health, watched) = (health.clone(), Arc::clone(&watched));
        async move {
            let mut servers = Vec::new();
            for (names, db) in watched.iter() {
                servers.push((names.as_slice(), db.ping().await.is_ok()));
            }
            health.report(&servers).await;
            Ok(false)
        }
    })
}

/// `tenure serve`.
pub async fn serve(settings: &Settings) -> Result<ExitCode, ServeFailed> {
    let running = Running::start(settings).await?;
    // The one line on standard output, for whoever waits for the port; everything else is the log's.
    let _ = writeln!(io::stdout(), "tenure is serving on {}", running.address);
    Ok(running.until_stopped().await)
}
