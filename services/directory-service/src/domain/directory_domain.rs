//! A domain of a directory: pending until its record is found, verified ever after (D-10 to D-17, K23, K46).
//!
//! Where records are looked for, and which directory was first, is not decided here.

use std::time::Duration;

use kernel::{DirectoryId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::directory::Directory;
use crate::domain::domain_name::DomainName;
use crate::domain::refused::Refused;

/// The most domains that a directory has, the initial one included.
pub(crate) const MOST_DOMAINS: i64 = 5_000;
/// What every record of ours begins with.
pub(crate) const RECORD_PREFIX: &str = "tenure-verification=";
/// K23: how long a challenge stays the same, and good.
const CHALLENGE_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// K23: how often a day a challenge is replaced.
const MOST_ROTATIONS: i64 = 5;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The alphabet of RFC 4648's base32, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How far a domain has come to belong to its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    /// Added, and not looked for.
    Pending,
    /// Proven.
    Verified,
    /// Looked for, and not found.
    Failed,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Pending, Self::Verified, Self::Failed];

    /// The state as stored and as serialised.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Verified => "VERIFIED",
            Self::Failed => "FAILED",
        }
    }
}

/// What came of looking for a record, where it was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckResult {
    /// There is no record of ours.
    RecordMissing,
    /// There are records of ours, of which none is the one.
    RecordMismatch,
    /// Nobody knows.
    DnsUnavailable,
}

impl CheckResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RecordMissing, Self::RecordMismatch, Self::DnsUnavailable];

    /// The result as stored and as serialised.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecordMissing => "RECORD_MISSING",
            Self::RecordMismatch => "RECORD_MISMATCH",
            Self::DnsUnavailable => "DNS_UNAVAILABLE",
        }
    }
}

/// A look at DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// When.
    pub time: Timestamp,
    /// What came of it.
    pub result: CheckResult,
}

/// What proves a domain that is not verified. It is no secret: it stands in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// What the record has to say.
    pub record_value: String,
    /// From when on it proves nothing any more.
    pub expire_time: Timestamp,
}

impl Challenge {
    /// K23: 128 bits, in 26 characters.
    fn new(bits: [u8; 16], now: Timestamp) -> Self {
        let record_value = format!("{RECORD_PREFIX}{}", base32(bits));
        Self { record_value, expire_time: now.plus(CHALLENGE_LIFETIME) }
    }

    /// What the TXT records of the domain say of it; `None` where one is the record that was asked for.
    pub(crate) fn check(&self, texts: &[String]) -> Option<CheckResult> {
        if texts.contains(&self.record_value) {
            None
        } else if texts.iter().any(|text| text.starts_with(RECORD_PREFIX)) {
            Some(CheckResult::RecordMismatch)
        } else {
            Some(CheckResult::RecordMissing)
        }
    }
}

/// How often a challenge was replaced on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Rotations {
    /// The day, counted from the epoch.
    pub day: i64,
    /// How often.
    pub count: i64,
}

/// A domain of a directory as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Domain {
    /// Fixed (D-12).
    pub name: DomainName,
    /// How far it has come.
    pub state: State,
    /// What proves it, until it is verified.
    pub challenge: Option<Challenge>,
    /// How often that was replaced.
    pub rotations: Rotations,
    /// The last look that did not find it.
    pub last_check: Option<Check>,
    /// When it was added.
    pub create_time: Timestamp,
    /// When it was verified.
    pub verify_time: Option<Timestamp>,
    /// Counts its changes from 1.
    pub revision: i64,
}

/// A domain as its directory makes it: which one is the primary is the directory's fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The directory.
    pub directory: DirectoryId,
    /// The domain.
    pub domain: Domain,
    /// D-10.
    pub initial: bool,
    /// D-11.
    pub primary: bool,
}

impl Domain {
    /// A domain that is still to be proven, by 128 bits that nobody can guess.
    pub(crate) fn pending(name: DomainName, bits: [u8; 16], now: Timestamp) -> Self {
        let challenge = Some(Challenge::new(bits, now));
        Self { state: State::Pending, challenge, verify_time: None, ..Self::verified(name, now) }
    }

    /// A domain that needs no proof: the initial one (D-10), and a sub-domain (K46).
    pub(crate) const fn verified(name: DomainName, now: Timestamp) -> Self {
        Self {
            name,
            state: State::Verified,
            challenge: None,
            rotations: Rotations { day: 0, count: 0 },
            last_check: None,
            create_time: now,
            verify_time: Some(now),
            revision: 1,
        }
    }

