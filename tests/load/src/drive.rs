//! Calls, one after the other by each client (closed loop) or at times fixed before (open loop).
//!
//! What is called, and whether the answer was right, is the work's matter: its first failure ends the drive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Failed;
use crate::latencies::Latencies;

/// Calls in flight beyond which an open loop has lost its subject.
const MOST_IN_FLIGHT: usize = 20_000;

/// What is called again and again.
pub(crate) trait Work: Send + Sync + 'static {
    /// One call by one of the clients, answered and checked.
    fn call(&self, client: usize) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// How a closed loop is driven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    pub(crate) clients: usize,
    /// Answers that come in it are not counted.
    pub(crate) warm_up: Duration,
    pub(crate) counted: Duration,
}

/// What was driven.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) latencies: Latencies,
    /// The time in which these were answered.
    pub(crate) took: Duration,
}

/// Each client calls, waits for its answer, and calls again; what is answered after the warm-up and in time counts.
///
/// `mark` is called when counting begins and when it ends: calls that are in flight then are finished uncounted.
pub(crate) async fn closed<W: Work>(
    work: &Arc<W>,
    shape: Closed,
    mut mark: impl FnMut(),
) -> Result<Driven, Failed> {
    let from = Instant::now() + shape.warm_up;
    let until = from + shape.counted;
    let mut clients = JoinSet::new();
    for client in 0..shape.clients {
        let work = Arc::clone(work);
        clients.spawn(async move {
            let mut latencies = Latencies::new();
            loop {
                let begun = Instant::now();
                if begun >= until {
                    return Ok::<_, Failed>(latencies);
                }
                work.call(client).await?;
                let ended = Instant::now();
                if (from..until).contains(&ended) {
                    latencies.record(ended - begun);
                }
            }
        });
    }
    for at in [from, until] {
        tokio::time::sleep_until(at).await;
        mark();
    }
    let mut latencies = Latencies::new();
    while let Some(ended) = clients.join_next().await {
        latencies.add(&ended??);
    }
    Ok(Driven { latencies, took: shape.counted })
}

/// Begins a call at each arrival, however many are in flight, and counts from when it was meant to begin.
///
/// A subject that stalls so makes all calls late that were due meanwhile, not only the one that met the stall.
pub(crate) async fn open<W: Work>(
    work: &Arc<W>,
    mut arrivals: mpsc::UnboundedReceiver<Instant>,
) -> Result<Driven, Failed> {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    let mut latencies = Latencies::new();
    let mut client = 0;
    loop {
        tokio::select! {
            arrival = arrivals.recv() => {
                let Some(intended) = arrival else { break };
                if calls.len() >= MOST_IN_FLIGHT {
                    return Err(format!("{MOST_IN_FLIGHT} calls are in flight: the rate is beyond the subject").into());
                }
                let work = Arc::clone(work);
                client += 1;
                calls.spawn(async move {
                    work.call(client).await?;
                    Ok::<_, Failed>(intended.elapsed())
                });
            }
            Some(ended) = calls.join_next() => latencies.record(ended??),
        }
    }
    while let Some(ended) = calls.join_next().await {
        latencies.record(ended??);
    }
    Ok(Driven { latencies, took: begun.elapsed() })
}

/// When each call of an open loop is meant to begin: `rate` a second from `start` on, `count` in all.
fn intended(start: Instant, rate: f64, count: u32) -> impl Iterator<Item = Instant> {
    (0..count).map(move |number| start + Duration::from_secs_f64(f64::from(number) / rate))
}

/// Arrivals from a thread of its own: the runtime's timers are a millisecond apart, which would count as latency.
pub(crate) fn arrivals(rate: f64, count: u32) -> mpsc::UnboundedReceiver<Instant> {
    let (send, receive) = mpsc::unbounded_channel();
    let start = Instant::now();
    std::thread::spawn(move || {
        for at in intended(start, rate, count) {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if send.send(at).is_err() {
                return;
            }
        }
    });
    receive
}

/// Numbers that no two calls of a work share.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Mutex;

    /// One call at a time, 1 ms each; the tenth takes 100 ms.
    struct Stalls(Mutex<u32>);

    impl Work for Stalls {
        async fn call(&self, _client: usize) -> Result<(), Failed> {
            let mut calls = self.0.lock().await;
            *calls += 1;
            let time = if *calls == 10 { 100 } else { 1 };
            tokio::time::sleep(Duration::from_millis(time)).await;
            Ok(())
        }
    }

    struct Fails;

    impl Work for Fails {
        async fn call(&self, client: usize) -> Result<(), Failed> {
            if client == 1 { Err("a wrong answer".into()) } else { std::future::pending().await }
        }
    }

    fn stalls() -> Arc<Stalls> {
        Arc::new(Stalls(Mutex::new(0)))
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_loop_counts_from_the_intended_start() {
        let (send, receive) = mpsc::unbounded_channel();
        let work = stalls();
        let driven = async { open(&work, receive).await.unwrap() };
        let sender = async move {
            for at in intended(Instant::now(), 500.0, 100) {
                tokio::time::sleep_until(at).await;
                send.send(at).unwrap();
            }
        };
        let (driven, ()) = tokio::join!(driven, sender);
        let late = driven.latencies.percentiles();
        assert_eq!(driven.latencies.len(), 100);
        // The stall is met by one call and felt by all that were due in it and until the queue was worked off.
        assert!(late.p50 > 20_000, "half of the calls were late: {late:?}");
        assert!((99_000..=101_000).contains(&late.max), "nobody waited longer than the stall: {late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_counts_what_is_answered_after_the_warm_up() {
        let shape =
            Closed { clients: 1, warm_up: Duration::from_millis(300), counted: Duration::from_millis(100) };
        let driven = closed(&stalls(), shape, || {}).await.unwrap();
        assert!((99..=100).contains(&driven.latencies.len()), "{}", driven.latencies.len());
        assert!(driven.latencies.percentiles().max <= 1_001, "the stall fell into the warm-up");
        assert_eq!(driven.took, Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_slower_than_the_round_are_counted_by_their_answers() {
        // The tenth call takes as long as what is counted: with clients that wait for it, few answers come in time.
        let shape =
            Closed { clients: 20, warm_up: Duration::from_millis(5), counted: Duration::from_millis(100) };
        let driven = closed(&stalls(), shape, || {}).await.unwrap();
        assert!((4..=6).contains(&driven.latencies.len()), "{}", driven.latencies.len());
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_ends_the_drive() {
        let shape = Closed { clients: 4, warm_up: Duration::ZERO, counted: Duration::from_secs(1) };
        let failed = closed(&Arc::new(Fails), shape, || {}).await.unwrap_err();
        assert_eq!(failed.to_string(), "a wrong answer");
    }

    #[test]
    fn arrivals_are_evenly_spaced() {
        let start = Instant::now();
        let times: Vec<_> = intended(start, 250.0, 4).map(|at| at - start).collect();
        assert_eq!(times, [0, 4, 8, 12].map(Duration::from_millis));
    }
}
