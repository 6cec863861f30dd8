//! People: rows of `users`. Roles and credentials have tables of their own.

use access::Permit;
use access::permission::{CreateUsers, Permission};
use database::{StoreError, Tx, on};
use kernel::{DirectoryId, Principal, Timestamp, UserId};
use runtime::filter::{Condition, Operator, folded};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::After;
use crate::domain::user::{Membership, User, UserState, UserType};
use crate::domain::user_principal_name;

const COLUMNS: &str = "id, user_principal_name, display_name, given_name, family_name, mail, region_code,
    language_code, state, user_type, home_directory, home_user, password_change_required, last_sign_in_time,
    create_time, update_time, revision";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user_principal_name: String,
    display_name: String,
    given_name: String,
    family_name: String,
    mail: String,
    region_code: String,
    language_code: String,
    state: String,
    user_type: String,
    home_directory: Option<Uuid>,
    home_user: Option<Uuid>,
    password_change_required: bool,
    last_sign_in_time: Option<i64>,
    create_time: i64,
    update_time: i64,
    revision: i64,
}

impl TryFrom<Row> for User {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let home = row.home_directory.zip(row.home_user);
        Ok(Self {
            id: UserId::from_uuid(row.id),
            user_principal_name: row.user_principal_name,
            display_name: row.display_name,
            given_name: row.given_name,
            family_name: row.family_name,
            mail: row.mail,
            region_code: row.region_code,
            language_code: row.language_code,
            state: UserState::stored(&row.state).ok_or(StoreError::Corrupt("user state"))?,
            user_type: UserType::stored(&row.user_type).ok_or(StoreError::Corrupt("user type"))?,
            home_user: home.map(|(directory, user)| principal(directory, user)),
            password_change_required: row.password_change_required,
            last_sign_in_time: row.last_sign_in_time.map(Timestamp::from_micros),
            create_time: Timestamp::from_micros(row.create_time),
            update_time: Timestamp::from_micros(row.update_time),
            revision: row.revision,
        })
    }
}

fn principal(directory: Uuid, user: Uuid) -> Principal {
    Principal::User(DirectoryId::from_uuid(directory), UserId::from_uuid(user))
}

/// Adds a person; says whether the name was free (U-03), which the database decides.
///
/// An id that is taken without a record of its request is a request id used again (K39).
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<CreateUsers>,
    user: &User,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO users (directory, id, user_principal_name, upn_key, display_name, display_name_key,
            given_name, family_name, mail, region_code, language_code, state, user_type, home_directory, home_user,
            password_change_required, last_sign_in_time, create_time, update_time, revision, principal_revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL, $17, $17, $18, 1)
        ON CONFLICT (directory, upn_key) WHERE state <> 'DELETED' DO NOTHING";
    let home = user.home_user.and_then(|home| Some((home.directory().uuid(), home.user()?.uuid())));
    let inserted = on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(user.id.uuid())
        .bind(&user.user_principal_name)
        .bind(user_principal_name::key(&user.user_principal_name))
        .bind(&user.display_name)
        .bind(folded(&user.display_name))
        .bind(&user.given_name)
        .bind(&user.family_name)
        .bind(&user.mail)
        .bind(&user.region_code)
        .bind(&user.language_code)
        .bind(user.state.as_str())
        .bind(user.user_type.as_str())
        .bind(home.map(|(directory, _)| directory))
        .bind(home.map(|(_, user)| user))
        .bind(user.password_change_required)
        .bind(user.create_time.micros())
        .bind(user.revision)
        .execute(c)
        .await
        .map(|done| done.rows_affected()));
    match inserted.map_err(StoreError::from) {
        Ok(inserted) => Ok(inserted == 1),
        Err(StoreError::UniqueViolation) => Err(StoreError::RequestIdReused),
        Err(other) => Err(other),
    }
}

/// Whether a name is free in a directory at the moment.
pub(crate) async fn is_name_free(
    tx: &mut Tx,
    directory: DirectoryId,
    name: &str,
) -> Result<bool, StoreError> {
    let select = "SELECT NOT EXISTS
        (SELECT 1 FROM users WHERE directory = $1 AND upn_key = $2 AND state <> 'DELETED')";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(directory.uuid())
        .bind(user_principal_name::key(name))
        .fetch_one(c)
        .await)?)
}

/// One person, whatever their state.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    user: UserId,
) -> Result<Option<User>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM users WHERE directory = $1 AND id = $2");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(AssertSqlSafe(select.as_str()))
        .bind(directory.uuid())
        .bind(user.uuid())
        .fetch_optional(c)
        .await)?;
    row.map(User::try_from).transpose()
}