    /// The domain as its directory makes it.
    pub(crate) fn seen_in(self, directory: &Directory) -> Seen {
        Seen {
            directory: directory.id,
            initial: self.name == directory.initial_domain,
            primary: self.name == directory.primary_domain,
            domain: self,
        }
    }

    /// What is to be looked for; `None` where nothing has to be proven any more.
    pub(crate) fn to_prove(&self, now: Timestamp) -> Result<Option<&Challenge>, Refused> {
        match &self.challenge {
            Some(challenge) if challenge.expire_time <= now => {
                Err(Refused::ChallengeExpired(self.name.clone()))
            }
            challenge => Ok(challenge.as_ref()),
        }
    }

    /// It was proven.
    pub(crate) fn proven(&self, now: Timestamp) -> Self {
        let verified = Self { state: State::Verified, challenge: None, last_check: None, ..self.clone() };
        Self { verify_time: Some(now), revision: self.revision + 1, ..verified }
    }

    /// It was looked for in vain. Where DNS said nothing, nothing is known, and the state stays.
    pub(crate) fn checked(&self, result: CheckResult, now: Timestamp) -> Self {
        let state = if result == CheckResult::DnsUnavailable { self.state } else { State::Failed };
        let last_check = Some(Check { time: now, result });
        Self { state, last_check, revision: self.revision + 1, ..self.clone() }
    }

    /// Another challenge in the place of this one; `None` where nothing has to be proven any more.
    pub(crate) fn rotated(&self, bits: [u8; 16], now: Timestamp) -> Result<Option<Self>, Refused> {
        if self.challenge.is_none() {
            return Ok(None);
        }
        let day = now.micros().div_euclid(MICROS_PER_DAY);
        let count = if self.rotations.day == day { self.rotations.count } else { 0 };
        if count >= MOST_ROTATIONS {
            let wait = Timestamp::from_micros((day + 1) * MICROS_PER_DAY).since(now);
            return Err(Refused::TooManyRotations { domain: self.name.clone(), wait });
        }
        Ok(Some(Self {
            state: State::Pending,
            challenge: Some(Challenge::new(bits, now)),
            rotations: Rotations { day, count: count + 1 },
            last_check: None,
            revision: self.revision + 1,
            ..self.clone()
        }))
    }

    /// D-11: only a verified domain is used.
    pub(crate) fn require_verified(&self) -> Result<(), Refused> {
        if self.state == State::Verified {
            Ok(())
        } else {
            Err(Refused::DomainNotVerified(self.name.clone()))
        }
    }

    /// D-10, D-11: a directory keeps its initial domain, and its primary one for as long as it is that.
    pub(crate) fn require_removable(&self, directory: &Directory) -> Result<(), Refused> {
        if self.name == directory.initial_domain {
            Err(Refused::DomainIsInitial(self.name.clone()))
        } else if self.name == directory.primary_domain {
            Err(Refused::DomainIsPrimary(self.name.clone()))
        } else {
            Ok(())
        }
    }
}

/// Five bits a character, the last one of three.
fn base32(bits: [u8; 16]) -> String {
    let number = u128::from_be_bytes(bits);
    let character = |index: u32| {
        let five = if index < 25 { number >> (123 - 5 * index) } else { number << 2 } & 31;
        char::from(BASE32[usize::try_from(five).expect("five bits")])
    };
    (0..26).map(character).collect()
}

#[cfg(test)]
mod tests {
    use kernel::{RegionCode, new_ids};

    use super::*;
    use crate::domain::directory::{AgreementType, NewDirectory, Settings};

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const LATER: Timestamp = Timestamp::from_seconds(1_768_478_460);

    fn pending() -> Domain {
        Domain::pending("contoso.com".parse().unwrap(), [7; 16], NOW)
    }

