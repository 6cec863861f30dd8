//! P-10, K13, K32: the audit log of one directory, newest first, each way to narrow it by an index in its order.

use access::Call;
use database::audit::{self, Asked, By, Event, Narrowing};
use database::{Db, refusals, sequencer};
use kernel::{Refusal, Timestamp};
use std::time::Duration;
use test_support::clock::START;
use test_support::plan::{assert_finds, assert_seeks_back};

use crate::change_log::change;
use crate::{call, directory, permit, store};

const LATER: Duration = Duration::from_mins(5);

fn narrowed(by: By) -> Narrowing {
    Narrowing { by, negated: false }
}

fn but(by: By) -> Narrowing {
    Narrowing { by, negated: true }
}

fn asked(narrowings: &[Narrowing]) -> Asked<'_> {
    Asked { from: Timestamp::from_micros(i64::MIN), before: (i64::MAX, 0), narrowings, most: 50 }
}

async fn page(db: &Db, asked: &Asked<'_>) -> Vec<Event> {
    audit::page(&mut db.read().await.unwrap(), &permit(), asked).await.unwrap()
}

/// Four changes, a second apart, the last of two things; three equal refusals, and one of another kind.
async fn filled(db: &Db) {
    for number in 0..4 {
        let now = START.plus(Duration::from_secs(number.into()));
        change(db, &Call { now, ..call(number, 1) }, if number == 3 { 2 } else { 1 }).await;
    }
    let denied = Refusal::permission_denied("a/permission", "things/1");
    let missing = Refusal::not_found(kernel::reason::FIELD_INVALID, "things/1");
    for refusal in [&denied, &denied, &denied, &missing] {
        refusals::record(db, &call(9, 1), refusal, "things/1").await.unwrap();
    }
    while sequencer::run_once(db, START.plus(LATER)).await.unwrap() {}
}

#[tokio::test]
async fn the_newest_come_first_and_refusals_are_counted() {
    let store = store().await;
    filled(&store.db).await;
    let events = page(&store.db, &asked(&[])).await;
    let times: Vec<_> = events.iter().map(|event| (event.event_time, event.position)).collect();
    assert_eq!(events.len(), 7);
    assert!(times.is_sorted_by(|earlier, later| earlier > later), "{times:?}");
    assert!(events.iter().all(|event| !event.seal.is_empty() && event.digest.len() == 32));
    let refused = page(&store.db, &asked(&[narrowed(By::Refused("PERMISSION_DENIED"))])).await;
    assert_eq!(refused.len(), 1);
    let only = &refused[0];
    assert_eq!((only.code.as_str(), only.reason.as_str()), ("PERMISSION_DENIED", "PERMISSION_DENIED"));
    assert_eq!((only.count, only.target.as_str(), only.kind.as_str()), (3, "things/1", "REFUSED"));
}

#[tokio::test]
async fn what_has_no_position_yet_is_not_listed() {
    let store = store().await;
    change(&store.db, &call(1, 1), 1).await;
    assert_eq!(page(&store.db, &asked(&[])).await, []);
}

#[tokio::test]
async fn a_list_is_narrowed_by_each_field() {
    let store = store().await;
    filled(&store.db).await;
    let first = format!("things/{}-0", call(0, 1).new_id);
    let text = ToOwned::to_owned;
    for (narrowings, expected) in [
        (vec![narrowed(By::Done)], 5),
        (vec![but(By::Done)], 2),
        (vec![but(By::Refused("NOT_FOUND"))], 6),
        (vec![narrowed(By::Refused("NOT_FOUND"))], 1),
        (vec![narrowed(By::Refused("NOT"))], 0),
        (vec![narrowed(By::Target(first.clone()))], 1),
        (vec![but(By::Target(first.clone()))], 6),
        (vec![narrowed(By::TargetPrefix(text(&first[..20])))], 1),
        (vec![narrowed(By::TargetPrefix(text("things/")))], 7),
        (vec![narrowed(By::TargetPrefix(text("thing_")))], 0),
        (vec![narrowed(By::TargetPrefix(text("things/%")))], 0),
        (vec![narrowed(By::Actor(text("workers/test")))], 5),
        (vec![but(By::Actor(text("workers/test")))], 2),
        (vec![narrowed(By::Action(text("/tenure.test.v1.Things/CreateThing")))], 7),
        (vec![narrowed(By::Action(text("/tenure.test.v1.Things/")))], 0),
        (vec![narrowed(By::Actor(text("workers/test"))), narrowed(By::Target(first.clone()))], 1),
        (vec![narrowed(By::Actor(text("nobody"))), narrowed(By::Target(first))], 0),
    ] {
        assert_eq!(page(&store.db, &asked(&narrowings)).await.len(), expected, "{narrowings:?}");
    }
}