/// Counts a change of what the principal may do (K41): a role given or taken, a session revoked.
pub(crate) async fn count_change<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    user: UserId,
) -> Result<(), StoreError> {
    let update =
        "UPDATE users SET principal_revision = principal_revision + 1 WHERE directory = $1 AND id = $2";
    on!(tx, |c| sqlx::query(update)
        .bind(permit.directory().uuid())
        .bind(user.uuid())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// Notes that the person signed in; this is no change of the resource.
pub(crate) async fn note_sign_in<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE users SET last_sign_in_time = $3 WHERE directory = $1 AND id = $2";
    on!(tx, |c| sqlx::query(update)
        .bind(permit.directory().uuid())
        .bind(user.uuid())
        .bind(now.micros())
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(())
}

/// The statement of a page, and the texts to bind from `$5` on; values are bound, never written into it.
fn list_statement(filter: &[Condition]) -> (String, Vec<String>) {
    let mut texts = Vec::new();
    let mut select = format!(
        "SELECT {COLUMNS} FROM users WHERE directory = $1 AND (create_time > $2 OR (create_time = $2 AND id > $3))"
    );
    let mut deleted_asked = false;
    for condition in filter {
        let (column, value) = match condition.field {
            "state" => ("state", condition.value.trim_start_matches("STATE_").to_owned()),
            "user_type" => ("user_type", condition.value.trim_start_matches("USER_TYPE_").to_owned()),
            "user_principal_name" => ("upn_key", user_principal_name::key(&condition.value)),
            _ => ("display_name_key", folded(&condition.value)),
        };
        deleted_asked |= column == "state"
            && condition.operator == Operator::Equals
            && value == UserState::Deleted.as_str();
        let place = texts.len() + 5;
        match condition.operator {
            Operator::Equals => select = format!("{select} AND {column} = ${place}"),
            Operator::NotEquals => select = format!("{select} AND {column} <> ${place}"),
            Operator::HasPrefix => {
                select = format!("{select} AND {column} >= ${place} AND {column} < ${}", place + 1);
            }
        }
        // By bytes, whatever begins with the value stands between it and the value with the last character there is.
        let end = format!("{value}\u{10ffff}");
        texts.push(value);
        if condition.operator == Operator::HasPrefix {
            texts.push(end);
        }
    }
    if !deleted_asked {
        select.push_str(" AND state <> 'DELETED'");
    }
    select.push_str(" ORDER BY create_time, id LIMIT $4");
    (select, texts)
}

/// A page of a directory's people, oldest first; the deleted ones only where the filter asks for them.
pub(crate) async fn list(
    tx: &mut Tx,
    directory: DirectoryId,
    filter: &[Condition],
    after: After,
    limit: i64,
) -> Result<Vec<User>, StoreError> {
    let (select, texts) = list_statement(filter);
    let rows: Vec<Row> = on!(tx, |c| {
        let mut query = sqlx::query_as(AssertSqlSafe(select.as_str()))
            .bind(directory.uuid())
            .bind(after.0)
            .bind(after.1)
            .bind(limit);
        for text in &texts {
            query = query.bind(text);
        }
        query.fetch_all(c).await
    })?;
    rows.into_iter().map(User::try_from).collect()
}

/// A page of the directories that the person of this home row belongs to, oldest first.
pub(crate) async fn memberships(
    tx: &mut Tx,
    home: Principal,
    after: After,
    limit: i64,
) -> Result<Vec<Membership>, StoreError> {
    let select = "SELECT users.directory, users.id, users.user_type, users.create_time FROM users
        JOIN directory_states ON directory_states.directory = users.directory
        WHERE ((users.directory = $1 AND users.id = $2) OR (users.home_directory = $1 AND users.home_user = $2))
            AND users.state <> 'DELETED' AND directory_states.state NOT IN ('DELETED', 'PROVISIONING')
            AND (users.create_time > $3 OR (users.create_time = $3 AND users.id > $4))
        ORDER BY users.create_time, users.id LIMIT $5";
    let rows: Vec<(Uuid, Uuid, String, i64)> = on!(tx, |c| sqlx::query_as(select)
        .bind(home.directory().uuid())
        .bind(home.uuid())
        .bind(after.0)
        .bind(after.1)
        .bind(limit)
        .fetch_all(c)
        .await)?;
    rows.into_iter()
        .map(|(directory, user, user_type, create_time)| {
            Ok(Membership {
                user: principal(directory, user),
                user_type: UserType::stored(&user_type).ok_or(StoreError::Corrupt("user type"))?,
                create_time: Timestamp::from_micros(create_time),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_support::database::{Engine, engine, fresh};

    fn condition(field: &'static str, operator: Operator) -> Condition {
        Condition { field, operator, value: "STATE_ACTIVE".to_owned() }
    }

    #[tokio::test]
    async fn every_list_of_people_is_backed_by_an_index() {
        if engine() == Engine::Postgres {
            // Its planner reads a small table as a whole, whatever the indexes.
            return;
        }
        let database = fresh("identity", &crate::migrations()).await;
        let mut tx = database.db.read().await.unwrap();
        for filter in [
            vec![],
            vec![condition("state", Operator::Equals)],
            vec![condition("state", Operator::NotEquals)],
            vec![condition("user_type", Operator::Equals)],
            vec![condition("display_name", Operator::HasPrefix)],
            vec![condition("user_principal_name", Operator::Equals)],
            vec![
                condition("user_principal_name", Operator::HasPrefix),
                condition("state", Operator::NotEquals),
            ],
        ] {
            let (select, _) = list_statement(&filter);
            let explain = format!("EXPLAIN QUERY PLAN {select}");
            let plan: Vec<(i64, i64, i64, String)> =
                on!(&mut tx, |c| sqlx::query_as(AssertSqlSafe(explain.as_str())).fetch_all(c).await).unwrap();
            let searches = plan.iter().any(|step| step.3.starts_with("SEARCH users USING INDEX users_by_"));
            assert!(searches, "{select}: {plan:?}");
        }
    }
}
