//! K14: one replica follows a feed at a time, and what an earlier claim began does not commit.

use std::time::Duration;

use database::follower::{LEASE, Progress, advance, claim};
use kernel::new_ids;
use test_support::clock::START;
use uuid::Uuid;

use crate::store;

fn replica(name: &str) -> Uuid {
    new_ids::derive(&["replica", name])
}

fn behind(token: &str) -> Progress {
    Progress { resume_token: token.to_owned(), in_snapshot: false, overrules: false, snapshot_after: None }
}

#[tokio::test]
async fn a_feed_is_one_replicas_until_its_lease_is_over() {
    let store = store().await;
    let db = &store.db;
    let (first, progress) = claim(db, "things", replica("a"), START).await.unwrap().unwrap();
    assert_eq!(progress, Progress::snapshot(false), "it begins with a snapshot");
    assert_eq!(claim(db, "things", replica("b"), START.plus(LEASE)).await.unwrap(), None);
    assert!(claim(db, "other things", replica("b"), START).await.unwrap().is_some());
    let mut tx = db.write().await.unwrap();
    assert!(advance(&mut tx, &first, &behind("one"), START).await.unwrap());
    tx.commit_bookkeeping().await.unwrap();
    let late = START.plus(LEASE + Duration::from_secs(1));
    let (_, progress) = claim(db, "things", replica("b"), late).await.unwrap().unwrap();
    assert_eq!(progress, behind("one"));
    let mut tx = db.write().await.unwrap();
    assert!(!advance(&mut tx, &first, &behind("two"), late).await.unwrap(), "the fence is higher");
}

#[tokio::test]
async fn a_process_claims_again_what_it_held() {
    let store = store().await;
    let db = &store.db;
    let (first, _) = claim(db, "things", replica("a"), START).await.unwrap().unwrap();
    let (second, _) = claim(db, "things", replica("a"), START).await.unwrap().unwrap();
    let mut tx = db.write().await.unwrap();
    assert!(!advance(&mut tx, &first, &behind("one"), START).await.unwrap());
    assert!(advance(&mut tx, &second, &behind("one"), START).await.unwrap());
}
