//! Lets go of domains that no name has any more, and finishes what another run or a dead request began (K11), in rounds:
//! one run looks at one page. No directory is asked about before an hour is over: a younger hold may belong to a request
//! under way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kernel::{Refusal, Timestamp};

use crate::store::domain_holds::{self, BEGINNING, HoldState, LookedAt, Position};
use crate::use_cases::UseCases;

const MIN_AGE: Duration = Duration::from_hours(1);
/// How many holds of a state one run looks at.
const PAGE: usize = 100;

/// The ways through all holds.
#[derive(Debug)]
pub(super) struct Rounds([Round; 3]);

impl Rounds {
    pub(super) fn new() -> Self {
        Self([HoldState::Taking, HoldState::Releasing, HoldState::Held].map(Round::new))
    }

    /// One domain that cannot be let go, because a peer is silent or another replica is at it, does not keep the others
    /// waiting.
    pub(super) async fn run_once(&self, use_cases: &UseCases) -> Result<bool, Refusal> {
        let now = use_cases.clock.now();
        let mut failed = None;
        for round in &self.0 {
            for hold in round.without_cause(use_cases, now).await? {
                if let Err(refused) = use_cases.release_domain(hold.directory(), &hold.reason).await {
                    failed = Some(refused);
                }
            }
        }
        failed.map_or(Ok(false), |refused| Err(refused.into()))
    }
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

    /// The holds without a cause on the next page. The round moves on before anything is done with them, so that those
    /// that fail wait until it comes round again.
    async fn without_cause(&self, use_cases: &UseCases, now: Timestamp) -> Result<Vec<LookedAt>, Refusal> {
        let after = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let most = i64::try_from(PAGE).expect("a page is small");
        let page = domain_holds::page(&use_cases.db, self.state, now.minus(MIN_AGE), &after, most).await?;
        let end = page.last().filter(|_| page.len() == PAGE);
        let next = end.map_or(BEGINNING, LookedAt::position);
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(page.into_iter().filter(|hold| !hold.has_cause).collect())
    }
}
