//! Rows of directories that are between two states: what each is to become, and by whose call (K38). They are written
//! under the lock of their directory's row.

use std::time::Duration;

use access::{Call, Caller, Permission, Permit, SignedIn};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, RequestId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::life_cycle::Goal;
use crate::store::directories::Locked;

/// How long whoever began a move, or took it up, is left to it before it is taken up by a worker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The methods that begin moves.
const METHODS: [&str; 4] = [
    "/tenure.directory.v1.DirectoryService/DeleteDirectory",
    "/tenure.directory.v1.DirectoryService/ResumeDirectory",
    "/tenure.directory.v1.DirectoryService/SuspendDirectory",
    "/tenure.directory.v1.DirectoryService/UndeleteDirectory",
];

/// A directory on its way.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    /// The directory.
    pub directory: DirectoryId,
    /// Of which revision identity is told.
    pub revision: i64,
    /// What it is to become.
    pub goal: Goal,
    /// The call that began it, in whose name it is finished.
    pub call: Call,
}

impl Move {
    /// Whether this call began it: it may go on, also where nobody would be allowed to begin anew.
    pub(crate) fn is_of(&self, call: &Call) -> bool {
        self.call.request_id.is_some()
            && self.call.request_id == call.request_id
            && self.call.method == call.method
            && self.call.actor() == call.actor()
            && self.call.fingerprint == call.fingerprint
    }
}

#[derive(FromRow)]
struct Row {
    directory: Uuid,
    revision: i64,
    goal: String,
    call: String,
}

/// A call as stored.
#[derive(Serialize, Deserialize)]
struct StoredCall {
    actor: String,
    session: Option<Uuid>,
    method: String,
    request_id: Option<Uuid>,
    fingerprint: [u8; 32],
    now: Timestamp,
    trace_id: Option<String>,
    new_id: Uuid,
}

/// The move of a locked directory, if it is on its way.
pub(crate) async fn find(tx: &mut Tx, directory: DirectoryId) -> Result<Option<Move>, StoreError> {
    let select = "SELECT directory, revision, goal, call FROM directory_moves WHERE directory = $1";
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).fetch_optional(c).await)?;
    row.map(Row::read).transpose()
}

/// Notes a move of the locked directory, in the place of the one that it had.
pub(crate) async fn put<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    begun: &Move,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO directory_moves (directory, revision, goal, call, attempt_time)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (directory) DO UPDATE SET revision = excluded.revision, goal = excluded.goal,
            call = excluded.call, attempt_time = excluded.attempt_time";
    let call =
        serde_json::to_string(&StoredCall::of(&begun.call)).map_err(|_| StoreError::Corrupt("call"))?;
    let attempt_time = begun.call.now.plus(PATIENCE).micros();
    let goal = begun.goal.state().as_str();
    defer!(tx, upsert, permit.directory().uuid(), begun.revision, goal, &call, attempt_time)?;
    Ok(())
}

/// Notes that the locked directory has arrived.
pub(crate) async fn delete<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
) -> Result<(), StoreError> {
    defer!(tx, "DELETE FROM directory_moves WHERE directory = $1", permit.directory().uuid())?;
    Ok(())
}

const TAKE_UP: &str = "UPDATE directory_moves SET attempt_time = $2
    WHERE directory = (SELECT directory FROM directory_moves WHERE attempt_time <= $1 ORDER BY attempt_time LIMIT 1)
    RETURNING directory, revision, goal, call";
const TAKE_UP_LOCKED: &str = "UPDATE directory_moves SET attempt_time = $2
    WHERE directory = (SELECT directory FROM directory_moves WHERE attempt_time <= $1 ORDER BY attempt_time LIMIT 1
        FOR UPDATE SKIP LOCKED)
    RETURNING directory, revision, goal, call";

/// Takes up the move that was left alone longest, if there is one: replicas that ask at once are given different ones,
/// and nobody else is given this one for a while.
pub(crate) async fn take_up(tx: &mut Tx, now: Timestamp) -> Result<Option<Move>, StoreError> {
    let update = if tx.is_postgres() { TAKE_UP_LOCKED } else { TAKE_UP };
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(update)
        .bind(now.micros())
        .bind(now.plus(PATIENCE).micros())
        .fetch_optional(c)
        .await)?;
    row.map(Row::read).transpose()
}

impl Row {
    fn read(self) -> Result<Move, StoreError> {
        let goal = Goal::ALL.into_iter().find(|goal| goal.state().as_str() == self.goal);
        let stored: StoredCall = serde_json::from_str(&self.call).map_err(|_| StoreError::Corrupt("call"))?;
        Ok(Move {
            directory: DirectoryId::from_uuid(self.directory),
            revision: self.revision,
            goal: goal.ok_or(StoreError::Corrupt("goal"))?,
            call: stored.read().ok_or(StoreError::Corrupt("call"))?,
        })
    }
}

impl StoredCall {
    fn of(call: &Call) -> Self {
        let session = call.caller.as_ref().and_then(Caller::signed_in).map(|own| own.session.uuid());
        Self {
            actor: call.actor(),
            session,
            method: call.method.to_owned(),
            request_id: call.request_id.map(RequestId::uuid),
            fingerprint: call.fingerprint,
            now: call.now,
            trace_id: call.trace_id.clone(),
            new_id: call.new_id,
        }
    }

    fn read(self) -> Option<Call> {
        let caller = match self.actor.strip_prefix("operators/") {
            Some(name) => Caller::Operator(name.to_owned()),
            None => Caller::Principal(SignedIn {
                principal: self.actor.parse().ok()?,
                session: SessionId::from_uuid(self.session?),
            }),
        };
        Some(Call {
            caller: Some(caller),
            method: METHODS.into_iter().find(|method| *method == self.method)?,
            request_id: self.request_id.map(RequestId::derived),
            fingerprint: self.fingerprint,
            now: self.now,
            trace_id: self.trace_id,
            new_id: self.new_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Principal, UserId, new_ids};

    use super::*;

    #[test]
    fn a_call_is_read_back_as_it_was_whoever_made_it() {
        let directory = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        let principal = Principal::User(directory, UserId::from_uuid(new_ids::derive(&["ada"])));
        let session = SessionId::from_uuid(new_ids::derive(&["session"]));
        let callers =
            [Caller::Operator("one".to_owned()), Caller::Principal(SignedIn { principal, session })];
        for (caller, method) in
            callers.into_iter().flat_map(|caller| METHODS.map(|method| (caller.clone(), method)))
        {
            let call = Call {
                caller: Some(caller),
                method,
                request_id: Some(RequestId::derived(new_ids::derive(&["request"]))),
                fingerprint: [7; 32],
                now: Timestamp::from_seconds(1),
                trace_id: Some("trace".to_owned()),
                new_id: new_ids::derive(&["new"]),
            };
            let stored = serde_json::to_string(&StoredCall::of(&call)).unwrap();
            let read = serde_json::from_str::<StoredCall>(&stored).unwrap().read().unwrap();
            assert_eq!(format!("{read:?}"), format!("{call:?}"));
            let begun = Move { directory, revision: 1, goal: Goal::Deleted, call: read };
            assert!(begun.is_of(&call));
            let others = [
                Call { fingerprint: [8; 32], ..call.clone() },
                Call { request_id: None, ..call.clone() },
                Call { caller: Some(Caller::Operator("two".to_owned())), ..call },
            ];
            assert!(others.iter().all(|other| !begun.is_of(other)));
        }
    }
}
