//! People: rows of `users`. Roles and credentials have tables of their own.

use access::Permit;
use access::permission::{CreateUsers, Permission};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Principal, Timestamp, UserId};
use runtime::filter::{Condition, Operator, folded};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::After;
use super::domain_holds::DomainLocked;
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

/// Adds a person; says whether the name was free (U-03), which the database decides. A name under another domain than
/// the initial one comes with the lock on that domain's hold (K11).
///
/// An id that is taken without a record of its request is a request id used again (K39).
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<CreateUsers>,
    user: &User,
    domain: Option<&DomainLocked<'_>>,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO users (directory, id, user_principal_name, upn_key, display_name, display_name_key,
            given_name, family_name, mail, region_code, language_code, state, user_type, home_directory, home_user,
            password_change_required, last_sign_in_time, create_time, update_time, revision, principal_revision,
            domain_hold)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL, $17, $17, $18, 1, $19)
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
        .bind(domain.map_or("", DomainLocked::reason))
        .execute(c)
        .await
        .map(|done| done.rows_affected()));
    match inserted.map_err(StoreError::from) {
        Ok(1) => Ok(true),
        // The name is in the way; the id may be as well, and then the name is that of the same request.
        Ok(_) if find(tx, permit.directory(), user.id).await?.is_none() => Ok(false),
        Ok(_) | Err(StoreError::UniqueViolation) => Err(StoreError::RequestIdReused),
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
    tx.note(permit.directory());
    let update =
        "UPDATE users SET principal_revision = principal_revision + 1 WHERE directory = $1 AND id = $2";
    defer!(tx, update, permit.directory().uuid(), user.uuid())?;
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
    defer!(tx, update, permit.directory().uuid(), user.uuid(), now.micros())?;
    Ok(())
}

/// A statement that is being written, and the texts to bind from `$5` on; no value is written into it.
struct Statement {
    select: String,
    texts: Vec<String>,
}

impl Statement {
    /// Adds a condition on a text.
    fn and(&mut self, left: &str, operator: &str, text: impl Into<String>) {
        self.texts.push(text.into());
        self.select = format!("{} AND {left} {operator} ${}", self.select, self.texts.len() + 4);
    }

