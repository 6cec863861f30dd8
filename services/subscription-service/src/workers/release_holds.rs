//! Lets go of holds that have lost their cause, and finishes what another run or a dead order began (K11), in rounds: one
//! run looks at one page. No directory is asked about before an hour is over: a younger hold may belong to an order under
//! way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::{DirectoryId, Refusal, Timestamp};
use runtime::worker::Worker;

use crate::store::holds::{self, BEGINNING, HoldState, Look, LookedAt, Position};
use crate::use_cases::{HOLD_REASON, UseCases};

const EVERY: Duration = Duration::from_mins(1);
const MIN_AGE: Duration = Duration::from_hours(1);
/// How many holds of a state one run looks at.
const PAGE: usize = 100;

pub(super) fn worker(use_cases: UseCases) -> Worker {
    let rounds = Arc::new([HoldState::Taking, HoldState::Releasing, HoldState::Held].map(Round::new));
    Worker::new("subscription: release holds", EVERY, move || {
        let (use_cases, rounds) = (use_cases.clone(), Arc::clone(&rounds));
        async move { run_once(&use_cases, rounds.as_slice()).await }
    })
}

/// A way through the holds in a state, from the oldest to the youngest, over and over. How far it is stays in memory: a
/// process that starts begins a round.
#[derive(Debug)]
struct Round {
    state: HoldState,
    next: Mutex<Position>,
}

impl Round {
    const fn new(state: HoldState) -> Self {
        Self { state, next: Mutex::new(BEGINNING) }
    }

    /// The directories without a cause on the next page. The round moves on before anything is done with them, so that
    /// those that fail wait until it comes round again.
    async fn without_cause(&self, use_cases: &UseCases, now: Timestamp) -> Result<Vec<DirectoryId>, Refusal> {
        let after = *self.next.lock().expect(NOTHING_PANICS);
        let most = i64::try_from(PAGE).expect("a page is small");
        let look = Look { reason: HOLD_REASON, state: self.state, before: now.minus(MIN_AGE), most };
        let page = holds::page(&use_cases.db, &look, after, now).await?;
        let end = page.last().filter(|_| page.len() == PAGE);
        *self.next.lock().expect(NOTHING_PANICS) = end.map_or(BEGINNING, LookedAt::position);
        Ok(page.iter().filter(|hold| !hold.has_cause).map(LookedAt::directory).collect())
    }
}

const NOTHING_PANICS: &str = "nothing panics while it is locked";

/// One directory that cannot be let go, because a peer is silent or another replica is at it, does not keep the others
/// waiting.
async fn run_once(use_cases: &UseCases, rounds: &[Round]) -> Result<bool, Refusal> {
    let now = use_cases.clock.now();
    let mut failed = None;
    for round in rounds {
        for directory in round.without_cause(use_cases, now).await? {
            if let Err(refused) = use_cases.release_hold(directory, now).await {
                failed = Some(refused);
            }
        }
    }
    failed.map_or(Ok(false), |refused| Err(refused.into()))
}
