//! A directory and the steps of its life that exist: made, put into use, given up.
//!
//! Whether an initial domain is free is decided by a unique key, not here.

use kernel::{DirectoryId, RegionCode, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::domain_name::DomainName;
use crate::domain::refused::Refused;

/// What can be done with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Its name and label are held, nobody can sign in yet.
    Provisioning,
    /// In use.
    Active,
    /// On its way to be suspended (K2).
    Suspending,
    /// Kept, and granting no right.
    Suspended,
    /// On its way to be deleted (K2).
    Deleting,
    /// Gone for its users; abandoned ones too.
    Deleted,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Provisioning, Self::Active, Self::Suspending, Self::Suspended, Self::Deleting, Self::Deleted];

    /// The state as stored and as serialised.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Active => "ACTIVE",
            Self::Suspending => "SUSPENDING",
            Self::Suspended => "SUSPENDED",
            Self::Deleting => "DELETING",
            Self::Deleted => "DELETED",
        }
    }
}

/// The agreement that an organisation buys under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AgreementType {
    /// Whoever signs up buys for themselves.
    SelfService,
    /// A negotiated Enterprise Agreement (E-01).
    Enterprise,
}

impl AgreementType {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::SelfService, Self::Enterprise];

    /// The agreement as stored and as serialised.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SelfService => "SELF_SERVICE",
            Self::Enterprise => "ENTERPRISE",
        }
    }
}

/// Decisions of a directory's administrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Whether a member without an administrator role may sign up for Azure (S-05).
    pub members_may_create_subscriptions: bool,
}

/// A directory as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// Never used again.
    pub id: DirectoryId,
    /// The organisation's name.
    pub display_name: String,
    /// D-10: verified from the start, unique, fixed.
    pub initial_domain: DomainName,
    /// D-11: what new users get; at first the initial domain.
    pub primary_domain: DomainName,
    /// D-08: fixed.
    pub region_code: RegionCode,
    /// What can be done with it.
    pub state: State,
    /// Fixed.
    pub agreement_type: AgreementType,
    /// Its administrators' decisions.
    pub settings: Settings,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
    /// When it was first put into use; what never was is abandoned when it is DELETED.
    pub activate_time: Option<Timestamp>,
    /// Counts its changes from 1.
    pub revision: i64,
}

/// What is asked for when a directory is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewDirectory {
    /// The organisation's name.
    pub display_name: String,
    /// The label with the installation's suffix.
    pub initial_domain: DomainName,
    /// Where the organisation is.
    pub region_code: RegionCode,
    /// What it buys under.
    pub agreement_type: AgreementType,
    /// What its administrator decided already.
    pub settings: Settings,
}

/// A step: what became of the directory, or that nothing was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It changed to this.
    Changed(Directory),
    /// It had taken the step before: no change, no event.
    AlreadyTaken,
}

impl Directory {
    /// A directory that is being made.
    pub(crate) fn provision(id: DirectoryId, new: NewDirectory, now: Timestamp) -> Self {
        Self {
            id,
            display_name: new.display_name,
            primary_domain: new.initial_domain.clone(),
            initial_domain: new.initial_domain,
            region_code: new.region_code,
            state: State::Provisioning,
            agreement_type: new.agreement_type,
            settings: new.settings,
            create_time: now,
            update_time: now,
            activate_time: None,
            revision: 1,
        }
    }

    /// Puts it into use. An abandoned directory stays abandoned, however late this comes (K18).
    pub(crate) fn activate(&self, now: Timestamp) -> Result<Step, Refused> {
        match self.state {
            State::Active => Ok(Step::AlreadyTaken),
            State::Provisioning => {
                Ok(Step::Changed(Self { activate_time: Some(now), ..self.moved_to(State::Active, now) }))
            }
            State::Suspending | State::Suspended | State::Deleting | State::Deleted => {
                Err(self.no_such_step(&[State::Provisioning, State::Active]))
            }
        }
    }

    /// Gives it up. K37: only what was never active, because this frees its label.
    pub(crate) fn abandon(&self, now: Timestamp) -> Result<Step, Refused> {
        match self.state {
            State::Deleted if self.activate_time.is_none() => Ok(Step::AlreadyTaken),
            State::Provisioning => Ok(Step::Changed(self.moved_to(State::Deleted, now))),
            State::Active | State::Suspending | State::Suspended | State::Deleting | State::Deleted => {
                Err(self.no_such_step(&[State::Provisioning]))
            }
        }
    }

