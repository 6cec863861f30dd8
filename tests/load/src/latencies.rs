//! How long calls took, to three significant digits; when a call began is told by who drives it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Nothing is waited for longer: a call beyond it counts as this long.
const LONGEST: Duration = Duration::from_mins(2);

/// The latencies of one worker, or of all of them.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// What tables show of them, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).expect("two minutes fit");
        Self(Histogram::new_with_bounds(1, longest, 3).expect("these bounds are allowed"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: self.0.max() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_workers_together() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        for micros in 1..=500 {
            one.record(Duration::from_micros(micros));
            other.record(Duration::from_micros(micros + 500));
        }
        one.add(&other);
        assert_eq!(one.len(), 1000);
        assert_eq!(one.percentiles(), Percentiles { p50: 500, p90: 900, p99: 990, max: 1000 });
    }

    #[test]
    fn a_call_that_took_longer_than_can_be_told_is_counted_all_the_same() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_hours(1));
        assert_eq!(latencies.len(), 1);
        assert!(latencies.percentiles().max >= 100_000_000);
    }
}
