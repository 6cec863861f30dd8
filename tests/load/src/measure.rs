//! One round of one contestant, and rounds of several that take turns.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::drive::{Closed, Work, closed};
use crate::echo::EchoWork;
use crate::latencies::Percentiles;
use crate::process::{Process, cpu_of, memory_of, rest};
use crate::work::ApiWork;

/// What one round of one contestant gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    pub(crate) per_second: f64,
    pub(crate) latency_us: Percentiles,
    /// Processor time of the serving processes; that of a database server beside them is not in it.
    pub(crate) cpu_us_per_call: f64,
    /// Memory of the serving processes at the end, and the most that they ever held.
    pub(crate) memory_kib: (u64, u64),
    /// How long the serving processes went on working after the last answer.
    pub(crate) unrest_seconds: f64,
}

/// Drives a work, and takes the processor time of whoever serves it.
pub(crate) async fn sample<W: Work>(
    work: &Arc<W>,
    shape: Closed,
    cpu: impl Fn() -> Result<Duration, Failed>,
) -> Result<Sample, Failed> {
    let mut marks = Vec::new();
    let driven = closed(work, shape, || marks.push(cpu())).await?;
    let (after, before) = (marks.pop().ok_or("a round ends")??, marks.pop().ok_or("a round begins")??);
    let used = after.saturating_sub(before);
    let calls = driven.latencies.len();
    if calls == 0 {
        return Err("no call was counted".into());
    }
    Ok(Sample {
        calls,
        per_second: number(calls) / driven.took.as_secs_f64(),
        latency_us: driven.latencies.percentiles(),
        cpu_us_per_call: used.as_secs_f64() * 1e6 / number(calls),
        memory_kib: (0, 0),
        unrest_seconds: 0.0,
    })
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
pub(crate) const fn number(count: u64) -> f64 {
    count as f64
}

/// Calls that can be measured from here.
#[derive(Debug, Clone)]
pub(crate) enum AnyWork {
    Api(Arc<ApiWork>),
    Echo(Arc<EchoWork>),
}

/// Somebody who takes part in each round.
#[derive(Debug)]
pub(crate) enum Contestant<'a> {
    /// Served by these processes and called from here.
    Called {
        /// Its name in the report.
        name: String,
        /// What is called.
        work: AnyWork,
        /// Who serves it.
        processes: &'a [Process],
    },
    /// A process that drives itself: `load bare`.
    Bare {
        /// Its name in the report.
        name: String,
        /// The process.
        process: &'a mut Process,
    },
}

impl Contestant<'_> {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Called { name, .. } | Self::Bare { name, .. } => name,
        }
    }

    async fn run(&mut self, shape: Closed) -> Result<Sample, Failed> {
        match self {
            Self::Called { work, processes, .. } => {
                let mut sample = match work {
                    AnyWork::Api(work) => sample(work, shape, || cpu_of(processes)).await?,
                    AnyWork::Echo(work) => sample(work, shape, || cpu_of(processes)).await?,
                };
                sample.memory_kib = memory_of(processes)?;
                // Whoever comes next finds the machine at rest.
                sample.unrest_seconds = rest(processes).await?.as_secs_f64();
                Ok(sample)
            }
            Self::Bare { process, .. } => {
                let answer = process.ask(&serde_json::to_string(&Order::from(shape))?)?;
                let answered: Result<Sample, String> = serde_json::from_str(&answer)?;
                let sample = answered?;
                Ok(Sample { memory_kib: process.memory()?, ..sample })
            }
        }
    }
}

/// One round, as a process that drives itself is told of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Order {
    clients: usize,
    warm_up: Duration,
    counted: Duration,
}

impl From<Closed> for Order {
    fn from(shape: Closed) -> Self {
        Self { clients: shape.clients, warm_up: shape.warm_up, counted: shape.counted }
    }
}

impl From<Order> for Closed {
    fn from(order: Order) -> Self {
        Self { clients: order.clients, warm_up: order.warm_up, counted: order.counted }
    }
}

/// A contestant with its samples, one a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) name: String,
    pub(crate) rounds: Vec<Sample>,
}

/// Lets all take turns; who begins changes with each round.
pub(crate) async fn rounds(
    contestants: &mut [Contestant<'_>],
    shape: Closed,
    count: usize,
) -> Result<Vec<Results>, Failed> {
    let named = |one: &Contestant<'_>| Results { name: one.name().to_owned(), rounds: Vec::new() };
    let mut results: Vec<Results> = contestants.iter().map(named).collect();
    for round in 0..count {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let sampled = contestants[index].run(shape).await;
            let sample = sampled.map_err(|error| format!("{}: {error}", contestants[index].name()))?;
            results[index].rounds.push(sample);
        }
    }
    Ok(results)
}

/// A figure of several rounds: its median and its range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` without a figure; one that was divided by nothing is none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().filter(|figure| figure.is_finite()).collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let upper = figures.len() / 2;
        let lower = (figures.len() - 1) / 2;
        Some(Self { median: f64::midpoint(figures[lower], figures[upper]), least, most })
    }

    /// A figure of one, divided by that of the other in the same round.
    pub(crate) fn ratio(one: &Results, other: &Results, figure: fn(&Sample) -> f64) -> Option<Self> {
        Self::of(one.rounds.iter().zip(&other.rounds).map(|(one, other)| figure(one) / figure(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rates: &[f64]) -> Results {
        let sample = |per_second: &f64| Sample {
            calls: 1,
            per_second: *per_second,
            latency_us: Percentiles { p50: 1, p90: 1, p99: 1, max: 1 },
            cpu_us_per_call: 1.0,
            memory_kib: (0, 0),
            unrest_seconds: 0.0,
        };
        Results { name: String::new(), rounds: rates.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine slowed down by half in the second round: the ratio knows nothing of it.
        let (one, other) = (results(&[80.0, 40.0, 90.0]), results(&[100.0, 50.0, 100.0]));
        let ratio = Spread::ratio(&one, &other, |sample| sample.per_second);
        assert_eq!(ratio, Some(Spread { median: 0.8, least: 0.8, most: 0.9 }));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }
}