    /// D-11: another domain, which is verified, becomes what new users get. Nobody's name changes.
    pub(crate) fn with_primary_domain(&self, domain: &DomainName, now: Timestamp) -> Step {
        if self.primary_domain == *domain {
            return Step::AlreadyTaken;
        }
        let (update_time, revision) = (now, self.revision + 1);
        Step::Changed(Self { primary_domain: domain.clone(), update_time, revision, ..self.clone() })
    }

    /// Refuses unless others may rely on it.
    pub(crate) fn require_active(&self) -> Result<(), Refused> {
        if self.state == State::Active {
            Ok(())
        } else {
            Err(Refused::DirectoryNotActive { directory: self.id, state: self.state })
        }
    }

    fn moved_to(&self, state: State, now: Timestamp) -> Self {
        Self { state, update_time: now, revision: self.revision + 1, ..self.clone() }
    }

    const fn no_such_step(&self, allowed: &'static [State]) -> Refused {
        Refused::InvalidStateTransition { directory: self.id, current: self.state, allowed }
    }
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const LATER: Timestamp = Timestamp::from_seconds(1_768_478_460);

    fn provisioned() -> Directory {
        let new = NewDirectory {
            display_name: "Contoso".to_owned(),
            initial_domain: "contoso.tenure.internal".parse().unwrap(),
            region_code: RegionCode::UNITED_STATES,
            agreement_type: AgreementType::SelfService,
            settings: Settings { members_may_create_subscriptions: true },
        };
        Directory::provision(DirectoryId::from_uuid(new_ids::derive(&["contoso"])), new, NOW)
    }

    fn changed(step: Result<Step, Refused>) -> Directory {
        match step.unwrap() {
            Step::Changed(directory) => directory,
            Step::AlreadyTaken => panic!("nothing changed"),
        }
    }

    #[test]
    fn stored_and_serialised_names_are_the_same() {
        for state in State::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
        }
        for agreement in AgreementType::ALL {
            assert_eq!(serde_json::to_string(&agreement).unwrap(), format!("\"{}\"", agreement.as_str()));
        }
    }

    #[test]
    fn d_11_the_initial_domain_is_the_primary_one_at_first() {
        assert_eq!(provisioned().primary_domain, provisioned().initial_domain);
    }

    #[test]
    fn d_11_another_primary_domain_is_a_change_and_the_same_one_is_none() {
        let domain = "contoso.com".parse().unwrap();
        let changed = changed(Ok(provisioned().with_primary_domain(&domain, LATER)));
        assert_eq!((&changed.primary_domain, changed.revision, changed.update_time), (&domain, 2, LATER));
        assert_eq!(changed.initial_domain, provisioned().initial_domain);
        assert_eq!(changed.with_primary_domain(&domain, LATER), Step::AlreadyTaken);
    }

    #[test]
    fn activating_twice_is_one_change() {
        let active = changed(provisioned().activate(LATER));
        assert_eq!((active.state, active.revision, active.activate_time), (State::Active, 2, Some(LATER)));
        assert_eq!(active.activate(LATER).unwrap(), Step::AlreadyTaken);
    }

    #[test]
    fn k_18_an_abandoned_directory_is_never_activated() {
        let abandoned = changed(provisioned().abandon(LATER));
        assert_eq!(abandoned.abandon(LATER).unwrap(), Step::AlreadyTaken);
        assert!(matches!(
            abandoned.activate(LATER),
            Err(Refused::InvalidStateTransition { current: State::Deleted, .. })
        ));
    }

    #[test]
    fn k_37_what_was_active_once_is_not_abandoned_in_any_state() {
        let active = changed(provisioned().activate(LATER));
        for state in State::ALL.into_iter().filter(|state| *state != State::Provisioning) {
            let refused = Directory { state, ..active.clone() }.abandon(LATER).unwrap_err();
            assert!(matches!(refused, Refused::InvalidStateTransition { current, .. } if current == state));
        }
    }

    proptest! {
        #[test]
        fn k_37_no_sequence_of_steps_frees_the_label_of_an_active_directory(steps in prop::collection::vec(any::<bool>(), 0..12)) {
            let mut directory = provisioned();
            let mut was_active = false;
            for activates in steps {
                let step = if activates { directory.activate(LATER) } else { directory.abandon(LATER) };
                if let Ok(Step::Changed(next)) = step {
                    prop_assert_eq!(next.revision, directory.revision + 1);
                    directory = next;
                }
                was_active |= directory.state == State::Active;
                prop_assert!(!(was_active && directory.state == State::Deleted));
            }
        }
    }
}
