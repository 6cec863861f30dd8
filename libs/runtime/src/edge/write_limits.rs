//! How fast one principal, and all of one directory together, may write: nobody's haste is everybody's wait.
//!
//! A token bucket each, in this process's memory: every replica of every service counts what comes to itself. Services
//! and operators are not limited here, nor are signing up and signing in, which have limits of their own (K18). Who
//! refreshes a session has no access token that counts: the session pays at a principal's rate, and its directory.

use std::convert::Infallible;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kernel::{Code, DirectoryId, Principal, Refusal, SessionId, Timestamp, reason};
use quick_cache::sync::Cache;

/// In how many nanoseconds an empty bucket is full again, whatever its rate: a burst is five seconds' worth.
const FILLING: i64 = 5_000_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
/// How many buckets of a kind are kept. One that is full is as good as none, so that what was used least goes first.
const MOST_BUCKETS: usize = 65_536;

/// How many writes a second are let through; five times as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteLimits {
    /// Of one principal.
    pub per_second_per_principal: NonZeroU32,
    /// Of all principals of a directory together.
    pub per_second_per_directory: NonZeroU32,
}

impl Default for WriteLimits {
    /// A choice of this system: more than any person and most programs write, less than a server can.
    fn default() -> Self {
        Self {
            per_second_per_principal: NonZeroU32::new(2_000).expect("it is not zero"),
            per_second_per_directory: NonZeroU32::new(4_000).expect("it is not zero"),
        }
    }
}

/// The buckets of one service.
#[derive(Debug)]
pub(super) struct WriteBuckets {
    principals: Buckets<Principal>,
    sessions: Buckets<SessionId>,
    directories: Buckets<DirectoryId>,
}

impl WriteBuckets {
    pub(super) fn new(limits: WriteLimits) -> Self {
        Self {
            principals: Buckets::new(limits.per_second_per_principal, MOST_BUCKETS),
            sessions: Buckets::new(limits.per_second_per_principal, MOST_BUCKETS),
            directories: Buckets::new(limits.per_second_per_directory, MOST_BUCKETS),
        }
    }

    /// Takes a token from the principal's bucket and one from its directory's, or none from either: then it says after
    /// what time both have one.
    pub(super) fn spend(&self, principal: Principal, now: Timestamp) -> Result<(), Refusal> {
        self.both(&self.principals.of(&principal), principal.to_string(), principal.directory(), now)
    }

    /// As [`Self::spend`] where a session's refresh token, whose MAC is good, stands for the principal.
    pub(super) fn spend_of_session(
        &self,
        directory: DirectoryId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.both(&self.sessions.of(&session), format!("directories/{directory}"), directory, now)
    }

    fn both(
        &self,
        own: &Bucket,
        subject: String,
        directory: DirectoryId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let shared = self.directories.of(&directory);
        let now = now.micros().saturating_mul(1_000);
        match (own.spend(now), shared.spend(now)) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(wait), Ok(())) => {
                shared.give_back();
                Err(throttled("one principal", subject, wait))
            }
            (Ok(()), Err(wait)) => {
                own.give_back();
                Err(throttled("one directory", format!("directories/{directory}"), wait))
            }
            (Err(one), Err(other)) => {
                Err(throttled("one principal and its directory", subject, one.max(other)))
            }
        }
    }
}

/// The wait is told in whole milliseconds, as the header for clients can: rounded up, so that it is true.
fn throttled(whose: &str, subject: String, wait: i64) -> Refusal {
    let millis = wait.unsigned_abs().div_ceil(NANOS_PER_MILLI.unsigned_abs());
    Refusal::new(Code::ResourceExhausted, reason::RATE_LIMITED, format!("too many writes of {whose} at once"))
        .about(subject)
        .retry_after(Duration::from_millis(millis))
}

#[derive(Debug)]
struct Buckets<K> {
    /// What one token costs, in nanoseconds of filling.
    cost: i64,
    levels: Cache<K, Arc<AtomicI64>>,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    fn new(per_second: NonZeroU32, most: usize) -> Self {
        Self { cost: NANOS_PER_SECOND / i64::from(per_second.get()), levels: Cache::new(most) }
    }