#[tokio::test]
async fn times_bound_a_list_from_their_first_to_before_their_last() {
    let store = store().await;
    filled(&store.db).await;
    let second = |number| START.plus(Duration::from_secs(number));
    let between = |from, until: Timestamp| Asked { from, before: (until.micros(), 0), ..asked(&[]) };
    assert_eq!(page(&store.db, &between(second(1), second(3))).await.len(), 2);
    assert_eq!(page(&store.db, &between(second(3), second(4))).await.len(), 2);
    assert_eq!(page(&store.db, &between(second(4), second(5))).await.len(), 0);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let store = store().await;
    filled(&store.db).await;
    let all = page(&store.db, &asked(&[])).await;
    let (mut paged, mut before) = (Vec::new(), (i64::MAX, 0));
    loop {
        let next = page(&store.db, &Asked { before, most: 2, ..asked(&[]) }).await;
        let Some(last) = next.last() else { break };
        before = (last.event_time.micros(), last.position);
        paged.extend(next);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn an_entry_is_found_again_in_its_own_directory_alone() {
    let store = store().await;
    filled(&store.db).await;
    let mut tx = store.db.read().await.unwrap();
    for event in page(&store.db, &asked(&[])).await {
        let found = audit::find(&mut tx, &permit(), event.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&event));
        let elsewhere = kernel::DirectoryId::from_uuid(kernel::new_ids::derive(&["another"]));
        let permit = access::Permit::<access::permission::BeActive>::for_worker(elsewhere, "test", START);
        assert_eq!(audit::find(&mut tx, &permit, event.id).await.unwrap(), None);
    }
}

fn text(narrowings: &[Narrowing]) -> String {
    audit::statement(directory(), &asked(narrowings)).text().to_owned()
}

#[tokio::test]
async fn k_32_every_way_to_narrow_the_audit_log_has_an_index_in_its_order() {
    let store = store().await;
    let order = "event_time, position";
    let users = || "directories/1/users/".to_owned();
    for (by, index) in [
        (None, "change_log_by_time"),
        (Some(By::Actor(users())), "change_log_by_actor"),
        (Some(By::Action(users())), "change_log_by_action"),
        (Some(By::Target(users())), "change_log_by_target"),
        (Some(By::TargetPrefix(users())), "change_log_by_time"),
        (Some(By::Done), "change_log_by_time"),
        (Some(By::Refused("NOT_FOUND")), "change_log_refused"),
    ] {
        let narrowings: Vec<_> = by.map(narrowed).into_iter().collect();
        assert_seeks_back(&store.db, &text(&narrowings), index, order).await;
    }
    // Everything else is looked for in the list's order.
    for by in [By::Actor(users()), By::Action(users()), By::Target(users())] {
        assert_seeks_back(&store.db, &text(&[but(by)]), "change_log_by_time", order).await;
    }
    assert_seeks_back(&store.db, &text(&[but(By::Done)]), "change_log_refused", order).await;
    let one = [narrowed(By::TargetPrefix("directories/1/users/1d7e1f2a-3b4c".to_owned()))];
    assert_finds(&store.db, &text(&one), "change_log_by_target", "resource").await;
}
