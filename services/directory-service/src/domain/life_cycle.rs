//! How a directory is suspended, resumed, deleted, taken back and purged (K2, K37, K38).
//!
//! Each turn has two halves: the directory sets out, which can still be refused, and once identity knows of it, it
//! arrives. Between the halves stands a [`Goal`], so that whoever finds the directory there can go on. That identity is
//! told, and by whom, is not told here.

use std::collections::BTreeMap;
use std::time::Duration;

use kernel::Timestamp;

use super::directory::{Directory, Settings, State};
use super::refused::Refused;

/// What a directory between two states is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// In use.
    Active,
    /// Kept, and granting no right.
    Suspended,
    /// Gone for its users.
    Deleted,
}

impl Goal {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Deleted];

    /// The state that it ends in.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Active => State::Active,
            Self::Suspended => State::Suspended,
            Self::Deleted => State::Deleted,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Shut it, for a reason.
    Suspend(String),
    /// Open it again, for a reason.
    Resume(String),
    /// Delete it; nothing holds it.
    Delete,
    /// Take its deletion back.
    Undelete,
}

/// What comes of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once a call, and taken apart at once")]
pub(crate) enum SetOut {
    /// It is on its way to this goal.
    Begun(Directory, Goal),
    /// It has been on this way before.
    UnderWay,
    /// It has arrived before.
    Arrived,
}

/// Those from which a directory is suspended or resumed.
const SHUT_FROM: &[State] = &[State::Active, State::Suspending, State::Suspended];
/// Those from which a directory is deleted.
const DELETED_FROM: &[State] = &[State::Active, State::Suspended, State::Deleting];

impl Directory {
    /// The first half of a turn; `under_way` is the goal of a turn that was begun and not finished.
    pub(crate) fn set_out(
        &self,
        turn: &Turn,
        under_way: Option<Goal>,
        now: Timestamp,
    ) -> Result<SetOut, Refused> {
        match turn {
            Turn::Suspend(reason) => self.shut(Goal::Suspended, reason, under_way, now),
            Turn::Resume(reason) => self.shut(Goal::Active, reason, under_way, now),
            Turn::Delete => self.delete(under_way, now),
            Turn::Undelete => self.undelete(under_way, now),
        }
    }

    /// The second half, once identity knows of the goal.
    pub(crate) fn arrive(&self, goal: Goal, kept_for: Duration, now: Timestamp) -> Self {
        let arrived = self.moved_to(goal.state(), now);
        match goal {
            Goal::Active => Self { suspend_time: None, delete_time: None, purge_time: None, ..arrived },
            Goal::Suspended => Self {
                suspend_time: self.suspend_time.or(Some(now)),
                delete_time: None,
                purge_time: None,
                ..arrived
            },
            Goal::Deleted => Self { delete_time: Some(now), purge_time: Some(now.plus(kept_for)), ..arrived },
        }
    }

    /// Whether nothing of it can be had back (P-14): by the clock, whether or not anybody has purged it.
    pub(crate) fn is_purged_at(&self, now: Timestamp) -> bool {
        let is_over = self.purge_time.is_none_or(|purge_time| purge_time <= now);
        // What was abandoned was never there to be purged.
        self.state == State::Deleted && self.activate_time.is_some() && is_over
    }

    /// What is left of it for ever: that there was a directory of this id and this initial domain (K37).
    pub(crate) fn purge(&self, now: Timestamp) -> Self {
        Self {
            display_name: String::new(),
            primary_domain: self.initial_domain.clone(),
            language_code: String::new(),
            labels: BTreeMap::new(),
            state_reason: String::new(),
            settings: Settings::default(),
            // Whatever time somebody else's clock shows, it is over.
            purge_time: None,
            ..self.moved_to(self.state, now)
        }
    }

    fn shut(
        &self,
        goal: Goal,
        reason: &str,
        under_way: Option<Goal>,
        now: Timestamp,
    ) -> Result<SetOut, Refused> {
        match self.state {
            state if state == goal.state() => Ok(SetOut::Arrived),
            State::Suspending if under_way == Some(goal) => Ok(SetOut::UnderWay),
            State::Active | State::Suspended | State::Suspending => {
                let begun = self.moved_to(State::Suspending, now);
                Ok(SetOut::Begun(Self { state_reason: reason.to_owned(), ..begun }, goal))
            }
            State::Provisioning | State::Deleting | State::Deleted => Err(self.no_such_step(SHUT_FROM)),
        }
    }

    fn delete(&self, under_way: Option<Goal>, now: Timestamp) -> Result<SetOut, Refused> {
        match self.state {
            State::Deleting if under_way == Some(Goal::Deleted) => Ok(SetOut::UnderWay),
            State::Active | State::Suspended | State::Deleting => {
                Ok(SetOut::Begun(self.moved_to(State::Deleting, now), Goal::Deleted))
            }
            State::Deleted => Err(Refused::DirectoryNotFound(self.id)),
            State::Provisioning | State::Suspending => Err(self.no_such_step(DELETED_FROM)),
        }
    }

