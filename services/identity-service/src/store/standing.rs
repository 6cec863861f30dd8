//! All facts that a check of rights needs, in one statement and so from one snapshot (K3).

use database::{Db, StoreError, Tx, on, read_one};
use kernel::{DirectoryId, Principal, SessionId, Timestamp, UserId};
use uuid::Uuid;

use crate::domain::directory::DirectoryState;
use crate::domain::standing::{AssignedRole, SessionFacts, Standing};
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
    role_expire_time: Option<i64>,
}

const SELECT: &str = "SELECT directory_states.state AS directory_state, users.state AS state,
        users.user_type AS user_type, users.principal_revision AS revision, home.state AS home_state,
        sessions.expire_time AS session_expire_time, sessions.revoke_time AS session_revoke_time,
        role_assignments.role AS role, role_assignments.expire_time AS role_expire_time
    FROM users
    LEFT JOIN directory_states ON directory_states.directory = users.directory
    LEFT JOIN users AS home ON home.directory = users.home_directory AND home.id = users.home_user
    LEFT JOIN sessions ON sessions.directory = users.directory AND sessions.id = $3
        AND sessions.user_id = users.id
    LEFT JOIN role_assignments ON role_assignments.directory = users.directory
        AND role_assignments.principal = users.id
    WHERE users.directory = $1 AND users.id = $2";

/// Who is asked about, and with which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct About {
    pub(crate) directory: DirectoryId,
    pub(crate) user: UserId,
    pub(crate) session: Option<SessionId>,
}

impl About {
    /// `None` for a principal that no row can be of.
    pub(crate) fn new(principal: Principal, session: Option<SessionId>) -> Option<Self> {
        Some(Self { directory: principal.directory(), user: principal.user()?, session })
    }

    fn session(self) -> Option<Uuid> {
        self.session.map(SessionId::uuid)
    }
}

/// What is known of a principal, as of the transaction; `None` when there is no such principal.
pub(crate) async fn find(tx: &mut Tx, principal: Principal) -> Result<Option<Standing>, StoreError> {
    let Some(about) = About::new(principal, None) else { return Ok(None) };
    find_about(tx, about).await
}

/// What is known of a principal now, in one round trip.
pub(crate) async fn find_now(db: &Db, about: About) -> Result<Option<Standing>, StoreError> {
    read_one!(db, |tx| find_about(tx, about).await)
}

async fn find_about(tx: &mut Tx, about: About) -> Result<Option<Standing>, StoreError> {
    standing(on!(tx, |c| sqlx::query_as(SELECT)
        .bind(about.directory.uuid())
        .bind(about.user.uuid())
        .bind(about.session())
        .fetch_all(c)
        .await)?)
}

/// Each row is of the same principal, and of another role.
fn standing(mut rows: Vec<Row>) -> Result<Option<Standing>, StoreError> {
    let roles = rows.iter_mut().filter_map(|row| {
        let expire_time = row.role_expire_time.map(Timestamp::from_micros);
        row.role.take().map(|slug| AssignedRole { slug, expire_time })
    });
    let mut roles: Vec<_> = roles.collect();
    roles.sort_unstable_by(|one, other| one.slug.cmp(&other.slug));
    rows.into_iter().next().map(|row| row.standing(roles)).transpose()
}

impl Row {
    fn standing(self, roles: Vec<AssignedRole>) -> Result<Standing, StoreError> {
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