    /// Adds a condition on an enum with two values, by those that are left.
    fn and_one_of(&mut self, column: &str, left: &[&'static str]) {
        match left {
            [] => self.select.push_str(" AND 1 = 0"),
            [only] => self.and(column, "=", *only),
            _both => {}
        }
    }
}

/// The values of an enum that a filter leaves, so that `!=` is asked for by equality as well, and served by an index.
fn left(filter: &[Condition], field: &str, prefix: &str, all: &[&'static str]) -> Vec<&'static str> {
    let holds = |condition: &Condition, value: &str| {
        let same = condition.value.strip_prefix(prefix) == Some(value);
        same == (condition.operator == Operator::Equals)
    };
    let of_field = |condition: &&Condition| condition.field == field;
    all.iter().filter(|value| filter.iter().filter(of_field).all(|c| holds(c, value))).copied().collect()
}

/// The statement of a page.
///
/// Without a name in the filter people are found in the order of the page, by their state or type where these are
/// asked for. A name finds few, whom the page then orders: `+ 0` and `|| ''` keep planners from the other indexes,
/// which would read everybody to find those few.
fn list_statement(filter: &[Condition]) -> Statement {
    let name_of = |condition: &Condition| match condition.field {
        "user_principal_name" => Some(("upn_key", user_principal_name::key(&condition.value))),
        "display_name" => Some(("display_name_key", folded(&condition.value))),
        _ => None,
    };
    let names: Vec<(Operator, &str, String)> = filter
        .iter()
        .filter_map(|condition| name_of(condition).map(|(column, key)| (condition.operator, column, key)))
        .collect();
    let finds = |column: &str| {
        names.iter().any(|(operator, of, _)| *of == column && *operator != Operator::NotEquals)
    };
    let by = ["upn_key", "display_name_key"].into_iter().find(|column| finds(column));
    let time = if by.is_some() { "create_time + 0" } else { "create_time" };
    let other = |column: &str| {
        if by.is_none_or(|by| by == column) { column.to_owned() } else { format!("{column} || ''") }
    };
    let mut statement = Statement {
        select: format!("SELECT {COLUMNS} FROM users WHERE directory = $1 AND ({time}, id) > ($2, $3)"),
        texts: Vec::new(),
    };
    for (operator, column, key) in names {
        match operator {
            Operator::Equals => statement.and(&other(column), "=", key),
            Operator::NotEquals => statement.and(&format!("{column} || ''"), "<>", key),
            Operator::HasPrefix => {
                // By bytes, whatever begins with the key stands between it and the key with the last character.
                statement.and(&other(column), "<", format!("{key}\u{10ffff}"));
                statement.and(&other(column), ">=", key);
            }
        }
    }
    let asks_deleted = |condition: &Condition| {
        (condition.field, condition.operator, condition.value.as_str())
            == ("state", Operator::Equals, "STATE_DELETED")
    };
    let states: &[&'static str] = if filter.iter().any(asks_deleted) {
        &[UserState::Deleted.as_str()]
    } else {
        statement.select.push_str(" AND state <> 'DELETED'");
        &[UserState::Active.as_str(), UserState::Disabled.as_str()]
    };
    statement.and_one_of(&other("state"), &left(filter, "state", "STATE_", states));
    let types = [UserType::Member.as_str(), UserType::Guest.as_str()];
    statement.and_one_of(&other("user_type"), &left(filter, "user_type", "USER_TYPE_", &types));
    statement.select = format!("{} ORDER BY {time}, id LIMIT $4", statement.select);
    statement
}

/// A page of a directory's people, oldest first; the deleted ones only where the filter asks for them.
pub(crate) async fn list(
    tx: &mut Tx,
    directory: DirectoryId,
    filter: &[Condition],
    after: After,
    limit: i64,
) -> Result<Vec<User>, StoreError> {
    let Statement { select, texts } = list_statement(filter);
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
            AND (users.create_time, users.id) > ($3, $4)
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
    use crate::tests::plan;
    use test_support::database::fresh;

    fn condition(field: &'static str, operator: Operator, value: &str) -> Condition {
        Condition { field, operator, value: value.to_owned() }
    }

    #[tokio::test]
    async fn every_list_of_people_is_served_by_its_index() {
        use Operator::{Equals, HasPrefix, NotEquals};
        let database = fresh("identity", &crate::migrations()).await;
        let fill = "INSERT INTO users SELECT '1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6', md5('id' || n)::uuid,
            md5('u' || n), md5('u' || n), md5('d' || n), md5('d' || n), '', '', '', '', '',
            CASE n % 3 WHEN 0 THEN 'ACTIVE' WHEN 1 THEN 'DISABLED' ELSE 'DELETED' END,
            CASE n % 2 WHEN 0 THEN 'GUEST' ELSE 'MEMBER' END, NULL, NULL, false, NULL, n, n, 1, 1, ''
            FROM generate_series(1, 5000) AS n";
        plan::filled(&database.db, fill, "ANALYZE users").await;
        let active = |operator| condition("state", operator, "STATE_ACTIVE");
        let display_name = |operator| condition("display_name", operator, "kel");
        let name = |operator| condition("user_principal_name", operator, "kel");
        let of_names: &[&str] = &["users_by_name", "users_by_directory_and_upn_key"];
        for (filter, indexes) in [
            (vec![], &["users_by_create_time"][..]),
            (vec![active(Equals)], &["users_by_state"]),
            (vec![active(NotEquals)], &["users_by_state"]),
            (vec![condition("state", Equals, "STATE_DELETED")], &["users_by_state"]),
            (vec![condition("state", NotEquals, "STATE_DELETED")], &["users_by_create_time"]),
            (vec![condition("user_type", Equals, "USER_TYPE_GUEST")], &["users_by_user_type"]),
            (vec![condition("user_type", NotEquals, "USER_TYPE_MEMBER")], &["users_by_user_type"]),
            (vec![display_name(Equals)], &["users_by_display_name"]),
            (vec![display_name(HasPrefix)], &["users_by_display_name"]),
            (vec![display_name(NotEquals)], &["users_by_create_time"]),
            (vec![display_name(HasPrefix), active(Equals)], &["users_by_display_name"]),
            (vec![name(Equals)], of_names),
            (vec![name(HasPrefix)], of_names),
            (vec![name(HasPrefix), active(NotEquals), display_name(HasPrefix)], of_names),
        ] {
            let Statement { select, texts } = list_statement(&filter);
            let mut values = vec![plan::ID, plan::NUMBER, plan::ID, plan::NUMBER];
            let texts: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
            values.extend(texts.iter().map(String::as_str));
            let steps = plan::of(&database.db, &select, &values).await;
            assert!(indexes.iter().any(|index| plan::searches(&steps, index)), "{select}: {steps:?}");
        }
    }

    #[test]
    fn a_filter_on_an_enum_leaves_what_both_operators_leave() {
        use Operator::{Equals, NotEquals};
        let filter = |text: &'static [(Operator, &str)]| {
            text.iter().map(|(operator, value)| condition("state", *operator, value)).collect::<Vec<_>>()
        };
        for (asked, texts, nobody) in [
            (filter(&[]), &[][..], false),
            (filter(&[(Equals, "STATE_ACTIVE")]), &["ACTIVE"], false),
            (filter(&[(NotEquals, "STATE_ACTIVE")]), &["DISABLED"], false),
            (filter(&[(NotEquals, "STATE_DELETED")]), &[], false),
            (filter(&[(Equals, "STATE_DELETED")]), &["DELETED"], false),
            (filter(&[(Equals, "STATE_DELETED"), (NotEquals, "STATE_DELETED")]), &[], true),
            (filter(&[(NotEquals, "STATE_ACTIVE"), (NotEquals, "STATE_DISABLED")]), &[], true),
        ] {
            let statement = list_statement(&asked);
            assert_eq!(statement.texts, texts, "{asked:?}");
            assert_eq!(statement.select.contains("1 = 0"), nobody, "{asked:?}");
        }
    }
}
