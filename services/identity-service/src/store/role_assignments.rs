//! Who holds which directory role: rows of `role_assignments`.

use access::Permit;
use access::permission::WriteRoleAssignments;
use database::{StoreError, Tx, defer, on};
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
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    assignment: &RoleAssignment,
) -> Result<bool, StoreError> {
    tx.note(permit.directory());
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
        .map(|done| done.rows_affected()))?;
    Ok(inserted == 1)
}

/// Makes room where the role was held until its time was over: it gives no right any more, so no lock is needed.
pub(crate) async fn remove_expired(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    principal: UserId,
    role: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let delete = "DELETE FROM role_assignments
        WHERE directory = $1 AND principal = $2 AND role = $3 AND expire_time <= $4";
    defer!(tx, delete, permit.directory().uuid(), principal.uuid(), role, now.micros())?;
    Ok(())
}

/// Takes a role away; only under the lock, because this can break P-4 (K8).
pub(crate) async fn delete(
    tx: &mut Tx,
    permit: &Permit<WriteRoleAssignments>,
    _locked: &AdminsLocked,
    id: RoleAssignmentId,
) -> Result<(), StoreError> {
    tx.note(permit.directory());
    let delete = "DELETE FROM role_assignments WHERE directory = $1 AND id = $2";
    defer!(tx, delete, permit.directory().uuid(), id.uuid())?;
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

/// The assignment by which a principal holds a role, after it was in the way of a new one.
///
/// Where somebody has taken it away meanwhile, the two collided, and the transaction is repeated.
pub(crate) async fn find_held(
    tx: &mut Tx,
    directory: DirectoryId,
    principal: UserId,
    role: &str,
) -> Result<RoleAssignment, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM role_assignments WHERE directory = $1 AND principal = $2 AND role = $3"
    );
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(directory.uuid())
        .bind(principal.uuid())
        .bind(role)
        .fetch_optional(c)
        .await)?;
    row.map(RoleAssignment::from).ok_or(StoreError::Conflict(sqlx::Error::RowNotFound))
}

/// Which assignments a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) principal: Option<UserId>,
    pub(crate) role: Option<String>,
}

/// The statement of a page; the principal is bound as `$6`, the role as `$7`, or as `$6` without a principal.
fn list_statement(filter: &Filter) -> String {
    let mut select = format!(
        "SELECT {COLUMNS} FROM role_assignments WHERE directory = $1 AND (create_time, id) > ($2, $3)
            AND (expire_time IS NULL OR expire_time > $5)"
    );
    if filter.principal.is_some() {
        select.push_str(" AND principal = $6");
    }
    if filter.role.is_some() {
        select.push_str(if filter.principal.is_some() { " AND role = $7" } else { " AND role = $6" });
    }
    select.push_str(" ORDER BY create_time, id LIMIT $4");
    select
}

/// A page of a directory's assignments that have not expired, oldest first.
pub(crate) async fn list(
    tx: &mut Tx,
    directory: DirectoryId,
    filter: &Filter,
    now: Timestamp,
    (after, limit): (After, i64),
) -> Result<Vec<RoleAssignment>, StoreError> {
    let select = list_statement(filter);
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

/// The roles that one person holds now, by slug, in order.
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

/// The statement of the roles of so many people, who are bound from `$3` on.
fn roles_statement(people: usize) -> String {
    let places: Vec<String> = (3..people + 3).map(|place| format!("${place}")).collect();
    format!(
        "SELECT principal, role FROM role_assignments WHERE directory = $1
            AND (expire_time IS NULL OR expire_time > $2) AND principal IN ({})",
        places.join(", ")
    )
}

/// The roles that the people of a page hold now: one statement, whose cost is that of the page.
pub(crate) async fn roles_on_page(
    tx: &mut Tx,
    directory: DirectoryId,
    people: &[UserId],
    now: Timestamp,
) -> Result<Vec<(UserId, String)>, StoreError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let select = roles_statement(people.len());
    let mut rows: Vec<(Uuid, String)> = on!(tx, |c| {
        // Not kept prepared: there are as many texts as sizes of pages.
        let mut query = sqlx::query_as(AssertSqlSafe(select.as_str()))
            .persistent(false)
            .bind(directory.uuid())
            .bind(now.micros());
        for user in people {
            query = query.bind(user.uuid());
        }
        query.fetch_all(c).await
    })?;
    // Here: asked to order, SQLite would read the whole directory's in the order of roles.
    rows.sort_unstable();
    Ok(rows.into_iter().map(|(user, role)| (UserId::from_uuid(user), role)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plan;
    use kernel::new_ids;
    use test_support::database::fresh;

    #[tokio::test]
    async fn every_list_of_assignments_is_served_by_its_index() {
        let database = fresh("identity", &crate::migrations()).await;
        let fill = "INSERT INTO role_assignments SELECT '1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6',
            md5('id' || n)::uuid, md5('user' || n / 10)::uuid, 'r' || n % 10, 'test', n, NULL, 1
            FROM generate_series(1, 5000) AS n";
        plan::filled(&database.db, fill, "ANALYZE role_assignments").await;
        let (nobody, role) = (UserId::from_uuid(Uuid::nil()), "reports-reader".to_owned());
        let of = |principal: bool, with_role: bool| {
            let filter =
                Filter { principal: principal.then_some(nobody), role: with_role.then(|| role.clone()) };
            list_statement(&filter)
        };
        let (id, number, slug) = (plan::ID, plan::NUMBER, "'r1'");
        for (select, index, values) in [
            (of(false, false), "role_assignments_by_create_time", &[id, number, id, number, number][..]),
            (of(true, false), "role_assignments_by_holder", &[id, number, id, number, number, id]),
            (of(false, true), "role_assignments_by_role", &[id, number, id, number, number, slug]),
            (of(true, true), "role_assignments_by_principal", &[id, number, id, number, number, id, slug]),
            (roles_statement(3), "role_assignments_by_holder", &[id, number, id, id, id]),
        ] {
            let steps = plan::of(&database.db, &select, values).await;
            assert!(plan::searches(&steps, index), "{select}: {steps:?}");
        }
    }

    #[tokio::test]
    async fn an_assignment_that_is_gone_again_is_a_collision() {
        let database = fresh("identity", &crate::migrations()).await;
        let mut tx = database.db.write().await.unwrap();
        let directory = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        let user = UserId::from_uuid(new_ids::derive(&["cy"]));
        let gone = find_held(&mut tx, directory, user, "reports-reader").await.unwrap_err();
        assert!(gone.is_conflict(), "{gone}");
    }
}
