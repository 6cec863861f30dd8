//! What identity knows of directories, and the guard row of P-4.
//!
//! Directories themselves are the directory context's.

use access::permission::{Permission, ProvisionDirectory};
use access::{Permit, roles};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::directory::{DirectoryState, KnownDirectory};

/// The guard row of a directory's Global Administrators is locked until the transaction ends (K8).
///
/// Whatever can break P-4 takes this value in its signature.
#[derive(Debug)]
pub(crate) struct AdminsLocked {
    directory: DirectoryId,
}

/// Locks the guard row; `None` when the directory is not known.
pub(crate) async fn lock_admins<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
) -> Result<Option<AdminsLocked>, StoreError> {
    let update = "UPDATE directory_states SET admin_guard = admin_guard + 1 WHERE directory = $1";
    let locked = on!(tx, |c| sqlx::query(update)
        .bind(permit.directory().uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok((locked == 1).then(|| AdminsLocked { directory: permit.directory() }))
}

/// How many enabled, non-guest persons other than this one hold Global Administrator for good (P-4, K17).
pub(crate) async fn other_admins(
    tx: &mut Tx,
    locked: &AdminsLocked,
    holder: UserId,
) -> Result<i64, StoreError> {
    let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments
        JOIN users ON users.directory = role_assignments.directory AND users.id = role_assignments.principal
        WHERE role_assignments.directory = $1 AND role_assignments.role = $2
            AND role_assignments.expire_time IS NULL AND role_assignments.principal <> $3
            AND users.state = 'ACTIVE' AND users.user_type = 'MEMBER'";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(locked.directory.uuid())
        .bind(roles::GLOBAL_ADMINISTRATOR)
        .bind(holder.uuid())
        .fetch_one(c)
        .await)?)
}

/// What is known of a directory.
pub(crate) async fn find(tx: &mut Tx, directory: DirectoryId) -> Result<Option<KnownDirectory>, StoreError> {
    let select = "SELECT state, revision, initial_domain FROM directory_states WHERE directory = $1";
    let row: Option<(String, i64, String)> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).fetch_optional(c).await)?;
    row.map(|(state, revision, initial_domain)| {
        Ok(KnownDirectory { state: read(&state)?, revision, initial_domain })
    })
    .transpose()
}

/// Notes a directory that is being made.
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<ProvisionDirectory>,
    directory: &KnownDirectory,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let insert = "INSERT INTO directory_states
            (directory, state, revision, admin_guard, initial_domain, create_time)
        VALUES ($1, $2, $3, 0, $4, $5)";
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        directory.state.as_str(),
        directory.revision,
        &directory.initial_domain,
        now.micros()
    )?;
    Ok(())
}

/// Notes that a directory that was being made is active; a newer state of it stays (K2).
pub(crate) async fn activate(
    tx: &mut Tx,
    permit: &Permit<ProvisionDirectory>,
    revision: i64,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let update = "UPDATE directory_states SET state = $2, revision = $3 WHERE directory = $1 AND state = $4";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        DirectoryState::Active.as_str(),
        revision,
        DirectoryState::Provisioning.as_str()
    )?;
    Ok(())
}

/// Takes in the state that a directory has in a revision; what is known of a higher one stays (K2).
///
/// A directory that is not known stays unknown: it has nobody here, and a sign-up notes its own.
pub(crate) async fn apply_state<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    state: DirectoryState,
    revision: i64,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let update =
        "UPDATE directory_states SET state = $2, revision = $3 WHERE directory = $1 AND revision < $3";
    defer!(tx, update, permit.directory().uuid(), state.as_str(), revision)?;
    Ok(())
}

/// As [`apply_state`], whatever is known: the directory context was restored to an earlier state (K14).
pub(crate) async fn overrule_state<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    state: DirectoryState,
    revision: i64,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let update = "UPDATE directory_states SET state = $2, revision = $3 WHERE directory = $1";
    defer!(tx, update, permit.directory().uuid(), state.as_str(), revision)?;
    Ok(())
}

/// Directories that are known and not being made, in the order of their ids; those belong to their sign-ups (K18).
pub(crate) async fn known(
    tx: &mut Tx,
    after: Option<Uuid>,
    through: Option<Uuid>,
    most: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let select = "SELECT directory FROM directory_states
        WHERE directory > $1 AND directory <= $2 AND state <> $3 ORDER BY directory LIMIT $4";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(after.unwrap_or(Uuid::nil()))
        .bind(through.unwrap_or(Uuid::max()))
        .bind(DirectoryState::Provisioning.as_str())
        .bind(most)
        .fetch_all(c)
        .await)?)
}

fn read(state: &str) -> Result<DirectoryState, StoreError> {
    DirectoryState::stored(state).ok_or(StoreError::Corrupt("directory state"))
}
