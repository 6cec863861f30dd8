//! K13, K15, P-10: every committed change gets one position and is sealed; refusals follow; tampering shows.

use std::time::Duration;

use access::{Call, Caller};
use database::change_log::{Change, ChangeKind, append};
use database::verify::{Verified, verify};
use database::{Db, on, refusals, sequencer};
use kernel::{Code, Reason, Refusal, Timestamp, new_ids, reason};
use test_support::clock::{ManualClock, START};
use tokio::task::JoinSet;

use test_support::database::number;

use crate::{call, directory, permit, store};

const POSITIONED: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NOT NULL";
const HIGHEST: &str = "SELECT COALESCE(MAX(position), 0) FROM change_log";
const SEALS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_seals";

/// One transaction that changes `rows` things.
pub(crate) async fn change(db: &Db, call: &Call, rows: usize) {
    let mut tx = db.write().await.unwrap();
    for row in 0..rows {
        let resource = format!("things/{}-{row}", call.new_id);
        let after = serde_json::json!({ "name": resource });
        let change = Change { resource, kind: ChangeKind::Created, after: &after, changed_fields: &[] };
        append(&mut tx, &permit(), call, &change).await.unwrap();
    }
    tx.note(directory());
    tx.commit(&permit(), &ManualClock::default().clock()).await.unwrap();
}

