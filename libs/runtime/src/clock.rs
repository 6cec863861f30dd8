//! The system's clock and randomness as values (S10): the only place that reads them; tests hand down their own.

use std::time::SystemTime;

use kernel::{Clock, Ids, Timestamp};
use uuid::Uuid;

/// The system's clock.
pub fn system_clock() -> Clock {
    Clock::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place where the system's clock is read"
        )]
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        // A machine whose clock stands before 1970 gets the epoch: tokens then are expired, not eternal.
        Timestamp::from_micros(0).plus(since_epoch.unwrap_or_default())
    })
}

/// Ids from the system's randomness.
pub fn system_ids() -> Ids {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where random ids are made")]
    Ids::new(Uuid::new_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_from_this_century() {
        let clock = system_clock();
        let (first, second) = (clock.now(), clock.now());
        assert!(first > Timestamp::from_seconds(1_600_000_000));
        assert!(second >= first);
    }

    #[test]
    fn random_ids_differ() {
        let ids = system_ids();
        assert_ne!(ids.random(), ids.random());
    }
}
