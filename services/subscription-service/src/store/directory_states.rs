//! What was last heard of each directory, be it told by the feed or by an answer: the higher revision wins (K12).
//!
//! What a directory is, is asked of its own context at each decision.

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use uuid::Uuid;

use crate::domain::directory::DirectoryFacts;

/// Locks what is known of the permit's directory until the transaction ends, and takes an answer in; refuses one that is
/// older than what is known, so that the decision starts over with another (K12).
pub(crate) async fn lock<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    answer: &DirectoryFacts,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO directory_states (directory, state, revision, locks) VALUES ($1, $2, $3, 1)
        ON CONFLICT (directory) DO UPDATE SET locks = directory_states.locks + 1,
            state = CASE WHEN excluded.revision > directory_states.revision
                THEN excluded.state ELSE directory_states.state END,
            revision = CASE WHEN excluded.revision > directory_states.revision
                THEN excluded.revision ELSE directory_states.revision END
        RETURNING revision";
    let known: i64 = on!(tx, |c| sqlx::query_scalar(upsert)
        .bind(permit.directory().uuid())
        .bind(&answer.state)
        .bind(answer.revision)
        .fetch_one(c)
        .await)?;
    if known > answer.revision { Err(StoreError::AnswerOvertaken) } else { Ok(()) }
}

/// Takes in what the feed tells of a directory.
pub(crate) async fn apply<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    state: &str,
    revision: i64,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO directory_states (directory, state, revision, locks) VALUES ($1, $2, $3, 0)
        ON CONFLICT (directory) DO UPDATE SET state = excluded.state, revision = excluded.revision
        WHERE directory_states.revision < excluded.revision";
    defer!(tx, upsert, permit.directory().uuid(), state, revision)?;
    Ok(())
}

/// As [`apply`], whatever is known: the directory context was restored to an earlier state (K14).
pub(crate) async fn overrule<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    state: &str,
    revision: i64,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO directory_states (directory, state, revision, locks) VALUES ($1, $2, $3, 0)
        ON CONFLICT (directory) DO UPDATE SET state = excluded.state, revision = excluded.revision";
    defer!(tx, upsert, permit.directory().uuid(), state, revision)?;
    Ok(())
}

/// Forgets a directory that its context does not have.
pub(crate) async fn remove<P: Permission>(tx: &mut Tx, permit: &Permit<P>) -> Result<(), StoreError> {
    defer!(tx, "DELETE FROM directory_states WHERE directory = $1", permit.directory().uuid())?;
    Ok(())
}

/// Directories that are known, in the order of their ids.
pub(crate) async fn known(
    tx: &mut Tx,
    after: Option<Uuid>,
    through: Option<Uuid>,
    most: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let select = "SELECT directory FROM directory_states WHERE directory > $1 AND directory <= $2
        ORDER BY directory LIMIT $3";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(through.unwrap_or(Uuid::max()))
        .bind(most)
        .fetch_all(c)
        .await)?)
}
