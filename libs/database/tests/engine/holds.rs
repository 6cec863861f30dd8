//! K11: who relies on a hold needs it HELD; the releaser and the user of a hold cannot both win.

use std::time::Duration;

use database::hold::{self, Hold};
use database::{Db, StoreError};
use kernel::{LienId, new_ids};
use test_support::clock::START;

use crate::{directory, store};

const REASON: &str = "subscriptions";

fn lien(number: u32) -> LienId {
    LienId::from_uuid(new_ids::derive(&["lien", &number.to_string()]))
}

async fn lock(db: &Db) -> Result<(), StoreError> {
    let mut tx = db.write().await?;
    hold::lock(&mut tx, directory(), REASON).await?;
    tx.commit_bookkeeping().await
}

async fn take(db: &Db, lien: LienId) {
    hold::begin(db, directory(), REASON, START).await.unwrap();
    hold::held(db, directory(), REASON, lien, START.micros(), START).await.unwrap();
}

#[tokio::test]
async fn a_hold_is_taken_locked_released_and_gone() {
    let store = store().await;
    let db = &store.db;
    assert!(matches!(lock(db).await, Err(StoreError::HoldLost)));
    take(db, lien(1)).await;
    lock(db).await.unwrap();
    let mut tx = db.write().await.unwrap();
    let locked = hold::lock(&mut tx, directory(), REASON).await.unwrap();
    hold::release(&mut tx, directory(), REASON, &locked).await.unwrap();
    tx.commit_bookkeeping().await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Releasing(lien(1)));
    assert!(matches!(lock(db).await, Err(StoreError::HoldLost)), "nobody relies on what is let go");
    // A late removal for another lien removes nothing.
    hold::released(db, directory(), REASON, lien(2)).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Releasing(lien(1)));
    hold::released(db, directory(), REASON, lien(1)).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Absent);
}

#[tokio::test]
async fn who_relies_on_one_lien_is_not_content_with_another() {
    let store = store().await;
    let db = &store.db;
    take(db, lien(1)).await;
    let lock = async |lien| {
        let mut tx = db.write().await?;
        hold::lock_lien(&mut tx, directory(), REASON, lien).await?;
        tx.commit_bookkeeping().await
    };
    lock(lien(1)).await.unwrap();
    assert!(matches!(lock(lien(2)).await, Err(StoreError::HoldLost)));
}

#[tokio::test]
async fn what_is_being_taken_is_noted_first_and_the_same_for_all_who_come() {
    let store = store().await;
    let db = &store.db;
    let later = START.plus(Duration::from_secs(1));
    let noted = hold::begin(db, directory(), REASON, START).await.unwrap();
    assert_eq!(noted, Hold::Taking(START.micros()));
    assert_eq!(hold::begin(db, directory(), REASON, later).await.unwrap(), noted);
    assert!(matches!(lock(db).await, Err(StoreError::HoldLost)), "nobody relies on what is not taken yet");
    // An answer to another revision says nothing of this one.
    hold::held(db, directory(), REASON, lien(1), later.micros(), later).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), noted);
    hold::held(db, directory(), REASON, lien(2), START.micros(), later).await.unwrap();
    hold::held(db, directory(), REASON, lien(3), START.micros(), later).await.unwrap();
    assert_eq!(hold::begin(db, directory(), REASON, later).await.unwrap(), Hold::Held(lien(2)));
}

#[tokio::test]
async fn above_a_removed_revision_the_next_is_taken() {
    let store = store().await;
    let db = &store.db;
    hold::begin(db, directory(), REASON, START).await.unwrap();
    hold::outdated(db, directory(), REASON, START.micros() - 1, i64::MAX).await.unwrap();
    hold::outdated(db, directory(), REASON, START.micros(), START.micros() + 4).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Taking(START.micros() + 5));
}

#[tokio::test]
async fn releasing_is_not_taken_back() {
    let store = store().await;
    let db = &store.db;
    take(db, lien(2)).await;
    let mut tx = db.write().await.unwrap();
    let locked = hold::lock(&mut tx, directory(), REASON).await.unwrap();
    hold::release(&mut tx, directory(), REASON, &locked).await.unwrap();
    tx.commit_bookkeeping().await.unwrap();
    take(db, lien(3)).await;
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Releasing(lien(2)));
}
