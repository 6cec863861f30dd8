//! Who observes commits is told before the committing caller is, and of commits whose caller is gone.

use std::sync::{Arc, Mutex};

use database::StoreError;
use database::change_log::{Change, ChangeKind, append};
use database::{Db, on};
use kernel::DirectoryId;
use test_support::clock::ManualClock;

use crate::batches::polled_once;
use crate::change_log::change;
use crate::{call, directory, execute, permit, store};

type Told = Arc<Mutex<Vec<Vec<DirectoryId>>>>;

fn observed(db: &Db) -> Told {
    let told = Told::default();
    let tell = Arc::clone(&told);
    db.on_commit(Arc::new(move |directories| tell.lock().unwrap().push(directories.to_vec())));
    told
}

#[tokio::test]
async fn an_observer_is_told_the_directories_of_a_commit_before_its_caller_is_answered() {
    let store = store().await;
    let told = observed(&store.db);
    change(&store.db, &call(1, 1), 2).await;
    assert_eq!(*told.lock().unwrap(), [[directory()]]);
    execute(&store.db, "DELETE FROM things").await;
    assert_eq!(*told.lock().unwrap(), [vec![directory()], vec![]], "no change, no directory");
}

#[tokio::test]
async fn an_observer_is_not_told_of_what_was_rolled_back() {
    let store = store().await;
    let told = observed(&store.db);
    let mut tx = store.db.write().await.unwrap();
    append_one(&mut tx).await;
    drop(tx);
    execute(&store.db, "DELETE FROM things").await;
    assert_eq!(*told.lock().unwrap(), [vec![]], "of the second alone");
}

#[tokio::test]
async fn an_observer_is_told_of_a_commit_that_failed() {
    let store = store().await;
    let told = observed(&store.db);
    let mut tx = store.db.write().await.unwrap();
    append_one(&mut tx).await;
    // As of a full disk, or of a connection whose other end has moved on.
    on!(&mut tx, |c| sqlx::query("ROLLBACK").execute(c).await.map(|_| ())).unwrap();
    let _: Result<(), StoreError> = tx.commit(&permit(), &ManualClock::default().clock()).await;
    assert_eq!(*told.lock().unwrap(), [[directory()]]);
}

#[tokio::test]
async fn an_observer_is_told_of_a_commit_whose_caller_is_gone() {
    let store = store().await;
    let told = observed(&store.db);
    let mut tx = store.db.write().await.unwrap();
    append_one(&mut tx).await;
    let clock = ManualClock::default().clock();
    let permit = permit();
    let mut commit = Box::pin(tx.commit(&permit, &clock));
    // Once: the commit is on its way, and nobody waits for its answer any more.
    assert!(polled_once(&mut commit).await.is_pending());
    drop(commit);
    store.db.close().await;
    assert_eq!(*told.lock().unwrap(), [[directory()]]);
}

async fn append_one(tx: &mut database::Tx) {
    let after = serde_json::json!({});
    let change = Change {
        resource: "things/1".to_owned(),
        kind: ChangeKind::Created,
        after: &after,
        changed_fields: &[],
    };
    append(tx, &permit(), &call(1, 1), &change).await.unwrap();
    tx.note(directory());
}
