//! Stopping in two stages, and the owner of every task (S17).
//!
//! Soft: take no new work and finish what was begun; hard: drop it. What a task does is its own matter.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may take to finish after the soft stop.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long tasks may take to end after the hard stop; those that take longer are aborted and named.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// How long the hook may take that says `NOT_SERVING`.
const HOOK_PATIENCE: Duration = Duration::from_secs(1);

/// The two stages, as seen from every part of the process.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Nothing has been stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops taking new work.
    pub fn soft(&self) {
        self.soft.cancel();
    }

    /// Drops what is still being done; includes the soft stop.
    pub fn hard(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// Ends once the soft stop has been asked for.
    pub fn soft_stopped(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.soft.clone().cancelled_owned()
    }

    /// Ends once the hard stop has been asked for.
    pub fn hard_stopped(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.hard.clone().cancelled_owned()
    }

    /// Whether the soft stop has been asked for.
    pub fn is_stopping(&self) -> bool {
        self.soft.is_cancelled()
    }
}

/// What a wait for all tasks has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Tasks that panicked, or said by [`Tasks::note_crash`] that they failed.
    pub crashed: Vec<&'static str>,
    /// Tasks that did not end in time and were aborted.
    pub hung: Vec<&'static str>,
}

impl Stopped {
    /// Whether every task ended by itself, and well.
    pub fn is_clean(&self) -> bool {
        self.crashed.is_empty() && self.hung.is_empty()
    }

    /// The process's exit code: 0 when clean, otherwise 70 (`EX_SOFTWARE`).
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(70) }
    }
}

#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    running: HashMap<u64, (&'static str, Option<AbortHandle>)>,
    crashed: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    ledger: Mutex<Ledger>,
    crash: CancellationToken,
}

/// The owner of every task of the process.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Inner>);

impl Tasks {
    /// No task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. Should it panic, [`run_until_stopped`] stops the process: half a process serves nobody.
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let entry = Entry::new(self.clone(), name);
        let id = entry.id;
        let tasks = self.clone();
        let watched = async move {
            // Dropped with the future, however that ends: by its own end, by an abort, by the runtime.
            let _entry = entry;
            if catch_panic(future).await.is_none() {
                tracing::error!(task = name, "a task has crashed; the process stops");
                tasks.note_crash(name);
                tasks.0.crash.cancel();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "this is the owner of all tasks")]
        let handle = tokio::spawn(self.0.tracker.track_future(watched));
        if let Some((_, abort)) = self.ledger().running.get_mut(&id) {
            *abort = Some(handle.abort_handle());
        }
    }

    /// Notes that a task failed without a panic; the exit code will tell.
    pub fn note_crash(&self, name: &'static str) {
        let mut ledger = self.ledger();
        if !ledger.crashed.contains(&name) {
            ledger.crashed.push(name);
        }
    }

    /// Takes no further tasks into the wait, waits for all until the deadline, aborts the rest and names them.
    pub async fn close_and_wait(&self, deadline: Duration) -> Stopped {
        self.0.tracker.close();
        let in_time = tokio::time::timeout(deadline, self.0.tracker.wait()).await.is_ok();
        let mut ledger = self.ledger();
        let mut hung = Vec::new();
        if !in_time {
            for (name, abort) in ledger.running.drain().map(|(_, task)| task) {
                hung.push(name);
                if let Some(abort) = abort {
                    abort.abort();
                }
            }
            hung.sort_unstable();
        }
        Stopped { crashed: std::mem::take(&mut ledger.crashed), hung }
    }

    /// Ends when a task has panicked.
    pub fn crashed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.crash.clone().cancelled_owned()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running task's line in the ledger.
struct Entry {
    tasks: Tasks,
    id: u64,
}

impl Entry {
    fn new(tasks: Tasks, name: &'static str) -> Self {
        let mut ledger = tasks.ledger();
        let id = ledger.next;
        ledger.next += 1;
        ledger.running.insert(id, (name, None));
        drop(ledger);
        Self { tasks, id }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tasks.ledger().running.remove(&self.id);
    }
}

/// The future's value, or nothing when it panicked; the panic itself is told by the panic hook.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Some(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// The signals that ask a process to stop: SIGINT and SIGTERM.
///
/// Listened for from the first step of a start on, so that one that comes early stops in order too.
#[derive(Debug)]
pub struct Signals(tokio::sync::Mutex<[Option<Signal>; 2]>);

impl Signals {
    /// Listens from now on; one that comes before anybody waits is kept.
    pub fn listen() -> Self {
        let listen = |kind| match signal(kind) {
            Ok(signals) => Some(signals),
            Err(error) => {
                // Without a handler the signal's default ends the process: abruptly, but it ends.
                tracing::warn!(%error, "a signal cannot be listened for");
                None
            }
        };
        Self(tokio::sync::Mutex::new([SignalKind::interrupt(), SignalKind::terminate()].map(listen)))
    }

    /// Ends when the process is asked to stop.
    pub async fn next(&self) {
        let mut signals = self.0.lock().await;
        let [interrupt, terminate] = &mut *signals;
        tokio::select! {
            () = received(interrupt) => tracing::info!("SIGINT: stopping"),
            () = received(terminate) => tracing::info!("SIGTERM: stopping"),
        }
    }
}