async fn sequence(db: &Db, now: Timestamp) {
    while sequencer::run_once(db, now).await.unwrap() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_gets_one_position_while_several_sequence() {
    let store = store().await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let db = store.db.clone();
        writers.spawn(async move {
            for round in 0..20 {
                change(&db, &call(writer * 100 + round, 1), 2).await;
                if round % 5 == 0 {
                    // On PostgreSQL two sequencers may meet: one steps aside.
                    sequencer::run_once(&db, START).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    sequence(&store.db, START).await;
    assert_eq!(number(&store.db, POSITIONED).await, 320);
    assert_eq!(number(&store.db, HIGHEST).await, 320, "no gap");
    let torn =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT MAX(position) - MIN(position) AS apart FROM change_log
        GROUP BY transaction_id) AS spans WHERE apart <> 1";
    assert_eq!(number(&store.db, torn).await, 0, "transactions are whole");
    assert!(number(&store.db, SEALS).await >= 1);
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Intact { entries: 320, unsealed: 0 });
}

#[tokio::test]
async fn a_change_that_was_rolled_back_leaves_no_gap() {
    let store = store().await;
    change(&store.db, &call(1, 1), 1).await;
    let mut tx = store.db.write().await.unwrap();
    let after = serde_json::json!({});
    let change_of = Change {
        resource: "things/never".to_owned(),
        kind: ChangeKind::Created,
        after: &after,
        changed_fields: &[],
    };
    append(&mut tx, &permit(), &call(2, 1), &change_of).await.unwrap();
    drop(tx);
    change(&store.db, &call(3, 1), 1).await;
    sequence(&store.db, START).await;
    assert_eq!((number(&store.db, POSITIONED).await, number(&store.db, HIGHEST).await), (2, 2));
}

#[tokio::test]
async fn tampering_with_an_entry_shows_and_is_named() {
    let store = store().await;
    for round in 0..5 {
        change(&store.db, &call(round, 1), 1).await;
        sequence(&store.db, START).await;
    }
    let mut tx = store.db.write().await.unwrap();
    let update = "UPDATE change_log SET actor = 'somebody else' WHERE position = 3";
    on!(&mut tx, |c| sqlx::query(update).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
    assert_eq!(verify(&store.db).await.unwrap(), Verified::Broken { position: 3 });
}

#[tokio::test]
async fn an_end_that_was_cut_off_and_an_entry_that_was_removed_show() {
    for (cut, position) in [
        (
            [
                "DELETE FROM change_log WHERE position >= 4",
                "DELETE FROM change_seals WHERE last_position >= 4",
            ],
            4,
        ),
        (
            ["DELETE FROM change_log WHERE position = 2", "DELETE FROM change_seals WHERE last_position = 2"],
            2,
        ),
    ] {
        let store = store().await;
        for round in 0..5 {
            change(&store.db, &call(round, 1), 1).await;
            sequence(&store.db, START).await;
        }
        for statement in cut {
            crate::execute(&store.db, statement).await;
        }
        assert_eq!(verify(&store.db).await.unwrap(), Verified::Broken { position }, "{cut:?}");
    }
}

#[tokio::test]
async fn equal_refusals_of_a_minute_are_one_row_and_become_one_sealed_entry() {
    let store = store().await;
    let refusal = Refusal::permission_denied("a/permission", "directories/x");
    for round in 0..3 {
        refusals::record(&store.db, &call(round, 1), &refusal, "things/1").await.unwrap();
    }
    let counted = "SELECT count FROM refusals";
    assert_eq!(number(&store.db, counted).await, 3);
    sequence(&store.db, START).await;
    assert_eq!(number(&store.db, POSITIONED).await, 0, "the minute is not over");
    sequence(&store.db, START.plus(Duration::from_mins(3))).await;
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM refusals").await, 0);
    let sealed = "SELECT count FROM change_log WHERE kind = 'REFUSED' AND position IS NOT NULL";
    assert_eq!(number(&store.db, sealed).await, 3);
}

#[tokio::test]
async fn trying_one_foreign_id_after_the_other_makes_one_row() {
    let store = store().await;
    let refusal = Refusal::permission_denied("a/permission", "directories/x");
    for round in 0..5 {
        let foreign = format!("directories/{}/liens/{round}", new_ids::derive(&[&round.to_string()]));
        refusals::record(&store.db, &call(round, 1), &refusal, &foreign).await.unwrap();
        let own = format!("directories/{}/liens/1", crate::directory());
        refusals::record(&store.db, &call(round, 1), &refusal, &own).await.unwrap();
    }
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM refusals").await, 2);
    let foreign = "SELECT count FROM refusals WHERE target = 'directories/*/liens/*'";
    assert_eq!(number(&store.db, foreign).await, 5);
}

#[tokio::test]
async fn what_an_operator_is_refused_is_recorded_where_it_was_tried() {
    let store = store().await;
    let mut call = call(1, 1);
    call.caller = Some(Caller::Operator("one".to_owned()));
    let refusal = Refusal::permission_denied("a/permission", "directories/x");
    for target in [format!("directories/{}/users/1", crate::directory()), String::new()] {
        refusals::record(&store.db, &call, &refusal, &target).await.unwrap();
    }
    let directories =
        "SELECT CAST(COUNT(DISTINCT directory) AS BIGINT) FROM refusals WHERE actor = 'operators/one'";
    assert_eq!(number(&store.db, directories).await, 2);
}

#[tokio::test]
async fn a_revoked_session_and_a_used_up_quota_are_recorded() {
    let store = store().await;
    let quota = Refusal::new(Code::ResourceExhausted, Reason::new("SUBSCRIPTION_QUOTA"), "no more");
    for refusal in [Refusal::unauthenticated(reason::SESSION_REVOKED, "revoked"), quota] {
        refusals::record(&store.db, &call(1, 1), &refusal, "things/1").await.unwrap();
    }
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM refusals").await, 2);
}

#[tokio::test]
async fn what_is_malformed_or_throttled_is_not_recorded() {
    let store = store().await;
    for refusal in [
        Refusal::internal(),
        Refusal::new(Code::ResourceExhausted, reason::RATE_LIMITED, "slowly"),
        Refusal::unauthenticated(reason::TOKEN_MISSING, "no token"),
        Refusal::dependency_unavailable("identity-service"),
        Refusal::invalid_fields(Vec::new()),
    ] {
        refusals::record(&store.db, &call(1, 1), &refusal, "things/1").await.unwrap();
    }
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM refusals").await, 0);
}
