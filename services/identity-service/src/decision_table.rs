//! Facts about principals that were read before, so that a check need not ask the database (F-1, F-2).
//!
//! It holds facts, never answers: what they mean for a question, and whether a session or a role has ended by the
//! clock, is judged at each use.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Consistency;
use kernel::{DirectoryId, Timestamp};
use quick_cache::sync::Cache;

use crate::domain::standing::Standing;
use crate::domain::user::UserType;
use crate::store::standing::About;

/// How far facts that were read before may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decisions {
    /// This process alone writes the database: what it has not changed since is as it was, for every question.
    Authoritative,
    /// Others write too: only for questions that say an old answer will do, and then for at most five seconds.
    Aged,
}

/// How many principals' facts are kept, each with one session; some 300 bytes each.
const MOST_REMEMBERED: usize = 200_000;
/// How old facts may be where others write (K3), less a second for the answer's way to whoever asked.
const MOST_AGE: Duration = Duration::from_secs(4);
/// Directories share a counter of changes where there are more of them: what is forgotten too often is read again.
const COUNTERS: usize = 16_384;

/// Facts, and where their directory stood when they were read.
struct Remembered {
    standing: Standing,
    changes: u64,
    read_at: Timestamp,
}

/// What a look into the table gave.
pub(crate) enum Looked {
    /// Facts that may be relied on.
    Found(Facts),
    /// They must be read; the read begins after this.
    Absent(Unread),
}

/// What is to be read, and where its directory stood before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unread {
    about: About,
    changes: u64,
    asked_at: Timestamp,
}

/// What is known of a principal, if there is one.
#[derive(Clone)]
pub(crate) struct Facts {
    known: Option<Arc<Remembered>>,
    /// The moment at which times are judged.
    pub(crate) now: Timestamp,
    /// Not later than the moment of which the facts tell.
    pub(crate) as_of: Timestamp,
}

impl Facts {
    /// Nothing is known.
    pub(crate) const fn none(now: Timestamp) -> Self {
        Self { known: None, now, as_of: now }
    }

    /// The facts.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.known.as_deref().map(|remembered| &remembered.standing)
    }
}

/// The table of one process.
///
/// Every directory has a counter of its changes, which is raised after each COMMIT and before anybody is told of it.
/// Facts carry the count from before they were read, and are good as long as it stands: so what a commit overtook
/// while it was being read is never found, whichever of the two is entered first.
pub(crate) struct DecisionTable {
    decisions: Decisions,
    remembered: Cache<About, Arc<Remembered>>,
    changes: Box<[AtomicU64]>,
    /// Keyed anew in each process, so that nobody knows with whom a directory shares its counter (P-11).
    places: RandomState,
}

impl DecisionTable {
    /// An empty table.
    pub(crate) fn new(decisions: Decisions) -> Self {
        Self {
            decisions,
            remembered: Cache::new(MOST_REMEMBERED),
            changes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            places: RandomState::new(),
        }
    }

    /// What is remembered, where it may be relied on for a question of this consistency.
    pub(crate) fn look(&self, about: About, consistency: Consistency, now: Timestamp) -> Looked {
        let changes = self.counter(about.directory).load(Ordering::SeqCst);
        let found = self.remembered.get(&about).filter(|remembered| remembered.changes == changes);
        let as_of =
            found.as_ref().and_then(|remembered| self.relied_on(remembered.read_at, consistency, now));
        match as_of {
            Some(as_of) => Looked::Found(Facts { known: found, now, as_of }),
            None => Looked::Absent(Unread { about, changes, asked_at: now }),
        }
    }

    /// As of when facts that were read then are; `None` where they are too old.
    fn relied_on(&self, read_at: Timestamp, consistency: Consistency, now: Timestamp) -> Option<Timestamp> {
        match (self.decisions, consistency) {
            (Decisions::Authoritative, _) => Some(now),
            // A clock that was set back would make them younger than they are.
            (Decisions::Aged, Consistency::AtMostFiveSeconds) => {
                (read_at <= now && now.since(read_at) <= MOST_AGE).then_some(read_at)
            }
            (Decisions::Aged, Consistency::Fresh) => None,
        }
    }

    /// Takes in what was read, and gives it back as facts.
    pub(crate) fn keep(&self, unread: Unread, standing: Option<Standing>) -> Facts {
        let Unread { about, changes, asked_at } = unread;
        let Some(standing) = standing else { return Facts::none(asked_at) };
        // K20: a guest's facts hang on a row of another directory, whose changes are counted elsewhere. A session that
        // is not there may be made up, and whoever asks decides how many of those there are.
        let kept =
            standing.user_type == UserType::Member && (about.session.is_none() || standing.session.is_some());
        let known = Arc::new(Remembered { standing, changes, read_at: asked_at });
        if kept {
            self.remembered.insert(about, Arc::clone(&known));
        }
        Facts { known: Some(known), now: asked_at, as_of: asked_at }
    }

    /// After a COMMIT that may have changed these directories, whatever came of it, and before anybody is told of it.
    pub(crate) fn changed(&self, directories: &[DirectoryId]) {
        for directory in directories {
            self.counter(*directory).fetch_add(1, Ordering::SeqCst);
        }
    }

    /// As after a change of every directory.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        for counter in &self.changes {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter(&self, directory: DirectoryId) -> &AtomicU64 {
        let [first, second, ..] = self.places.hash_one(directory).to_ne_bytes();
        &self.changes[usize::from(u16::from_ne_bytes([first, second])) % COUNTERS]
    }
}

#[cfg(test)]
mod tests;
