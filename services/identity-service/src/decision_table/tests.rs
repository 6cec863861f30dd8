use std::collections::HashMap;
use std::sync::Mutex;

use kernel::{SessionId, UserId, new_ids};

use super::*;
use crate::domain::directory::DirectoryState;
use crate::domain::standing::{AssignedRole, SessionFacts};
use crate::domain::user::UserState;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn directory(name: &str) -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&["directory", name]))
}

fn ada(session: Option<&str>) -> About {
    let session = session.map(|name| SessionId::from_uuid(new_ids::derive(&["session", name])));
    About { directory: directory("contoso"), user: UserId::from_uuid(new_ids::derive(&["ada"])), session }
}

fn member(held: &[&str]) -> Standing {
    let role = |slug: &&str| AssignedRole { slug: (*slug).to_owned(), expire_time: None };
    Standing {
        directory: Some(DirectoryState::Active),
        state: UserState::Active,
        user_type: UserType::Member,
        home: None,
        session: Some(SessionFacts { revoked: false, expire_time: Timestamp::from_seconds(9_000) }),
        roles: held.iter().map(role).collect(),
        revision: 1,
    }
}

/// The table, or what looks like one.
trait Table {
    fn look(&self, about: About, consistency: Consistency, now: Timestamp) -> Looked;
    fn keep(&self, unread: Unread, standing: Option<Standing>, now: Timestamp) -> Facts;
    fn changed(&self, directory: DirectoryId);
}

impl Table for DecisionTable {
    fn look(&self, about: About, consistency: Consistency, now: Timestamp) -> Looked {
        self.look(about, consistency, now)
    }

    fn keep(&self, unread: Unread, standing: Option<Standing>, _now: Timestamp) -> Facts {
        self.keep(unread, standing)
    }

    fn changed(&self, directory: DirectoryId) {
        self.changed(&[directory]);
    }
}

/// What a naive table does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing is ever forgotten.
    ForgetsNothing,
    /// Entries go at a commit, and whatever is read is entered.
    EntersWhatWasOvertaken,
    /// The session is no part of the key.
    KeyedByPrincipalAlone,
    /// A guest is kept as everybody is.
    KeepsGuests,
    /// Facts are as young as their entry.
    AgedFromTheEntry,
}

struct Naive {
    fault: Fault,
    entries: Mutex<HashMap<About, Arc<Remembered>>>,
}

impl Naive {
    fn new(fault: Fault) -> Self {
        Self { fault, entries: Mutex::default() }
    }

    fn key(&self, about: About) -> About {
        let session = about.session.filter(|_| self.fault != Fault::KeyedByPrincipalAlone);
        About { session, ..about }
    }
}

impl Table for Naive {
    fn look(&self, about: About, _consistency: Consistency, now: Timestamp) -> Looked {
        let found = self.entries.lock().unwrap().get(&self.key(about)).cloned();
        match found.filter(|remembered| now.since(remembered.read_at) <= MOST_AGE) {
            Some(found) => Looked::Found(Facts { known: Some(found), now, as_of: now }),
            None => Looked::Absent(Unread { about, changes: 0, asked_at: now }),
        }
    }

    fn keep(&self, unread: Unread, standing: Option<Standing>, now: Timestamp) -> Facts {
        let read_at = if self.fault == Fault::AgedFromTheEntry { now } else { unread.asked_at };
        let known = standing.map(|standing| Arc::new(Remembered { standing, changes: 0, read_at }));
        if let Some(known) = &known {
            self.entries.lock().unwrap().insert(self.key(unread.about), Arc::clone(known));
        }
        Facts { known, now, as_of: now }
    }

    fn changed(&self, directory: DirectoryId) {
        if self.fault != Fault::ForgetsNothing {
            self.entries.lock().unwrap().retain(|about, _| about.directory != directory);
        }
    }
}

/// As the judge does it: looks, and reads what the database has where nothing is found.
fn facts(table: &dyn Table, about: About, rows: &Standing) -> Facts {
    match table.look(about, Consistency::Fresh, NOW) {
        Looked::Found(facts) => facts,
        Looked::Absent(unread) => table.keep(unread, Some(rows.clone()), NOW),
    }
}

fn roles(facts: &Facts) -> Vec<&str> {
    facts.standing().unwrap().held(NOW).collect()
}

fn authoritative() -> DecisionTable {
    DecisionTable::new(Decisions::Authoritative)
}

#[test]
fn what_a_commit_changed_is_read_again() {
    let after_revocation = |table: &dyn Table| {
        assert_eq!(roles(&facts(table, ada(None), &member(&["reports-reader"]))), ["reports-reader"]);
        table.changed(directory("contoso"));
        roles(&facts(table, ada(None), &member(&[]))).is_empty()
    };
    assert!(after_revocation(&authoritative()));
    assert!(!after_revocation(&Naive::new(Fault::ForgetsNothing)), "expected to go on with the revoked role");
}

