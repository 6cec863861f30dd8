//! All facts that a check of rights needs, in one statement and so from one snapshot (K3).

use std::collections::BTreeSet;

use database::{StoreError, Tx, on};
use kernel::{Principal, SessionId, Timestamp};
use uuid::Uuid;

use crate::domain::directory::DirectoryState;
use crate::domain::standing::{SessionFacts, Standing};
use crate::domain::user::{UserState, UserType};

#[derive(sqlx::FromRow)]
struct Row {
    directory_state: Option<String>,
    state: String,
    user_type: String,
    revision: i64,
    home_state: Option<String>,
    session_expire_time: Option<i64>,
    session_revoke_time: Option<i64>,
    role: Option<String>,
}

const SELECT: &str = "SELECT directory_states.state AS directory_state, users.state AS state,
        users.user_type AS user_type, users.principal_revision AS revision, home.state AS home_state,
        sessions.expire_time AS session_expire_time, sessions.revoke_time AS session_revoke_time,
        role_assignments.role AS role
    FROM users
    LEFT JOIN directory_states ON directory_states.directory = users.directory
    LEFT JOIN users AS home ON home.directory = users.home_directory AND home.id = users.home_user
    LEFT JOIN sessions ON sessions.directory = users.directory AND sessions.id = $3
        AND sessions.user_id = users.id
    LEFT JOIN role_assignments ON role_assignments.directory = users.directory
        AND role_assignments.principal = users.id
        AND (role_assignments.expire_time IS NULL OR role_assignments.expire_time > $4)
    WHERE users.directory = $1 AND users.id = $2";

/// What is known of a principal; `None` when there is no such principal.
pub(crate) async fn find(
    tx: &mut Tx,
    principal: Principal,
    session: Option<SessionId>,
    now: Timestamp,
) -> Result<Option<Standing>, StoreError> {
    let Some(user) = principal.user() else { return Ok(None) };
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(SELECT)
        .bind(principal.directory().uuid())
        .bind(user.uuid())
        .bind(session.map(SessionId::uuid) as Option<Uuid>)
        .bind(now.micros())
        .fetch_all(c)
        .await)?;
    let roles: BTreeSet<String> = rows.iter().filter_map(|row| row.role.clone()).collect();
    rows.into_iter().next().map(|row| row.standing(roles)).transpose()
}

impl Row {
    fn standing(self, roles: BTreeSet<String>) -> Result<Standing, StoreError> {
        let state = |text: &str| UserState::stored(text).ok_or(StoreError::Corrupt("user state"));
        let directory =
            |text: String| DirectoryState::stored(&text).ok_or(StoreError::Corrupt("directory state"));
        Ok(Standing {
            directory: self.directory_state.map(directory).transpose()?,
            state: state(&self.state)?,
            user_type: UserType::stored(&self.user_type).ok_or(StoreError::Corrupt("user type"))?,
            home: self.home_state.as_deref().map(state).transpose()?,
            session: self.session_expire_time.map(|end| SessionFacts {
                revoked: self.session_revoke_time.is_some(),
                expire_time: Timestamp::from_micros(end),
            }),
            roles,
            revision: self.revision,
        })
    }
}
