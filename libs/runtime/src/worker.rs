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

type Runs = Box<dyn Fn() -> Run + Send + Sync>;
type Run = Pin<Box<dyn Future<Output = Result<bool, Refusal>> + Send>>;

/// A background duty, driven by one function that does some of it and says whether more is to do now.
pub struct Worker {
    /// What it does, for logs and exit reports.
    pub name: &'static str,
    /// How often it looks for something to do.
    pub every: Duration,
    run_once: Runs,
    stay: Option<Runs>,
    wake: Option<Arc<Notify>>,
}

impl Worker {
    /// A duty; `run_once` answers `true` while more is to do now. It may be dropped at any await on the hard stop.
    pub fn new<F, R>(name: &'static str, every: Duration, run_once: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<bool, Refusal>> + Send + 'static,
    {
        Self { name, every, run_once: Box::new(move || Box::pin(run_once())), stay: None, wake: None }
    }

    /// Looks also when `wake` is notified by `notify_one`, which keeps a notice that comes during a run; one `Notify`
    /// wakes one worker.
    #[must_use]
    pub fn woken_by(mut self, wake: Arc<Notify>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Once started, does this instead: the same duty, which then waits for more to do rather than end. It is dropped on
    /// the soft stop already, at any await.
    #[must_use]
    pub fn staying<F, R>(mut self, stay: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<bool, Refusal>> + Send + 'static,
    {
        self.stay = Some(Box::new(move || Box::pin(stay())));
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
        let mut failures: u32 = 0;
        while !shutdown.is_stopping() {
            // The soft stop lets a run that has begun finish; the hard stop drops it, which rolls it back.
            let run = self.stay.as_ref().unwrap_or(&self.run_once)();
            let outcome = tokio::select! {
                outcome = catch_panic(run) => outcome,
                () = shutdown.hard_stopped() => return,
                () = shutdown.soft_stopped(), if self.stay.is_some() => return,
            };
            failures = match outcome {
                Some(Ok(true)) => {
                    failures = 0;
                    tokio::task::yield_now().await;
                    continue;
                }
                Some(Ok(false)) => 0,
                Some(Err(refusal)) => {
                    tracing::warn!(worker = self.name, error = %refusal, "a background duty failed; it will be retried");
                    failures.saturating_add(1)
                }
                None => {
                    tracing::error!(worker = self.name, "a background duty crashed; it will be retried");
                    tasks.note_crash(self.name);
                    failures.saturating_add(1)
                }
            };
            tokio::select! {
                () = self.pause(failures) => {}
                () = shutdown.soft_stopped() => return,
            }
        }
    }

    /// A wake-up shortens the pause after a success, never the one after an error.
    async fn pause(&self, failures: u32) {
        if failures > 0 {
            return tokio::time::sleep(self.backoff(failures)).await;
        }
        let woken = async {
            match &self.wake {
                Some(wake) => wake.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(self.every) => {}
            () = woken => {}
        }
    }

    /// Doubles with every failure in a row, from the worker's own pace up to 30 seconds.
    fn backoff(&self, failures: u32) -> Duration {
        let first = self.every.clamp(LEAST_BACKOFF, MOST_BACKOFF);
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        first.saturating_mul(factor).min(MOST_BACKOFF)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).field("every", &self.every).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_millis(10);
    const NEVER: Duration = Duration::from_hours(1);

    /// A worker that counts its runs and answers each by `answer`, and a way to wait for so many runs.
    fn counting(
        every: Duration,
        answer: impl Fn(usize) -> Result<bool, Refusal> + Send + Sync + 'static,
    ) -> (Worker, Arc<AtomicUsize>) {
        let runs = Arc::new(AtomicUsize::new(0));
        let (counter, answer) = (runs.clone(), Arc::new(answer));
        let worker = Worker::new("counting", every, move || {
            let (run, answer) = (counter.fetch_add(1, Ordering::SeqCst) + 1, answer.clone());
            async move { answer(run) }
        });
        (worker, runs)
    }

    async fn until(runs: &AtomicUsize, wanted: usize) {
        let reached = async {
            while runs.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("the worker runs so often");
    }

    #[tokio::test]
    async fn one_run_is_driven_by_hand() {
        let (worker, runs) = counting(NEVER, |run| Ok(run < 2));
        assert_eq!((worker.run_once().await, worker.run_once().await), (Ok(true), Ok(false)));
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn it_goes_on_at_once_while_more_is_to_do_and_stops_softly() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let (worker, runs) = counting(NEVER, |run| Ok(run < 5));
        worker.start(&tasks, shutdown.clone());
        until(&runs, 5).await;
        shutdown.soft();
        assert!(tasks.close_and_wait(Duration::from_secs(10)).await.is_clean());
        assert_eq!(runs.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn it_polls_and_a_wake_up_comes_before_the_poll() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let (polling, polled) = counting(SOON, |_| Ok(false));
        let (waiting, woken) = counting(NEVER, |_| Ok(false));
        let wake = Arc::new(Notify::new());
        polling.start(&tasks, shutdown.clone());
        waiting.woken_by(wake.clone()).start(&tasks, shutdown.clone());
        until(&polled, 3).await;
        until(&woken, 1).await;
        wake.notify_one();
        until(&woken, 2).await;
        shutdown.soft();
        assert!(tasks.close_and_wait(Duration::from_secs(10)).await.is_clean());
    }

    #[tokio::test]
    async fn errors_and_crashes_are_retried_and_crashes_are_told() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let (worker, runs) = counting(SOON, |run| match run {
            1 => Err(Refusal::internal()),
            2 => panic!("on purpose"),
            _ => Ok(false),
        });
        worker.start(&tasks, shutdown.clone());
        until(&runs, 4).await;
        shutdown.soft();
        let stopped = tasks.close_and_wait(Duration::from_secs(10)).await;
        assert_eq!((stopped.crashed, stopped.hung), (vec!["counting"], vec![]));
    }

    #[tokio::test]
    async fn a_wake_up_does_not_shorten_the_pause_after_an_error() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let (worker, runs) = counting(NEVER, |_| Err(Refusal::internal()));
        let wake = Arc::new(Notify::new());
        worker.woken_by(wake.clone()).start(&tasks, shutdown.clone());
        until(&runs, 1).await;
        wake.notify_one();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        shutdown.soft();
        assert!(tasks.close_and_wait(Duration::from_secs(10)).await.is_clean());
    }

    #[tokio::test]
    async fn the_hard_stop_drops_a_run() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let begun = Arc::new(Notify::new());
        let tell = begun.clone();
        let worker = Worker::new("endless", NEVER, move || {
            tell.notify_one();
            std::future::pending()
        });
        worker.start(&tasks, shutdown.clone());
        begun.notified().await;
        shutdown.hard();
        assert!(tasks.close_and_wait(Duration::from_secs(10)).await.is_clean());
    }

    #[tokio::test]
    async fn the_soft_stop_drops_what_stays() {
        let (tasks, shutdown) = (Tasks::new(), Shutdown::new());
        let begun = Arc::new(Notify::new());
        let tell = begun.clone();
        let worker = counting(NEVER, |_| Ok(false)).0.staying(move || {
            tell.notify_one();
            std::future::pending()
        });
        worker.start(&tasks, shutdown.clone());
        begun.notified().await;
        shutdown.soft();
        assert!(tasks.close_and_wait(Duration::from_secs(10)).await.is_clean());
    }

    #[test]
    fn the_pause_doubles_up_to_thirty_seconds() {
        let (worker, _) = counting(Duration::from_secs(2), |_| Ok(false));
        let pauses: Vec<u64> = (1..=7).map(|failures| worker.backoff(failures).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(worker.backoff(u32::MAX), MOST_BACKOFF);
        assert_eq!(counting(NEVER, |_| Ok(false)).0.backoff(1), MOST_BACKOFF);
        assert_eq!(counting(Duration::ZERO, |_| Ok(false)).0.backoff(1), LEAST_BACKOFF);
    }
}
