//! The seam itself, on either engine: idempotency, permits, the change log and its seals, holds, refusals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batches;
mod bookkeeping;
mod change_log;
mod feed;
mod following;
mod healing;
mod holds;
mod idempotency;
mod observing;
mod permits;
mod reconnecting;
mod sequencing;
mod tls;

use access::permission::BeActive;
use access::{Call, Caller, Permit, SignedIn};
use database::{Db, on};
use kernel::{DirectoryId, Principal, RequestId, SessionId, UserId, new_ids};
use test_support::clock::START;
use test_support::database::{TestDatabase, foundation};

/// A database with the foundation and one table of the tests' own.
pub(crate) async fn store() -> TestDatabase {
    let store = foundation().await;
    execute(&store.db, "CREATE TABLE things (thing TEXT PRIMARY KEY NOT NULL)").await;
    store
}

pub(crate) async fn execute(db: &Db, statement: &'static str) {
    let mut tx = db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}

pub(crate) fn directory() -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&["a directory"]))
}

pub(crate) fn ada() -> Caller {
    Caller::Principal(SignedIn {
        principal: Principal::User(directory(), UserId::from_uuid(new_ids::derive(&["ada"]))),
        session: SessionId::from_uuid(new_ids::derive(&["a session"])),
    })
}

/// Ada's call with the `number`th request id; its content is `content`.
pub(crate) fn call(number: u32, content: u8) -> Call {
    let request_id = Some(RequestId::derived(new_ids::derive(&["request", &number.to_string()])));
    Call {
        caller: Some(ada()),
        method: "/tenure.test.v1.Things/CreateThing",
        request_id,
        fingerprint: [content; 32],
        now: START,
        trace_id: None,
        new_id: new_ids::derive(&["thing", &number.to_string()]),
    }
}

pub(crate) fn permit() -> Permit<BeActive> {
    Permit::for_worker(directory(), "test", START)
}
