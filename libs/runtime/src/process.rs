//! A process from its checked configuration to a running server and back to nothing, in order.
//!
//! Which services it serves, and what they stand on, its binary says.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use database::Db;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::{ConfigInvalid, EXIT_CONFIG_INVALID};
use crate::options::ProcessSettings;
use crate::server::{Health, Layered, Limits, ServeError, Server};
use crate::shutdown::{Shutdown, Signals, Tasks, run_until_stopped};
use crate::telemetry::TelemetrySettings;
use crate::worker::Worker;

/// How often a service's readiness is looked at, and how long a database may take to answer.
const STORAGE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long the end of the process waits for a database; one that does not answer must not hold it up.
const MOST_CLOSE_TIME: Duration = Duration::from_secs(2);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailed {
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

/// What a process serves, and does in the background.
#[derive(Debug)]
pub struct Serving {
    /// Each service with its layers, and the database that it is nothing without.
    pub services: Vec<(Layered, Db)>,
    /// The background duties of all.
    pub workers: Vec<Worker>,
    /// The limits that the services were layered with.
    pub limits: Limits,
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What asks the process to stop.
    pub signals: Signals,
    name: &'static str,
    databases: Vec<Db>,
    health: Health,
    shutdown: Shutdown,
    tasks: Tasks,
}

impl Running {
    /// Listens, and starts workers and the server.
    pub async fn start(
        settings: &ProcessSettings,
        signals: Signals,
        serving: Serving,
    ) -> Result<Self, StartFailed> {
        let Serving { services, workers, limits } = serving;
        let listen = |source| StartFailed::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let watched: Watched =
            services.iter().map(|(layered, db)| (layered.names().to_vec(), db.clone())).collect();
        let databases = services.iter().map(|(_, db)| db.clone()).collect();
        for worker in workers {
            worker.start(&tasks, shutdown.clone());
        }
        let layered = services.into_iter().map(|(layered, _)| layered).collect();
        let server = Server::new(layered, limits).with_tls(settings.tls.clone());
        let health = server.health();
        let (soft, hard) = (shutdown.soft_stopped(), shutdown.hard_stopped());
        let (crashed, ending) = (tasks.clone(), shutdown.clone());
        tasks.spawn("server", async move {
            if let Err(error) = server.serve(listener, soft, hard).await {
                tracing::error!(error = &error as &dyn Error, "the server failed; the process stops");
                crashed.note_crash("server");
                ending.soft();
            }
        });
        watch_storage(&health, watched).start(&tasks, shutdown.clone());
        health.set_serving().await;
        tracing::info!(%address, "serving");
        if !address.ip().is_loopback() && settings.tls.is_none() {
            // K34: said aloud, since it was allowed by a flag that is easily forgotten.
            tracing::warn!(%address, "serving without TLS: whoever is on the network can read everything");
        }
        Ok(Self { address, signals, name: settings.name, databases, health, shutdown, tasks })
    }

    /// Says on standard output where it serves: the one line there, for whoever waits for the port; everything else
    /// is the log's.
    pub fn announce(&self) {
        let _ = writeln!(io::stdout(), "{} is serving on {}", self.name, self.address);
    }

    /// Serves until a signal, then stops in order: `NOT_SERVING`, drain, hard stop; databases closed last.
    pub async fn until_stopped(self) -> ExitCode {
        let health = self.health;
        let stopped = run_until_stopped(&self.shutdown, &self.tasks, &self.signals, async move {
            health.set_not_serving().await;
        })
        .await;
        for db in &self.databases {
            if tokio::time::timeout(MOST_CLOSE_TIME, db.close()).await.is_err() {
                tracing::warn!("a database does not close in time; its connections are dropped");
            }
        }
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

/// Readiness is a service's own storage (K34): asked every few seconds, told by health.
fn watch_storage(health: &Health, watched: Watched) -> Worker {
    let (health, watched) = (health.clone(), Arc::new(watched));
    Worker::new("watch_storage", STORAGE_CHECK_INTERVAL, move || {
        let (health, watched) = (health.clone(), Arc::clone(&watched));
        async move {
            let pings = watched.iter().map(|(_, db)| {
                let db = db.clone();
                async move { db.ping().await }
            });
            let answers = who_answers(pings, STORAGE_CHECK_INTERVAL).await;
            let names = watched.iter().map(|(names, _)| names.as_slice());
            health.report(&names.zip(answers).collect::<Vec<_>>()).await;
            Ok(false)
        }
    })
}

/// Which of these succeed in time. All are asked at once: one that is silent keeps nobody from being told of the others.
async fn who_answers<E>(
    pings: impl Iterator<Item = impl Future<Output = Result<(), E>> + Send + 'static>,
    within: Duration,
) -> Vec<bool> {
    let mut asked = JoinSet::new();
    for (index, ping) in pings.enumerate() {
        asked.spawn(async move {
            let answer = tokio::time::timeout(within, ping).await;
            (index, matches!(answer, Ok(Ok(()))))
        });
    }
    let mut answers = vec![false; asked.len()];
    while let Some(answered) = asked.join_next().await {
        // A ping that crashed is no answer either.
        if let Ok((index, answer)) = answered
            && let Some(place) = answers.get_mut(index)
        {
            *place = answer;
        }
    }
    answers
}

/// Runs a process's work between the start and the end of its telemetry; a failure is told with its causes, once.
pub fn run<E: Error>(
    program: &str,
    telemetry: &TelemetrySettings,
    work: impl Future<Output = Result<ExitCode, E>>,
) -> ExitCode {
    // A connection takes a descriptor, and the usual soft limit is far below what the server admits.
    let descriptors = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, &error),
    };
    runtime.block_on(async {
        let telemetry = crate::telemetry::init(telemetry);
        if let Err(error) = descriptors {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
        let code = work.await.unwrap_or_else(|error| fail(program, &error));
        telemetry.shutdown().await;
        code
    })
}

/// Tells an error with its causes, on one line.
pub fn fail(program: &str, error: &dyn Error) -> ExitCode {
    let mut text = format!("{program}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}

/// Tells everything that is wrong with the configuration.
pub fn refuse(program: &str, invalid: &ConfigInvalid) -> ExitCode {
    fail(program, invalid);
    ExitCode::from(EXIT_CONFIG_INVALID)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::Pin;

    use tokio::sync::Barrier;

    use super::*;

    type Ping = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

    #[tokio::test]
    async fn k_34_a_database_that_never_answers_does_not_serve_and_holds_up_no_other() {
        let pings: [Ping; 4] =
            [Box::pin(pending()), Box::pin(ready(Ok(()))), Box::pin(pending()), Box::pin(ready(Err("gone")))];
        let answers = who_answers(pings.into_iter(), Duration::ZERO).await;
        assert_eq!(answers, [false, true, false, false]);
        // All of them meet: asked one after the other, none would answer.
        let meeting = Arc::new(Barrier::new(3));
        let pings = (0..3).map(|_| {
            let meeting = Arc::clone(&meeting);
            async move {
                meeting.wait().await;
                Ok::<(), ()>(())
            }
        });
        assert_eq!(who_answers(pings, STORAGE_CHECK_INTERVAL).await, [true; 3]);
    }
}
