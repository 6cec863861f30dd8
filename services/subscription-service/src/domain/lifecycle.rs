//! Where a subscription is in its life, judged from stored instants (K27): no worker needs to have run.
//!
//! What ends a life early, such as a cancellation, would store other instants; nothing here does.

use std::time::Duration;

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar;
use super::subscription::{Kind, SubscriptionFacts};

const fn days(count: u64) -> Duration {
    Duration::from_hours(24 * count)
}

/// How long an Office 365 subscription stays in full use after its end (7.2, stage Expired).
const GRACE: Duration = days(30);
/// How long an Office 365 trial is disabled before it is gone (section 11, decided for trials).
const DISABLED_TRIAL: Duration = days(30);
/// How long a disabled Azure subscription is kept (S-23).
const DISABLED_AZURE: Duration = days(90);

/// Where a subscription is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// In use.
    #[serde(rename = "STATE_ACTIVE")]
    Active,
    /// Its term is over; still in full use.
    #[serde(rename = "STATE_IN_GRACE")]
    InGrace,
    /// Out of use.
    #[serde(rename = "STATE_DISABLED")]
    Disabled,
    /// Gone for good.
    #[serde(rename = "STATE_DELETED")]
    Deleted,
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Active, Self::InGrace, Self::Disabled, Self::Deleted];

    pub(crate) fn from_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The state as it is stored, recorded, filtered by, and named on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "STATE_ACTIVE",
            Self::InGrace => "STATE_IN_GRACE",
            Self::Disabled => "STATE_DISABLED",
            Self::Deleted => "STATE_DELETED",
        }
    }
}

/// The instants at which the state changes by the clock; the end of time where it never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lifecycle {
    /// Active before.
    pub(crate) active_until: Timestamp,
    /// In grace before.
    pub(crate) disabled_from: Timestamp,
    /// Disabled before, gone from then on.
    pub(crate) deleted_from: Timestamp,
}

/// No clock gets there.
pub(crate) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

impl Lifecycle {
    /// Of a subscription that renews itself, or runs until it is cancelled: active for ever.
    pub(crate) const OPEN: Self = Self { active_until: NEVER, disabled_from: NEVER, deleted_from: NEVER };

    /// Of an Office 365 trial (7.2).
    pub(crate) fn of_office365_trial(end: Timestamp) -> Self {
        let disabled_from = end.plus(GRACE);
        Self { active_until: end, disabled_from, deleted_from: disabled_from.plus(DISABLED_TRIAL) }
    }

    /// Of the Azure free trial: disabled at its end, without grace (S-20).
    pub(crate) fn of_azure_free_trial(end: Timestamp) -> Self {
        Self { active_until: end, disabled_from: end, deleted_from: end.plus(DISABLED_AZURE) }
    }

    /// The state at an instant.
    pub(crate) fn state_at(&self, now: Timestamp) -> State {
        if now < self.active_until {
            State::Active
        } else if now < self.disabled_from {
            State::InGrace
        } else if now < self.deleted_from {
            State::Disabled
        } else {
            State::Deleted
        }
    }
}

impl SubscriptionFacts {
    /// The state at an instant.
    pub(crate) fn state_at(&self, now: Timestamp) -> State {
        self.lifecycle.state_at(now)
    }

    /// The subscription with its state at an instant announced, which is a change of the resource (K27, K45).
    pub(crate) fn announced(self, now: Timestamp) -> Self {
        Self { announced_state: self.state_at(now), update_time: now, revision: self.revision + 1, ..self }
    }

    /// Start and end of the term that contains the instant; without an end where it runs until it is cancelled.
    pub(crate) fn term_at(&self, now: Timestamp) -> (Timestamp, Option<Timestamp>) {
        match (self.trial_end_time, self.kind, self.term.months()) {
            (Some(end), _, _) => (self.start_time, Some(end)),
            (None, Kind::Office365Seats, Some(months)) => {
                let (start, end) = calendar::term_at(self.start_time, months, now);
                (start, Some(end))
            }
            (None, Kind::Office365Seats | Kind::AzureUsage, _) => (self.start_time, None),
        }
    }
}

/// When a trial that begins now ends.
pub(crate) fn trial_end(now: Timestamp, trial_days: i32) -> Timestamp {
    now.plus(days(u64::try_from(trial_days).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_seconds(1_770_000_000);

    fn after(lifecycle: &Lifecycle, count: u64) -> [State; 2] {
        let instant = END.plus(days(count));
        [lifecycle.state_at(Timestamp::from_micros(instant.micros() - 1)), lifecycle.state_at(instant)]
    }

    #[test]
    fn an_office365_trial_has_thirty_days_of_grace_and_thirty_disabled() {
        let trial = Lifecycle::of_office365_trial(END);
        assert_eq!(after(&trial, 0), [State::Active, State::InGrace]);
        assert_eq!(after(&trial, 30), [State::InGrace, State::Disabled]);
        assert_eq!(after(&trial, 60), [State::Disabled, State::Deleted]);
    }

    #[test]
    fn the_azure_free_trial_is_disabled_at_its_end_and_gone_ninety_days_later() {
        let trial = Lifecycle::of_azure_free_trial(END);
        assert_eq!(after(&trial, 0), [State::Active, State::Disabled]);
        assert_eq!(after(&trial, 90), [State::Disabled, State::Deleted]);
    }

    #[test]
    fn what_renews_itself_stays_active() {
        assert_eq!(Lifecycle::OPEN.state_at(END.plus(days(100_000))), State::Active);
    }
}