    #[test]
    fn stored_and_serialised_names_are_the_same() {
        for state in State::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
        }
        for result in CheckResult::ALL {
            assert_eq!(serde_json::to_string(&result).unwrap(), format!("\"{}\"", result.as_str()));
        }
    }

    #[test]
    fn k_23_a_record_has_26_characters_that_tell_all_128_bits_apart() {
        assert_eq!(base32([0; 16]), "a".repeat(26));
        assert_eq!(base32([255; 16]), format!("{}4", "7".repeat(25)));
        // RFC 4648: `foobar` begins MZXW6YTB.
        let mut bits = [0; 16];
        bits[..6].copy_from_slice(b"foobar");
        assert!(base32(bits).starts_with("mzxw6ytboi"));
        let mut seen = std::collections::BTreeSet::new();
        for bit in 0..128 {
            seen.insert(base32((1_u128 << bit).to_be_bytes()));
        }
        assert_eq!(seen.len(), 128);
    }

    #[test]
    fn k_23_a_challenge_is_good_for_seven_days() {
        let domain = pending();
        let challenge = domain.challenge.clone().unwrap();
        let last = Timestamp::from_micros(challenge.expire_time.micros() - 1);
        assert_eq!(challenge.expire_time.since(NOW), Duration::from_hours(168));
        assert_eq!(domain.to_prove(last).unwrap(), Some(&challenge));
        assert!(matches!(domain.to_prove(challenge.expire_time), Err(Refused::ChallengeExpired(_))));
        assert_eq!(domain.proven(LATER).to_prove(challenge.expire_time).unwrap(), None);
    }

    #[test]
    fn d_13_the_record_is_the_whole_text_and_others_may_stand_beside_it() {
        let challenge = pending().challenge.unwrap();
        let asked = challenge.record_value.clone();
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(challenge.check(&texts(&["v=spf1 -all", &asked])), None);
        for mismatch in [format!("{asked} "), asked[..asked.len() - 1].to_owned(), RECORD_PREFIX.to_owned()] {
            assert_eq!(
                challenge.check(&texts(&[&mismatch])),
                Some(CheckResult::RecordMismatch),
                "{mismatch}"
            );
        }
        for missing in [&[][..], &["v=spf1 -all"], &[&asked[RECORD_PREFIX.len()..]]] {
            assert_eq!(challenge.check(&texts(missing)), Some(CheckResult::RecordMissing), "{missing:?}");
        }
    }

    #[test]
    fn d_16_a_look_in_vain_fails_the_domain_and_silence_changes_nothing_but_what_is_known() {
        let failed = pending().checked(CheckResult::RecordMissing, LATER);
        assert_eq!((failed.state, failed.revision), (State::Failed, 2));
        let silent = pending().checked(CheckResult::DnsUnavailable, LATER);
        assert_eq!((silent.state, silent.last_check.unwrap().time), (State::Pending, LATER));
        assert_eq!(failed.checked(CheckResult::DnsUnavailable, LATER).state, State::Failed);
        let verified = failed.proven(LATER);
        assert_eq!((verified.state, verified.verify_time), (State::Verified, Some(LATER)));
        assert_eq!((verified.challenge, verified.last_check), (None, None));
    }

    #[test]
    fn k_23_a_challenge_is_replaced_five_times_a_day() {
        let mut domain = pending();
        for count in 1..=5 {
            domain = domain.rotated([count; 16], LATER).unwrap().unwrap();
        }
        let refused = domain.rotated([9; 16], LATER).unwrap_err();
        let Refused::TooManyRotations { wait, .. } = refused else { panic!("{refused:?}") };
        let tomorrow = LATER.plus(wait);
        assert_eq!(tomorrow.micros() % MICROS_PER_DAY, 0);
        assert!(domain.rotated([9; 16], Timestamp::from_micros(tomorrow.micros() - 1)).is_err());
        let next = domain.rotated([9; 16], tomorrow).unwrap().unwrap();
        assert_eq!((next.rotations.count, next.state), (1, State::Pending));
        assert_ne!(next.challenge, domain.challenge);
        // A verified domain has nothing to prove.
        assert_eq!(domain.proven(LATER).rotated([9; 16], LATER).unwrap(), None);
    }

    #[test]
    fn d_10_d_11_the_initial_and_the_primary_domain_stay() {
        let new = NewDirectory {
            display_name: "Contoso".to_owned(),
            initial_domain: "contoso.tenure.internal".parse().unwrap(),
            region_code: RegionCode::UNITED_STATES,
            agreement_type: AgreementType::SelfService,
            settings: Settings { members_may_create_subscriptions: true },
        };
        let id = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        let directory = Directory::provision(id, new, NOW);
        let initial = Domain::verified(directory.initial_domain.clone(), NOW);
        assert!(matches!(initial.require_removable(&directory), Err(Refused::DomainIsInitial(_))));
        let other = pending();
        assert!(other.require_removable(&directory).is_ok());
        assert!(matches!(other.require_verified(), Err(Refused::DomainNotVerified(_))));
        let directory = Directory { primary_domain: other.name.clone(), ..directory };
        assert!(matches!(other.require_removable(&directory), Err(Refused::DomainIsPrimary(_))));
        let seen = (initial.clone().seen_in(&directory), other.seen_in(&directory));
        assert_eq!(
            (seen.0.initial, seen.0.primary, seen.1.initial, seen.1.primary),
            (true, false, false, true)
        );
    }
}
