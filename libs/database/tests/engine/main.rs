//! The seam itself, on either engine: idempotency, permits, the change log and its seals, holds, refusals.

mod change_log;
mod holds;
mod idempotency;
mod permits;

use access::permission::BeActive;
use access::{Call, Caller, Permit, SignedIn};
use database::{Db, Migrations, on};
use kernel::{DirectoryId, Principal, RequestId, SessionId, UserId, new_ids};
use sqlx::migrate::Migrator;
use test_support::clock::START;
use test_support::database::{TestDatabase, fresh};

const NOTHING: Migrations = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };

/// A database with the foundation and one table of the tests' own.
pub async fn store() -> TestDatabase {
    let store = fresh("foundation", &NOTHING).await;
    execute(&store.db, "CREATE TABLE things (thing TEXT PRIMARY KEY NOT NULL)").await;
    store
}

pub async fn execute(db: &Db, statement: &'static str) {
    let mut tx = db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}

pub async fn number(db: &Db, select: &'static str) -> i64 {
    let mut tx = db.read().await.unwrap();
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).unwrap()
}

pub fn directory() -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&["a directory"]))
}

pub fn ada() -> Caller {
    Caller::Principal(SignedIn {
        principal: Principal::User(directory(), UserId::from_uuid(new_ids::derive(&["ada"]))),
        session: SessionId::from_uuid(new_ids::derive(&["a session"])),
    })
}

/// Ada's call with the `number`th request id; its content is `content`.
pub fn call(number: u32, content: u8) -> Call {
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

pub fn permit() -> Permit<BeActive> {
    Permit::for_worker(directory(), "test", START)
}