async fn received(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => {
            signals.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Runs until somebody asks for the end, then stops in order, and says how it went.
///
/// The end is asked for by a signal, by `shutdown.soft()`, or by the crash of a task. Then: `not_serving` (health
/// answers `NOT_SERVING`), the soft stop, up to 25 s for what was begun, the hard stop. A second signal is the hard
/// stop at once.
pub async fn run_until_stopped(
    shutdown: &Shutdown,
    tasks: &Tasks,
    signals: &Signals,
    not_serving: impl Future<Output = ()>,
) -> Stopped {
    stop_in_order(shutdown, tasks, not_serving, PATIENCE, || signals.next()).await
}

async fn stop_in_order<S: Future<Output = ()>>(
    shutdown: &Shutdown,
    tasks: &Tasks,
    not_serving: impl Future<Output = ()>,
    patience: Duration,
    signal: impl Fn() -> S,
) -> Stopped {
    tokio::select! {
        () = signal() => {}
        () = shutdown.soft_stopped() => {}
        () = tasks.crashed() => {}
    }
    if tokio::time::timeout(HOOK_PATIENCE, not_serving).await.is_err() {
        tracing::warn!("health could not be told in time that the process stops");
    }
    shutdown.soft();
    tasks.0.tracker.close();
    tokio::select! {
        () = tasks.0.tracker.wait() => {}
        () = tokio::time::sleep(patience) => tracing::warn!("not everything was finished in time; stopping hard"),
        () = signal() => tracing::warn!("asked twice; stopping hard"),
    }
    shutdown.hard();
    let stopped = tasks.close_and_wait(LAST_PATIENCE).await;
    if !stopped.is_clean() {
        tracing::error!(crashed = ?stopped.crashed, hung = ?stopped.hung, "stopped, but not cleanly");
    }
    stopped
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);

    /// The first `signals` calls end at once, every further one never.
    fn signals(signals: usize) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let left = AtomicUsize::new(signals);
        move || {
            let now =
                left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if now { Box::pin(std::future::ready(())) } else { Box::pin(std::future::pending()) }
        }
    }

    #[tokio::test]
    async fn the_hard_stop_includes_the_soft_one() {
        let shutdown = Shutdown::new();
        let elsewhere = shutdown.clone();
        assert!(!shutdown.is_stopping());
        elsewhere.hard();
        shutdown.soft_stopped().await;
        shutdown.hard_stopped().await;
        assert!(shutdown.is_stopping());
    }

    #[tokio::test]
    async fn tasks_that_crash_or_hang_are_named() {
        let tasks = Tasks::new();
        tasks.spawn("good", async {});
        tasks.spawn("crashing", async { panic!("on purpose") });
        tasks.spawn("hanging", std::future::pending());
        tasks.crashed().await;
        let stopped = tasks.close_and_wait(SHORT).await;
        assert_eq!(stopped, Stopped { crashed: vec!["crashing"], hung: vec!["hanging"] });
        assert!(!stopped.is_clean());
        // The aborted task is gone too.
        tasks.0.tracker.wait().await;
    }

    #[tokio::test]
    async fn the_order_is_not_serving_then_soft_and_begun_work_is_finished() {
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let finished = Arc::new(AtomicBool::new(false));
        let (flag, soft) = (finished.clone(), shutdown.soft_stopped());
        tasks.spawn("server", async move {
            soft.await;
            tokio::time::sleep(SHORT).await;
            flag.store(true, Ordering::SeqCst);
        });
        let hook = async { assert!(!shutdown.is_stopping(), "health is told first") };
        let stopped = stop_in_order(&shutdown, &tasks, hook, LONG, signals(1)).await;
        assert!(stopped.is_clean() && finished.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_second_signal_or_the_end_of_patience_is_the_hard_stop() {
        for (patience, count) in [(LONG, 2), (SHORT, 1)] {
            let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
            let hard = shutdown.hard_stopped();
            tasks.spawn("server", hard);
            let began = std::time::Instant::now();
            let stopped = stop_in_order(&shutdown, &tasks, async {}, patience, signals(count)).await;
            assert!(stopped.is_clean() && began.elapsed() < LONG / 2);
        }
    }

    #[tokio::test]
    async fn a_crash_stops_the_process_and_the_exit_code_tells() {
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        tasks.spawn("server", shutdown.soft_stopped());
        tasks.spawn("crashing", async { panic!("on purpose") });
        let stopped = stop_in_order(&shutdown, &tasks, async {}, LONG, signals(0)).await;
        assert_eq!(stopped.crashed, ["crashing"]);
        assert_eq!(format!("{:?}", stopped.exit_code()), format!("{:?}", ExitCode::from(70)));
    }

    #[tokio::test]
    async fn who_asks_for_the_soft_stop_ends_the_run() {
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let asking = shutdown.clone();
        tasks.spawn("journeys", async move { asking.soft() });
        let hook = std::future::pending();
        let stopped =
            tokio::time::timeout(LONG, stop_in_order(&shutdown, &tasks, hook, LONG, signals(0))).await;
        assert!(stopped.unwrap().is_clean(), "a hook that hangs is not waited for");
    }
}
