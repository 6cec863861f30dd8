//! Sessions, and what presenting a refresh token means (K22).
//!
//! How tokens look and are signed is `tokens`' matter.

use std::time::Duration;

use kernel::{DirectoryId, Principal, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// How long a token's predecessor still yields the same successor.
pub(crate) const SAME_SUCCESSOR: Duration = Duration::from_secs(30);

/// One sign-in, and everything refreshed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    /// The number of the newest refresh token; the first is 0.
    pub(crate) counter: i64,
    pub(crate) client_description: String,
    pub(crate) create_time: Timestamp,
    pub(crate) last_refresh_time: Option<Timestamp>,
    pub(crate) expire_time: Timestamp,
    pub(crate) revoke_time: Option<Timestamp>,
}

impl Session {
    /// Whether its tokens are good at `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.revoke_time.is_none() && self.expire_time > now
    }

    /// Who signed in.
    pub(crate) const fn principal(&self, directory: DirectoryId) -> Principal {
        Principal::User(directory, self.user)
    }
}

/// What a presented refresh token, genuine by its MAC, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    /// The newest: it is exchanged for its successor.
    Newest,
    /// The one before, again, while its successor is unused: the same successor is given once more.
    JustExchanged,
    /// An older one, or too late: one of two holders is not the owner, and the family dies.
    Reused,
    /// Its time is over.
    Expired,
    /// The session was revoked, or never gave this token.
    Invalid,
}

/// Judges a presented refresh token by its number.
pub(crate) fn judge(session: &Session, presented: i64, now: Timestamp) -> Presented {
    if session.revoke_time.is_some() || presented > session.counter || presented < 0 {
        return Presented::Invalid;
    }
    if session.expire_time <= now {
        return Presented::Expired;
    }
    if presented == session.counter {
        return Presented::Newest;
    }
    let just_now = session.last_refresh_time.is_some_and(|at| now.since(at) <= SAME_SUCCESSOR);
    if presented + 1 == session.counter && just_now { Presented::JustExchanged } else { Presented::Reused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::new_ids;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn session(counter: i64, refreshed: Option<Timestamp>) -> Session {
        Session {
            id: SessionId::from_uuid(new_ids::derive(&["session"])),
            user: UserId::from_uuid(new_ids::derive(&["ada"])),
            counter,
            client_description: String::new(),
            create_time: Timestamp::from_seconds(0),
            last_refresh_time: refreshed,
            expire_time: NOW.plus(Duration::from_secs(1)),
            revoke_time: None,
        }
    }

    #[test]
    fn k22_the_predecessor_is_good_for_thirty_seconds_and_until_the_successor_is_used() {
        let just = session(5, Some(NOW.minus(SAME_SUCCESSOR)));
        assert_eq!(judge(&just, 5, NOW), Presented::Newest);
        assert_eq!(judge(&just, 4, NOW), Presented::JustExchanged);
        assert_eq!(judge(&just, 3, NOW), Presented::Reused);
        let late = session(5, Some(NOW.minus(SAME_SUCCESSOR + Duration::from_micros(1))));
        assert_eq!(judge(&late, 4, NOW), Presented::Reused);
    }

    #[test]
    fn a_session_that_ended_gives_nothing() {
        let revoked = Session { revoke_time: Some(NOW), ..session(5, Some(NOW)) };
        assert_eq!(judge(&revoked, 5, NOW), Presented::Invalid);
        let over = Session { expire_time: NOW, ..session(5, Some(NOW)) };
        assert_eq!(judge(&over, 5, NOW), Presented::Expired);
    }

    proptest! {
        #[test]
        fn only_the_last_two_tokens_are_ever_good(counter in 0_i64..50, presented in -5_i64..60, age in 0_u64..60) {
            let session = session(counter, Some(NOW.minus(Duration::from_secs(age))));
            let good = matches!(judge(&session, presented, NOW), Presented::Newest | Presented::JustExchanged);
            prop_assert!(!good || presented == counter || presented + 1 == counter);
        }
    }
}
