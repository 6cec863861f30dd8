//! Background duties: repeated until the process stops, sooner when woken, later after an error.
//!
//! Polling is the truth and a wake-up a hint (K13): a duty asks its database what there is to do, never the waker.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kernel::Refusal;
use tokio::sync::Notify;

use crate::shutdown::{Shutdown, Tasks, catch_panic};

/// The longest pause after an error.
const MOST_BACKOFF: Duration = Duration::from_secs(30);
/// The shortest pause after an error, so that a duty without a pause does not spin.
const LEAST_BACKOFF: Duration = Duration::from_millis(10);

type Run = Pin<Box<dyn Future<Output = Result<bool, Refusal>> + Send>>;

/// A background duty, driven by one function that does some of it and says whether more is to do now.
pub struct Worker {
    /// What it does, for logs and exit reports.
    pub name: &'static str,
    /// How often it looks for something to do.
    pub every: Duration,
    run_once: Box<dyn Fn() -> Run + Send + Sync>,
    wake: Option<Arc<Notify>>,
}

impl Worker {
    /// A duty; `run_once` answers `true` while more is to do now. It may be dropped at any await on the hard stop.
    pub fn new<F, R>(name: &'static str, every: Duration, run_once: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<bool, Refusal>> + Send + 'static,
    {
        Self { name, every, run_once: Box::new(move || Box::pin(run_once())), wake: None }
    }

    /// Looks also when `wake` is notified by `notify_one`, which keeps a notice that comes during a run; one `Notify`
    /// wakes one worker.
    #[must_use]
    pub fn woken_by(mut self, wake: Arc<Notify>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Does some of the duty; tests drive it by this alone.
    pub async fn run_once(&self) -> Result<bool, Refusal> {
        (self.run_once)().await
    }

    /// Repeats the duty until the process stops.
    pub fn start(self, tasks: &Tasks, shutdown: Shutdown) {
        let name = self.name;
        let owner = tasks.clone();
        tasks.spawn(name, async move { self.repeat(&owner, &shutdown).await });
    }

    async fn repeat(&self, tasks: &Tasks, shutdown: &Shutdown) {
        let mut failures = 0;
        while !shutdown.is_stopping() {
            // The soft stop lets a run that has begun finish, the hard stop drops it, which rolls it back.
            let outcome = tokio::select! {
                outcome = catch_panic(self.run_once()) => outcome,
                () = shutdown.hard_stopped() => return,
            };
            let pause = match outcome {
                Some(Ok(true)) => {
                    failures = 0;
                    tokio::task::yield_now().await;
                    continue;
                }
                Some(Ok(false)) => {
                    failures = 0;
                    self.pause().await
                }
                Some(Err(refusal)) => {
                    tracing::warn!(worker = self.name, error = %refusal, "a background duty failed; it will be retried");
                    failures += 1;
                    tokio::time::sleep(self.backoff(failures)).await
                }
                None => {
                    tracing::error!(worker = self.name, "a background duty crashed; it will be retried");
                    tasks.note_crash(self.name);
                    failures += 1;
                }
            };
        }
    }
}