    fn of(&self, key: &K) -> Bucket {
        let full = || Ok::<_, Infallible>(Arc::new(AtomicI64::new(i64::MIN)));
        let Ok(full_at) = self.levels.get_or_insert_with(key, full);
        Bucket { full_at, cost: self.cost }
    }
}

/// One bucket, kept as the instant at which it is full (the generic cell rate algorithm).
#[derive(Debug)]
struct Bucket {
    full_at: Arc<AtomicI64>,
    cost: i64,
}

impl Bucket {
    /// Takes a token, or says in how many nanoseconds there is one.
    fn spend(&self, now: i64) -> Result<(), i64> {
        let level = |full_at| Level::at(full_at, self.cost, now);
        let spend = |full_at| match level(full_at) {
            Level::Enough { after } => Some(after),
            Level::Short { capped, .. } => Some(capped),
        };
        let before = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        match level(before.unwrap_or_else(|full_at| full_at)) {
            Level::Enough { .. } => Ok(()),
            Level::Short { wait, .. } => Err(wait),
        }
    }

    fn give_back(&self) {
        self.full_at.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// What is in a bucket now.
enum Level {
    /// A token; with it taken, the bucket is full again at this instant.
    Enough { after: i64 },
    /// None before so many nanoseconds are over.
    Short { wait: i64, capped: i64 },
}

impl Level {
    const fn at(full_at: i64, cost: i64, now: i64) -> Self {
        let empty = now.saturating_add(FILLING);
        // No bucket is emptier than empty: where the clock was set back, what was spent in its future is over.
        let capped = if full_at > empty { empty } else { full_at };
        let after = (if capped > now { capped } else { now }).saturating_add(cost);
        if after <= empty { Self::Enough { after } } else { Self::Short { wait: after - empty, capped } }
    }
}

#[cfg(test)]
mod tests {
    use kernel::{UserId, new_ids};
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_768_478_400);

    fn user(directory: &str, name: &str) -> Principal {
        let id = |text: &str| new_ids::derive(&[text]);
        Principal::User(DirectoryId::from_uuid(id(directory)), UserId::from_uuid(id(name)))
    }

    fn buckets(per_principal: u32, per_directory: u32) -> WriteBuckets {
        WriteBuckets::new(WriteLimits {
            per_second_per_principal: NonZeroU32::new(per_principal).unwrap(),
            per_second_per_directory: NonZeroU32::new(per_directory).unwrap(),
        })
    }

    /// How many writes pass at once.
    fn burst(buckets: &WriteBuckets, principal: Principal, now: Timestamp) -> usize {
        (0..1_000_000).take_while(|_| buckets.spend(principal, now).is_ok()).count()
    }

    fn wait(buckets: &WriteBuckets, principal: Principal, now: Timestamp) -> Duration {
        buckets.spend(principal, now).unwrap_err().retry_delay().unwrap()
    }

    #[test]
    fn by_default_a_principal_bursts_ten_thousand_and_a_directory_twenty_thousand() {
        let buckets = WriteBuckets::new(WriteLimits::default());
        assert_eq!(burst(&buckets, user("contoso", "ada"), START), 10_000);
        assert_eq!(burst(&buckets, user("contoso", "bo"), START), 10_000);
        assert_eq!(burst(&buckets, user("contoso", "cy"), START), 0);
        assert_eq!(burst(&buckets, user("fabrikam", "eve"), START), 10_000);
    }

    #[test]
    fn a_greedy_principal_slows_itself_and_a_greedy_directory_no_other() {
        let buckets = buckets(2, 3);
        assert_eq!(burst(&buckets, user("contoso", "ada"), START), 10);
        assert_eq!(burst(&buckets, user("contoso", "bo"), START), 5);
        let refused = buckets.spend(user("contoso", "cy"), START).unwrap_err();
        assert_eq!(
            refused.subject(),
            Some(user("contoso", "cy").to_string().split("/users").next().unwrap())
        );
        assert_eq!(burst(&buckets, user("fabrikam", "eve"), START), 10);
    }

    #[test]
    fn who_is_refused_takes_nothing_from_the_other_bucket() {
        let buckets = buckets(2, 3);
        assert_eq!(burst(&buckets, user("contoso", "ada"), START), 10);
        for _ in 0..100 {
            buckets.spend(user("contoso", "ada"), START).unwrap_err();
        }
        assert_eq!(burst(&buckets, user("contoso", "bo"), START), 5, "the directory has fifteen");
        for _ in 0..100 {
            buckets.spend(user("contoso", "cy"), START).unwrap_err();
        }
        let later = START.plus(Duration::from_secs(5));
        assert_eq!(burst(&buckets, user("contoso", "cy"), later), 10);
    }

    #[test]
    fn a_session_that_is_refreshed_pays_as_a_principal_does_and_so_does_its_directory() {
        let buckets = buckets(2, 3);
        let directory = user("contoso", "ada").directory();
        let session = |name: &str| SessionId::from_uuid(new_ids::derive(&[name]));
        let refreshes = |name: &str| {
            let passes = |_: &usize| buckets.spend_of_session(directory, session(name), START).is_ok();
            (0..100).take_while(passes).count()
        };
        assert_eq!((refreshes("one"), refreshes("two")), (10, 5));
        assert_eq!(burst(&buckets, user("contoso", "ada"), START), 0, "the directory has fifteen");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (buckets, ada) = (buckets(10, 100), user("contoso", "ada"));
        burst(&buckets, ada, START);
        let hour_ago = START.minus(Duration::from_hours(1));
        assert_eq!(wait(&buckets, ada, hour_ago), Duration::from_millis(100));
        assert_eq!(burst(&buckets, ada, hour_ago.plus(Duration::from_millis(100))), 1);
    }

    #[test]
    fn the_table_is_bounded_and_what_is_used_stays() {
        let buckets: Buckets<u64> = Buckets::new(NonZeroU32::MIN, 1_000);
        let greedy = u64::MAX;
        for number in 0..100_000 {
            let _ = buckets.of(&greedy).spend(0);
            buckets.of(&number).spend(0).unwrap();
        }
        assert!(buckets.levels.len() <= 1_000, "{}", buckets.levels.len());
        assert!(buckets.of(&greedy).spend(0).is_err());
    }

    #[test]
    fn many_at_once_get_no_more_than_the_burst() {
        let (buckets, ada) = (buckets(1_000, 10_000), user("contoso", "ada"));
        let passed: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| burst(&buckets, ada, START))).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(passed, 5_000);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_rate_and_a_burst_and_the_wait_is_true(
            per_principal in 1_u32..3_000,
            per_directory in 1_u32..3_000,
            calls in proptest::collection::vec((0_u64..40_000, 0_usize..3), 1..600),
        ) {
            let buckets = buckets(per_principal, per_directory);
            let people = ["ada", "bo", "cy"].map(|name| user("contoso", name));
            let (mut now, mut passed) = (START, [0_u64; 3]);
            for (pause, who) in calls {
                now = now.plus(Duration::from_micros(pause));
                match buckets.spend(people[who], now) {
                    Ok(()) => passed[who] += 1,
                    Err(refusal) => {
                        // At that time it passes, and a whole millisecond earlier it does not.
                        let wait = refusal.retry_delay().unwrap();
                        prop_assert!(!wait.is_zero() && wait <= Duration::from_secs(1));
                        let early = now.plus(wait).minus(Duration::from_millis(1));
                        prop_assert!(early <= now || buckets.spend(people[who], early).is_err());
                        now = now.plus(wait);
                        prop_assert!(buckets.spend(people[who], now).is_ok());
                        passed[who] += 1;
                    }
                }
                let elapsed = now.since(START).as_secs_f64();
                let most = |rate: u32| (f64::from(rate) * 1.000_01 * (elapsed + 5.0)).ceil();
                #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
                for (count, rate) in passed.iter().map(|count| (*count, per_principal))
                    .chain([(passed.iter().sum(), per_directory)]) {
                    prop_assert!(count as f64 <= most(rate));
                }
            }
        }
    }
}