    fn undelete(&self, under_way: Option<Goal>, now: Timestamp) -> Result<SetOut, Refused> {
        // What an operator has shut is not opened by way of a deletion.
        let goal = if self.suspend_time.is_some() { Goal::Suspended } else { Goal::Active };
        match self.state {
            State::Deleting if under_way == Some(goal) => Ok(SetOut::UnderWay),
            State::Deleted if self.activate_time.is_none() || self.is_purged_at(now) => {
                Err(Refused::PurgeStarted(self.id))
            }
            State::Deleted | State::Deleting => Ok(SetOut::Begun(self.moved_to(State::Deleting, now), goal)),
            State::Provisioning | State::Active | State::Suspending | State::Suspended => {
                Err(Refused::NotDeleted { directory: self.id, state: self.state })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::{DirectoryId, new_ids};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::directory::{Step, contoso};

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const LATER: Timestamp = Timestamp::from_seconds(1_768_478_460);
    const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

    fn active() -> Directory {
        let id = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        match Directory::provision(id, contoso("contoso"), NOW).activate(NOW).unwrap() {
            Step::Changed(directory) => directory,
            Step::AlreadyTaken => panic!("nothing changed"),
        }
    }

    fn suspend() -> Turn {
        Turn::Suspend("unpaid".to_owned())
    }

    fn resume() -> Turn {
        Turn::Resume("paid".to_owned())
    }

    fn turns() -> [Turn; 4] {
        [suspend(), resume(), Turn::Delete, Turn::Undelete]
    }

    fn begun(directory: &Directory, turn: &Turn) -> (Directory, Goal) {
        match directory.set_out(turn, None, LATER).unwrap() {
            SetOut::Begun(directory, goal) => (directory, goal),
            other @ (SetOut::UnderWay | SetOut::Arrived) => panic!("{other:?}"),
        }
    }

    /// Both halves.
    fn turned(directory: &Directory, turn: &Turn) -> Directory {
        let (begun, goal) = begun(directory, turn);
        begun.arrive(goal, KEPT_FOR, LATER)
    }

    #[test]
    fn k_38_a_turn_has_two_halves_and_each_is_a_revision() {
        let (suspending, goal) = begun(&active(), &suspend());
        assert_eq!((suspending.state, suspending.revision, goal), (State::Suspending, 3, Goal::Suspended));
        let suspended = suspending.arrive(goal, KEPT_FOR, LATER);
        assert_eq!((suspended.state, suspended.revision), (State::Suspended, 4));
        assert_eq!((suspended.state_reason.as_str(), suspended.suspend_time), ("unpaid", Some(LATER)));
        let (resuming, goal) = begun(&suspended, &resume());
        assert_eq!((resuming.state, resuming.revision, goal), (State::Suspending, 5, Goal::Active));
        let resumed = resuming.arrive(goal, KEPT_FOR, LATER);
        assert_eq!((resumed.state, resumed.suspend_time), (State::Active, None));
        assert_eq!(resumed.state_reason, "paid");
    }

    #[test]
    fn what_is_as_asked_for_is_no_change_and_what_is_under_way_goes_on() {
        assert_eq!(active().set_out(&resume(), None, LATER).unwrap(), SetOut::Arrived);
        let suspended = turned(&active(), &suspend());
        assert_eq!(suspended.set_out(&suspend(), None, LATER).unwrap(), SetOut::Arrived);
        let deleted = turned(&active(), &Turn::Delete);
        for (from, turn) in [
            (&active(), suspend()),
            (&suspended, resume()),
            (&active(), Turn::Delete),
            (&deleted, Turn::Undelete),
        ] {
            let (under_way, goal) = begun(from, &turn);
            assert_eq!(under_way.set_out(&turn, Some(goal), LATER).unwrap(), SetOut::UnderWay, "{turn:?}");
        }
    }

    #[test]
    fn a_turn_under_way_can_be_turned_round() {
        for (from, there, back, goal) in [
            (active(), suspend(), resume(), Goal::Active),
            (turned(&active(), &suspend()), resume(), suspend(), Goal::Suspended),
            (active(), Turn::Delete, Turn::Undelete, Goal::Active),
            (turned(&active(), &Turn::Delete), Turn::Undelete, Turn::Delete, Goal::Deleted),
        ] {
            let (under_way, first) = begun(&from, &there);
            match under_way.set_out(&back, Some(first), LATER).unwrap() {
                SetOut::Begun(round, second) => {
                    assert_eq!((second, round.revision), (goal, under_way.revision + 1));
                }
                other @ (SetOut::UnderWay | SetOut::Arrived) => panic!("{there:?}, {back:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn steps_that_are_not_there_are_refused() {
        let deleted = turned(&active(), &Turn::Delete);
        let provisioning = Directory { state: State::Provisioning, activate_time: None, ..active() };
        for (directory, turn) in [
            (&deleted, suspend()),
            (&deleted, resume()),
            (&provisioning, suspend()),
            (&provisioning, Turn::Delete),
            (&begun(&active(), &suspend()).0, Turn::Delete),
            (&begun(&active(), &Turn::Delete).0, suspend()),
        ] {
            let refused = directory.set_out(&turn, None, LATER).unwrap_err();
            assert!(matches!(refused, Refused::InvalidStateTransition { .. }), "{turn:?}: {refused:?}");
        }
        let again = deleted.set_out(&Turn::Delete, None, LATER).unwrap_err();
        assert!(matches!(again, Refused::DirectoryNotFound(_)));
        for alive in [active(), turned(&active(), &suspend()), provisioning] {
            let refused = alive.set_out(&Turn::Undelete, None, LATER).unwrap_err();
            assert!(matches!(refused, Refused::NotDeleted { .. }), "{:?}", alive.state);
        }
    }

    #[test]
    fn d_36_a_deletion_can_be_taken_back_until_its_purge_time_by_the_clock() {
        let deleted = turned(&active(), &Turn::Delete);
        let purge_time = LATER.plus(KEPT_FOR);
        assert_eq!((deleted.delete_time, deleted.purge_time), (Some(LATER), Some(purge_time)));
        let last = Timestamp::from_micros(purge_time.micros() - 1);
        assert!(deleted.set_out(&Turn::Undelete, None, last).is_ok() && !deleted.is_purged_at(last));
        let late = deleted.set_out(&Turn::Undelete, None, purge_time).unwrap_err();
        assert!(matches!(late, Refused::PurgeStarted(_)) && deleted.is_purged_at(purge_time));
        let back = turned(&deleted, &Turn::Undelete);
        assert_eq!((back.state, back.delete_time, back.purge_time), (State::Active, None, None));
        let abandoned = Directory { state: State::Deleted, activate_time: None, ..active() };
        let never = abandoned.set_out(&Turn::Undelete, None, LATER).unwrap_err();
        assert!(matches!(never, Refused::PurgeStarted(_)) && !abandoned.is_purged_at(purge_time));
    }

    #[test]
    fn what_was_suspended_when_it_was_deleted_comes_back_suspended() {
        let suspended = turned(&active(), &suspend());
        let back = turned(&turned(&suspended, &Turn::Delete), &Turn::Undelete);
        assert_eq!((back.state, back.suspend_time), (State::Suspended, suspended.suspend_time));
    }

    #[test]
    fn k_37_after_the_purge_id_and_label_are_left() {
        let mut directory = turned(&active(), &Turn::Delete);
        directory.labels.insert("cost_centre".to_owned(), "7".to_owned());
        directory.settings.subscriptions_may_leave = false;
        directory.state_reason = "unpaid".to_owned();
        directory.primary_domain = "contoso.com".parse().unwrap();
        let left = directory.purge(LATER);
        assert_eq!((left.id, &left.initial_domain), (directory.id, &directory.initial_domain));
        assert_eq!((left.display_name.as_str(), left.state_reason.as_str()), ("", ""));
        assert_eq!((&left.settings, left.labels.len()), (&Settings::default(), 0));
        assert!(left.is_purged_at(NOW), "by every clock");
        assert!(matches!(left.set_out(&Turn::Undelete, None, NOW), Err(Refused::PurgeStarted(_))));
        assert_eq!(left.primary_domain, directory.initial_domain);
    }

    proptest! {
        /// Whatever is asked and however often a half is lost, revisions rise, and only a purge is for ever.
        #[test]
        fn no_sequence_of_turns_loses_its_way(steps in prop::collection::vec((0..4_usize, any::<bool>()), 0..16)) {
            let (mut directory, mut under_way) = (active(), None);
            for (turn, arrives) in steps {
                match directory.set_out(&turns()[turn], under_way, LATER) {
                    Ok(SetOut::Begun(begun, goal)) => {
                        prop_assert_eq!(begun.revision, directory.revision + 1);
                        prop_assert!(matches!(begun.state, State::Suspending | State::Deleting));
                        (directory, under_way) = (begun, Some(goal));
                    }
                    Ok(SetOut::UnderWay) => prop_assert!(under_way.is_some()),
                    Ok(SetOut::Arrived) | Err(_) => {}
                }
                if let Some(goal) = under_way.filter(|_| arrives) {
                    directory = directory.arrive(goal, KEPT_FOR, LATER);
                    prop_assert_eq!(directory.state, goal.state());
                    under_way = None;
                }
                let between = matches!(directory.state, State::Suspending | State::Deleting);
                prop_assert_eq!(between, under_way.is_some());
                prop_assert_eq!(directory.purge_time.is_some(), directory.delete_time.is_some());
            }
        }
    }
}
