//! Password hashes, apart from the people they belong to, so that no record of a person holds one.

use access::Permit;
use access::permission::CreateUsers;
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::user_principal_name;

/// Gives a person their first password.
pub(crate) async fn insert(
    tx: &mut Tx,
    permit: &Permit<CreateUsers>,
    user: UserId,
    password_hash: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO credentials (directory, user_id, password_hash, update_time) VALUES ($1, $2, $3, $4)";
    defer!(tx, insert, permit.directory().uuid(), user.uuid(), password_hash, now.micros())?;
    Ok(())
}

/// Who signs in by a name, and the hash to compare with.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) directory: DirectoryId,
    pub(crate) user: UserId,
    pub(crate) password_hash: String,
}

/// Finds who signs in by this name: one statement, whether there is anybody or not. A domain that a deleted directory had
/// may have become another's, whose people have the names now (attack 3).
pub(crate) async fn find(tx: &mut Tx, name: &str) -> Result<Option<Found>, StoreError> {
    let select = "SELECT users.directory, users.id, credentials.password_hash FROM users
        JOIN credentials ON credentials.directory = users.directory AND credentials.user_id = users.id
        JOIN directory_states ON directory_states.directory = users.directory
        WHERE users.upn_key = $1 AND users.state <> 'DELETED' AND users.user_type = 'MEMBER'
        ORDER BY CASE WHEN directory_states.state = 'DELETED' THEN 1 ELSE 0 END, users.create_time DESC
        LIMIT 1";
    let row: Option<(Uuid, Uuid, String)> = on!(tx, |c| sqlx::query_as(select)
        .bind(user_principal_name::search_key(name))
        .fetch_optional(c)
        .await)?;
    Ok(row.map(|(directory, user, password_hash)| Found {
        directory: DirectoryId::from_uuid(directory),
        user: UserId::from_uuid(user),
        password_hash,
    }))
}