#[test]
fn what_a_commit_overtook_while_it_was_read_is_never_found() {
    let after_the_race = |table: &dyn Table| {
        let Looked::Absent(unread) = table.look(ada(None), Consistency::Fresh, NOW) else { panic!("empty") };
        // The reader has the rows from before the commit in hand, and enters them after it.
        let read = member(&["reports-reader"]);
        table.changed(directory("contoso"));
        table.keep(unread, Some(read), NOW);
        roles(&facts(table, ada(None), &member(&[]))).is_empty()
    };
    assert!(after_the_race(&authoritative()));
    assert!(
        !after_the_race(&Naive::new(Fault::EntersWhatWasOvertaken)),
        "expected to be left with the revoked role"
    );
}

#[test]
fn a_slow_reader_does_not_put_back_what_a_fast_one_has_read_since() {
    let table = authoritative();
    let Looked::Absent(slow) = table.look(ada(None), Consistency::Fresh, NOW) else { panic!("empty") };
    table.changed(&[directory("contoso")]);
    assert!(roles(&facts(&table, ada(None), &member(&[]))).is_empty());
    table.keep(slow, Some(member(&["reports-reader"])));
    assert!(roles(&facts(&table, ada(None), &member(&[]))).is_empty());
}

#[test]
fn another_session_is_another_entry() {
    let with_another_session = |table: &dyn Table| {
        facts(table, ada(Some("live")), &member(&[]));
        let revoked = SessionFacts { revoked: true, expire_time: Timestamp::from_seconds(9_000) };
        let rows = Standing { session: Some(revoked), ..member(&[]) };
        facts(table, ada(Some("revoked")), &rows).standing().unwrap().session.unwrap().revoked
    };
    assert!(with_another_session(&authoritative()));
    assert!(
        !with_another_session(&Naive::new(Fault::KeyedByPrincipalAlone)),
        "expected to take the revoked session for the live one"
    );
}

#[test]
fn another_directory_and_another_principal_are_other_entries() {
    let table = authoritative();
    facts(&table, ada(None), &member(&["reports-reader"]));
    let elsewhere = About { directory: directory("fabrikam"), ..ada(None) };
    let bo = About { user: UserId::from_uuid(new_ids::derive(&["bo"])), ..ada(None) };
    for about in [elsewhere, bo] {
        assert!(roles(&facts(&table, about, &member(&[]))).is_empty());
    }
    assert_eq!(roles(&facts(&table, ada(None), &member(&[]))), ["reports-reader"]);
}

#[test]
fn k20_a_guest_is_read_each_time_because_its_home_changes_elsewhere() {
    let guest = |home| Standing { user_type: UserType::Guest, home, ..member(&[]) };
    let after_disabling_at_home = |table: &dyn Table| {
        facts(table, ada(None), &guest(Some(UserState::Active)));
        table.changed(directory("the home"));
        facts(table, ada(None), &guest(Some(UserState::Disabled))).standing().unwrap().home
    };
    assert_eq!(after_disabling_at_home(&authoritative()), Some(UserState::Disabled));
    assert_eq!(
        after_disabling_at_home(&Naive::new(Fault::KeepsGuests)),
        Some(UserState::Active),
        "expected to miss what happened at home"
    );
}

#[test]
fn nobody_and_made_up_sessions_take_no_room() {
    let table = authoritative();
    let unread = |about| match table.look(about, Consistency::Fresh, NOW) {
        Looked::Absent(unread) => unread,
        Looked::Found(_) => panic!("nothing was kept"),
    };
    assert!(table.keep(unread(ada(None)), None).standing().is_none());
    let without = Standing { session: None, ..member(&[]) };
    table.keep(unread(ada(Some("made up"))), Some(without));
    unread(ada(None));
    unread(ada(Some("made up")));
}

#[test]
fn where_others_write_old_facts_serve_those_who_allow_it_for_so_long() {
    let aged = DecisionTable::new(Decisions::Aged);
    let seconds = |seconds| NOW.plus(Duration::from_secs(seconds));
    facts(&aged, ada(None), &member(&[]));
    let found = |consistency, now| match aged.look(ada(None), consistency, now) {
        Looked::Found(facts) => Some(facts.as_of),
        Looked::Absent(_) => None,
    };
    assert_eq!(found(Consistency::Fresh, NOW), None);
    assert_eq!(found(Consistency::AtMostFiveSeconds, seconds(4)), Some(NOW));
    assert_eq!(found(Consistency::AtMostFiveSeconds, seconds(5)), None);
    let set_back = NOW.minus(Duration::from_secs(1));
    assert_eq!(found(Consistency::AtMostFiveSeconds, set_back), None);
}

#[test]
fn facts_age_from_before_they_were_read() {
    let three_seconds_on = NOW.plus(Duration::from_secs(3));
    let six_seconds_on = NOW.plus(Duration::from_secs(6));
    let serves_after_six_seconds = |table: &dyn Table| {
        let Looked::Absent(unread) = table.look(ada(None), Consistency::AtMostFiveSeconds, NOW) else {
            panic!("empty")
        };
        // The database took three seconds.
        table.keep(unread, Some(member(&[])), three_seconds_on);
        matches!(table.look(ada(None), Consistency::AtMostFiveSeconds, six_seconds_on), Looked::Found(_))
    };
    assert!(!serves_after_six_seconds(&DecisionTable::new(Decisions::Aged)));
    assert!(
        serves_after_six_seconds(&Naive::new(Fault::AgedFromTheEntry)),
        "expected to pass off facts of six seconds ago"
    );
}
