//! K11: who relies on a hold needs it HELD; the releaser and the user of a hold cannot both win.

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

#[tokio::test]
async fn a_hold_is_taken_locked_released_and_gone() {
    let store = store().await;
    let db = &store.db;
    assert!(matches!(lock(db).await, Err(StoreError::HoldLost)));
    hold::held(db, directory(), REASON, lien(1), 1, START).await.unwrap();
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
async fn the_higher_revision_wins_and_releasing_is_not_taken_back() {
    let store = store().await;
    let db = &store.db;
    hold::held(db, directory(), REASON, lien(2), 2, START).await.unwrap();
    hold::held(db, directory(), REASON, lien(1), 1, START).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Held(lien(2)));
    let mut tx = db.write().await.unwrap();
    let locked = hold::lock(&mut tx, directory(), REASON).await.unwrap();
    hold::release(&mut tx, directory(), REASON, &locked).await.unwrap();
    tx.commit_bookkeeping().await.unwrap();
    hold::held(db, directory(), REASON, lien(3), 3, START).await.unwrap();
    assert_eq!(hold::find(db, directory(), REASON).await.unwrap(), Hold::Releasing(lien(2)));
}
