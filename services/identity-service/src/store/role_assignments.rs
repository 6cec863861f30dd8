//! Who holds which directory role: rows of `role_assignments`.

use access::Permit;
use access::permission::WriteRoleAssignments;
use database::{StoreError, Tx, on};
use kernel::{DirectoryId, RoleAssignmentId, Timestamp, UserId};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::After;
use super::directories::AdminsLocked;
use crate::domain::role_assignment::RoleAssignment;

const COLUMNS: &str = "id, principal, role, create_principal, create_time, expire_time, revision";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    principal: Uuid,
    role: String,
    create_principal: String,
    create_time: i64,
    expire_time: Option<i64>,
    revision: i64,
}

impl From<Row> for RoleAssignment {
    fn from(row: Row) -> Self {
        Self {
            id: RoleAssignmentId::from_uuid(row.id),
            principal: UserId::from_uuid(row.principal),
            role: row.role,
            create_principal: row.create_principal,
            create_time: Timestamp::from_micros(row.create_time),
            expire_time: row.expire_time.map(Timestamp::from_micros),
            revision: row.revision,
        }
    }
}

/// Gives a role; says whether the principal did not hold it, which the database decides.
///
/// An id that is taken without a record of its request is a request id used again (K39).
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    assignment: &RoleAssignment,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO role_assignments
            (directory, id, principal, role, create_principal, create_time, expire_time, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (directory, principal, role) DO NOTHING";
    let inserted = on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(assignment.id.uuid())
        .bind(assignment.principal.uuid())
        .bind(&assignment.role)
        .bind(&assignment.create_principal)
        .bind(assignment.create_time.micros())
        .bind(assignment.expire_time.map(Timestamp::micros))
        .bind(assignment.revision)
        .execute(c)
        .await
        .map(|done| done.rows_affected()));
    match inserted.map_err(StoreError::from) {
        Ok(inserted) => Ok(inserted == 1),
        Err(StoreError::UniqueViolation) => Err(StoreError::RequestIdReused),
        Err(other) => Err(other),
    }
}

/// Makes room where the role was held until its time was over: it gives no right any more, so no lock is needed.
pub(crate) async fn remove_expired(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    principal: UserId,
    role: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM role_assignments
        WHERE directory = $1 AND principal = $2 AND role = $3 AND expire_time <= $4";
    on!(tx, |c| sqlx::query(delete)
        .bind(permit.directory().uuid())
        .bind(principal.uuid())
        .bind(role)
        .bind(now.micros())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Takes a role away; only under the lock, because this can break P-4 (K8).
pub(crate) async fn delete(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    _locked: &AdminsLocked,
    id: RoleAssignmentId,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM role_assignments WHERE directory = $1 AND id = $2";
    on!(tx, |c| sqlx::query(delete)
        .bind(permit.directory().uuid())
        .bind(id.uuid())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// One assignment, whether or not it has expired.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    id: RoleAssignmentId,
) -> Result<Option<RoleAssignment>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM role_assignments WHERE directory = $1 AND id = $2");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(directory.uuid())
        .bind(id.uuid())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(RoleAssignment::from))
}

/// The assignment by which a principal holds a role.
pub(crate) async fn find_held(
    tx: &mut Tx,
    directory: DirectoryId,
    principal: UserId,
    role: &str,
) -> Result<Option<RoleAssignment>, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM role_assignments WHERE directory = $1 AND principal = $2 AND role = $3"
    );
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(directory.uuid())
        .bind(principal.uuid())
        .bind(role)
        .fetch_optional(c)
        .await)?;
    Ok(row.map(RoleAssignment::from))
}

/// Which assignments a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) principal: Option<UserId>,
    pub(crate) role: Option<String>,
}

/// A page of a directory's assignments that have not expired, oldest first.
pub(crate) async fn list(
    tx: &mut Tx,
    directory: DirectoryId,
    filter: &Filter,
    now: Timestamp,
    (after, limit): (After, i64),
) -> Result<Vec<RoleAssignment>, StoreError> {
    let mut select = format!(
        "SELECT {COLUMNS} FROM role_assignments WHERE directory = $1
            AND (create_time > $2 OR (create_time = $2 AND id > $3))
            AND (expire_time IS NULL OR expire_time > $5)"
    );
    if filter.principal.is_some() {
        select.push_str(" AND principal = $6");
    }
    if filter.role.is_some() {
        select.push_str(if filter.principal.is_some() { " AND role = $7" } else { " AND role = $6" });
    }
    select.push_str(" ORDER BY create_time, id LIMIT $4");
    let rows: Vec<Row> = on!(tx, |c| {
        let mut query = sqlx::query_as(AssertSqlSafe(select.as_str()))
            .bind(directory.uuid())
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .bind(now.micros());
        if let Some(principal) = filter.principal {
            query = query.bind(principal.uuid());
        }
        if let Some(role) = &filter.role {
            query = query.bind(role);
        }
        query.fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(RoleAssignment::from).collect())
}

/// The roles that each of these people holds now, by slug, in order.
pub(crate) async fn roles_of(
    tx: &mut Tx,
    directory: DirectoryId,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let select = "SELECT role FROM role_assignments
        WHERE directory = $1 AND principal = $2 AND (expire_time IS NULL OR expire_time > $3) ORDER BY role";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(directory.uuid())
        .bind(user.uuid())
        .bind(now.micros())
        .fetch_all(c)
        .await)?)
}

/// The roles that a page of people hold now: one statement for the page, from the first of them to the last.
pub(crate) async fn roles_on_page(
    tx: &mut Tx,
    directory: DirectoryId,
    first: After,
    last: After,
    now: Timestamp,
) -> Result<Vec<(UserId, String)>, StoreError> {
    let select = "SELECT users.id, role_assignments.role FROM users
        JOIN role_assignments ON role_assignments.directory = users.directory
            AND role_assignments.principal = users.id
        WHERE users.directory = $1 AND (users.create_time > $2 OR (users.create_time = $2 AND users.id >= $3))
            AND (users.create_time < $4 OR (users.create_time = $4 AND users.id <= $5))
            AND (role_assignments.expire_time IS NULL OR role_assignments.expire_time > $6)
        ORDER BY role_assignments.role";
    let rows: Vec<(Uuid, String)> = on!(tx, |c| sqlx::query_as(select)
        .bind(directory.uuid())
        .bind(first.0)
        .bind(first.1)
        .bind(last.0)
        .bind(last.1)
        .bind(now.micros())
        .fetch_all(c)
        .await)?;
    Ok(rows.into_iter().map(|(user, role)| (UserId::from_uuid(user), role)).collect())
}
