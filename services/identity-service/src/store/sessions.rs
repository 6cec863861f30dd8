//! Sessions: rows of `sessions`; no token and no secret stands in them (K22).

use access::Permit;
use access::permission::{BeActive, Permission};
use database::{Db, StoreError, Sweep, Tx, defer, on};
use kernel::{DirectoryId, SessionId, Timestamp, UserId};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::domain::session::Session;

const COLUMNS: &str =
    "id, user_id, counter, client_description, create_time, last_refresh_time, expire_time, revoke_time";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    counter: i64,
    client_description: String,
    create_time: i64,
    last_refresh_time: Option<i64>,
    expire_time: i64,
    revoke_time: Option<i64>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: SessionId::from_uuid(row.id),
            user: UserId::from_uuid(row.user_id),
            counter: row.counter,
            client_description: row.client_description,
            create_time: Timestamp::from_micros(row.create_time),
            last_refresh_time: row.last_refresh_time.map(Timestamp::from_micros),
            expire_time: Timestamp::from_micros(row.expire_time),
            revoke_time: row.revoke_time.map(Timestamp::from_micros),
        }
    }
}

/// Opens a session.
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<BeActive>,
    session: &Session,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO sessions (directory, id, user_id, counter, client_description, create_time,
            last_refresh_time, expire_time, revoke_time)
        VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, NULL)";
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        session.id.uuid(),
        session.user.uuid(),
        session.counter,
        &session.client_description,
        session.create_time.micros(),
        session.expire_time.micros()
    )?;
    Ok(())
}

/// One session.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    id: SessionId,
) -> Result<Option<Session>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM sessions WHERE directory = $1 AND id = $2");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(directory.uuid())
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(Session::from))
}

/// One session, its row locked until the transaction ends: whoever refreshes or revokes it comes one at a time.
pub(crate) async fn lock(
    tx: &mut Tx,
    directory: DirectoryId,
    id: SessionId,
) -> Result<Option<Session>, StoreError> {
    let update =
        format!("UPDATE sessions SET counter = counter WHERE directory = $1 AND id = $2 RETURNING {COLUMNS}");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(update.as_str()))
        .bind(directory.uuid())
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(Session::from))
}

/// Notes that the newest refresh token was exchanged; the row is locked.
pub(crate) async fn advance(
    tx: &mut Tx,
    permit: &Permit<BeActive>,
    session: &Session,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let update = "UPDATE sessions SET counter = $3, last_refresh_time = $4, expire_time = $5
        WHERE directory = $1 AND id = $2";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        session.id.uuid(),
        session.counter,
        session.last_refresh_time.map(Timestamp::micros),
        session.expire_time.micros()
    )?;
    Ok(())
}

/// Ends a session.
pub(crate) async fn revoke<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    id: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let update =
        "UPDATE sessions SET revoke_time = $3 WHERE directory = $1 AND id = $2 AND revoke_time IS NULL";
    defer!(tx, update, permit.directory().uuid(), id.uuid(), now.micros())?;
    Ok(())
}

/// Removes sessions that ended before; gives how many. A session that is not there is refused like a revoked one.
pub(crate) async fn sweep(db: &Db, ended_before: Timestamp) -> Result<u64, StoreError> {
    let over = "expire_time < $1 OR revoke_time < $1";
    Sweep { table: "sessions", key: "directory, id", over }.run(db, ended_before).await
}
