//! Limits on anonymous work, in the form of the generic cell rate algorithm: one instant a subject.
//!
//! A subject may spend its whole hour's allowance at once; it comes back evenly.

use std::time::Duration;

use kernel::Timestamp;

/// The time over which an allowance comes back.
const WINDOW: Duration = Duration::from_hours(1);

/// So many times an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    per_hour: u32,
}

impl Rate {
    /// So many times an hour; never reads as less than once.
    pub(crate) fn per_hour(per_hour: u32) -> Self {
        Self { per_hour: per_hour.max(1) }
    }

    /// What one time costs, in microseconds of the window.
    pub(crate) fn cost(self) -> i64 {
        i64::try_from(WINDOW.as_micros()).expect("an hour is short") / i64::from(self.per_hour)
    }

    /// The latest instant at which the subject may be free of its debt, for the next time to be allowed now.
    pub(crate) fn latest(self, now: Timestamp) -> i64 {
        now.plus(WINDOW).micros() - self.cost()
    }

    /// Whether a subject whose debt ends then may spend one more time now.
    pub(crate) fn allows(self, full_time: Timestamp, now: Timestamp) -> bool {
        full_time.micros() <= self.latest(now)
    }

    /// How long until the next time is allowed.
    pub(crate) fn wait(self, full_time: Timestamp, now: Timestamp) -> Duration {
        full_time.since(Timestamp::from_micros(self.latest(now))).max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hours_allowance_may_be_spent_at_once_and_no_more() {
        let (rate, now) = (Rate::per_hour(100), Timestamp::from_seconds(1_000_000));
        let mut full_time = now.micros();
        let mut allowed = 0;
        while rate.allows(Timestamp::from_micros(full_time), now) {
            full_time += rate.cost();
            allowed += 1;
        }
        assert_eq!(allowed, 100);
        assert_eq!(rate.wait(Timestamp::from_micros(full_time), now), Duration::from_secs(36));
    }
}
