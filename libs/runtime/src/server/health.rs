//! The health protocol: one status for the server and the same for each service in it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// Says whether the server wants calls. Readiness is its own storage; a missing peer is no reason (K34).
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    names: Vec<String>,
    /// Locked while statuses are written, so that no report comes after the last word.
    stopping: Arc<Mutex<bool>>,
}

impl Health {
    /// Every service, and the server as a whole (the empty name), `NOT_SERVING`.
    pub(super) fn not_serving(names: impl Iterator<Item = &'static str>) -> Self {
        let names = names.chain([""]).map(str::to_owned).collect();
        let health = Self { reporter: HealthReporter::new(), names, stopping: Arc::default() };
        // Nobody else knows the reporter yet, so its lock is free and the future is ready at once.
        let ready = pin!(health.set(ServingStatus::NotServing)).poll(&mut Context::from_waker(Waker::noop()));
        debug_assert_eq!(ready, Poll::Ready(()), "the reporter is not shared yet");
        health
    }

    /// Calls are welcome.
    pub async fn set_serving(&self) {
        self.set(ServingStatus::Serving).await;
    }

    /// The process stops: calls are better sent elsewhere, and no report changes that any more.
    pub async fn set_not_serving(&self) {
        let mut stopping = self.stopping.lock().await;
        *stopping = true;
        self.set(ServingStatus::NotServing).await;
    }

    /// Which servers can do their work now; the server as a whole can when all of them can.
    pub async fn report(&self, servers: &[(&[&'static str], bool)]) {
        let stopping = self.stopping.lock().await;
        if *stopping {
            return;
        }
        let all = servers.iter().all(|(_, can_serve)| *can_serve);
        for (names, can_serve) in servers.iter().chain([&(&[""][..], all)]) {
            let status = if *can_serve { ServingStatus::Serving } else { ServingStatus::NotServing };
            for name in *names {
                self.reporter.set_service_status(name, status).await;
            }
        }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn set(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
