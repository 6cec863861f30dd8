//! The statements of the writing transactions of `CreateUser` and `AttachOffice365Subscription` and of a check, as the
//! stores of the services have them, and the values to run them with.
//!
//! Texts such as a change's JSON are taken from rows that the preparation wrote, so that they are as long as ours.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::Failed;

/// Which statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statements {
    CreateUser,
    Attach,
    PointRead,
    CheckRead,
}

impl Statements {
    /// Whether they write.
    pub(crate) const fn write(self) -> bool {
        matches!(self, Self::CreateUser | Self::Attach)
    }

    /// Directories, and users or nothing, that the statements are about.
    const fn subjects(self) -> &'static str {
        match self {
            Self::Attach => "SELECT directory, lien FROM holds ORDER BY directory",
            Self::CreateUser => {
                "SELECT directory, directory FROM directory_states ORDER BY directory LIMIT 512"
            }
            Self::PointRead | Self::CheckRead => "SELECT directory, id FROM users ORDER BY directory, id",
        }
    }
}

const LAST_CHANGES: &str = "SELECT after FROM change_log
    WHERE action LIKE '%/CreateUser' OR action LIKE '%/AttachOffice365Subscription' ORDER BY entry DESC LIMIT 2";
const LAST_ANSWER: &str = "SELECT answer FROM idempotency_records
    WHERE method LIKE '%/CreateUser' OR method LIKE '%/AttachOffice365Subscription' LIMIT 1";
const LAST_ACTOR: &str = "SELECT actor FROM change_log
    WHERE action LIKE '%/CreateUser' OR action LIKE '%/AttachOffice365Subscription' LIMIT 1";

const CLAIM: &str = "INSERT INTO idempotency_records (directory, caller, method, request_id, fingerprint, answer, expire_time)
    VALUES ($1, $2, $3, $4, $5, '', $6)
    ON CONFLICT (directory, caller, method, request_id) DO UPDATE
    SET fingerprint = excluded.fingerprint, answer = '', expire_time = excluded.expire_time
    WHERE idempotency_records.expire_time <= $7";
const COMPLETE: &str = "UPDATE idempotency_records SET answer = $5
    WHERE directory = $1 AND caller = $2 AND method = $3 AND request_id = $4";
const CHANGE: &str =
    "INSERT INTO change_log (directory, transaction_id, event_time, actor, action, resource, kind, after,
        changed_fields, outcome, count, request_id, trace_id, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
const DIRECTORY: &str = "SELECT state, revision, initial_domain FROM directory_states WHERE directory = $1";
const USER: &str = "INSERT INTO users (directory, id, user_principal_name, upn_key, display_name, display_name_key,
        given_name, family_name, mail, region_code, language_code, state, user_type, home_directory, home_user,
        password_change_required, last_sign_in_time, create_time, update_time, revision, principal_revision)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL, $17, $17, $18, 1)
    ON CONFLICT (directory, upn_key) WHERE state <> 'DELETED' DO NOTHING";
const LOCK_HOLD: &str =
    "UPDATE holds SET uses = uses + 1 WHERE directory = $1 AND reason = $2 AND state = 'HELD'";
const LOCK_PRODUCT: &str = "INSERT INTO product_guards (directory, product, uses) VALUES ($1, $2, 1)
    ON CONFLICT (directory, product) DO UPDATE SET uses = product_guards.uses + 1
    RETURNING first_attach_time, trial_time";
const OF_PRODUCT: &str = "SELECT directory, id, kind, owner_user, product, offer, display_name, seats, term, start_time,
        trial_end_time, active_until, disabled_from, deleted_from, announced_state, create_time, update_time, revision
    FROM subscriptions WHERE directory = $1 AND product = $2 AND kind = 'KIND_OFFICE365_SEATS'
        AND announced_state <> 'STATE_DELETED'";
const IS_LOCATED: &str = "SELECT EXISTS (SELECT 1 FROM subscription_locations WHERE id = $1)";
const LOCATE: &str = "INSERT INTO subscription_locations (id, directory) VALUES ($1, $2)";
const SUBSCRIPTION: &str = "INSERT INTO subscriptions (directory, id, kind, owner_user, product, offer, display_name, seats,
        term, start_time, trial_end_time, active_until, disabled_from, deleted_from, announced_state, create_time,
        update_time, revision)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
const ORDER: &str =
    "INSERT INTO orders (directory, id, subscription, product, offer, line, trial, place_principal,
        place_time, next_charge_time)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LINE: &str = "SELECT line FROM orders LIMIT 1";
const NOTE_ATTACHED: &str = "UPDATE product_guards SET first_attach_time = COALESCE(first_attach_time, $3),
        trial_time = COALESCE(trial_time, $4)
    WHERE directory = $1 AND product = $2";
const POINT_READ: &str = "SELECT id, user_principal_name, display_name, given_name, family_name, mail, region_code,
        language_code, state, user_type, home_directory, home_user, password_change_required, last_sign_in_time,
        create_time, update_time, revision
    FROM users WHERE directory = $1 AND id = $2";
const CHECK_READ: &str = "SELECT directory_states.state AS directory_state, users.state AS state,
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

/// What the statements are run with.
#[derive(Debug)]
pub(crate) struct Rows {
    subjects: Vec<(Uuid, Uuid)>,
    /// Of one call: one change of a new user, two of a new subscription.
    changes: Vec<String>,
    answer: String,
    actor: String,
    line: String,
}

/// Ids in rows of ours are made of a hash; those of a call are as far apart.
fn id(number: u64, noun: u8) -> Uuid {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Uuid::from_u64_pair(mixed, mixed.rotate_left(29).wrapping_add(u64::from(noun)))
}

/// Some instant of this century, in microseconds.
const NOW: i64 = 1_800_000_000_000_000;

macro_rules! engine {
    ($load:ident, $pool:ty, $run:ident, $connection:ty) => {
        /// Reads what there is to run the statements with.
        pub(crate) async fn $load(pool: &$pool, statements: Statements) -> Result<Self, Failed> {
            let subjects: Vec<(Uuid, Uuid)> = sqlx::query_as(statements.subjects()).fetch_all(pool).await?;
            if subjects.is_empty() {
                return Err("the database was not prepared".into());
            }
            let line = if statements == Statements::Attach {
                sqlx::query_scalar(LINE).fetch_one(pool).await?
            } else {
                String::new()
            };
            Ok(Self {
                subjects,
                changes: sqlx::query_scalar(LAST_CHANGES).fetch_all(pool).await?,
                answer: sqlx::query_scalar(LAST_ANSWER).fetch_one(pool).await?,
                actor: sqlx::query_scalar(LAST_ACTOR).fetch_one(pool).await?,
                line,
            })
        }

        /// Runs the statements of one call.
        pub(crate) async fn $run(
            &self,
            statements: Statements,
            number: u64,
            c: &mut $connection,
        ) -> Result<(), Failed> {
            let (directory, subject) =
                self.subjects[usize::try_from(number).unwrap_or_default() % self.subjects.len()];
            let (first, request) = (id(number, 0), id(number, 1));
            match statements {
                Statements::PointRead => {
                    sqlx::query(POINT_READ).bind(directory).bind(subject).fetch_one(c).await?;
                }
                Statements::CheckRead => {
                    let session = None::<Uuid>;
                    let read = sqlx::query(CHECK_READ).bind(directory).bind(subject).bind(session).bind(NOW);
                    if read.fetch_all(c).await?.is_empty() {
                        return Err("a principal is missing".into());
                    }
                }
                Statements::CreateUser => {
                    let action = "/tenure.identity.v1.UserService/CreateUser";
                    claim!(self, c, directory, action, request);
                    sqlx::query(DIRECTORY).bind(directory).fetch_one(&mut *c).await?;
                    user!(c, directory, first, number);
                    change!(self, c, (directory, first), action, request, 0);
                    complete!(self, c, directory, action, request);
                }
                Statements::Attach => {
                    let action = "/tenure.subscription.v1.SubscriptionService/AttachOffice365Subscription";
                    let product = format!("product{number}");
                    claim!(self, c, directory, action, request);
                    let held = sqlx::query(LOCK_HOLD).bind(directory).bind("subscriptions").execute(&mut *c);
                    if held.await?.rows_affected() != 1 {
                        return Err("nothing is held".into());
                    }
                    sqlx::query(LOCK_PRODUCT).bind(directory).bind(&product).fetch_one(&mut *c).await?;
                    sqlx::query(IS_LOCATED).bind(first).fetch_one(&mut *c).await?;
                    sqlx::query(OF_PRODUCT).bind(directory).bind(&product).fetch_optional(&mut *c).await?;
                    subscription!(self, c, directory, first, &product);
                    change!(self, c, (directory, first), action, request, 0);
                    change!(self, c, (directory, first), action, request, 1);
                    complete!(self, c, directory, action, request);
                }
            }
            Ok(())
        }
    };
}

macro_rules! claim {
    ($self:ident, $c:ident, $directory:ident, $action:ident, $request:ident) => {
        sqlx::query(CLAIM)
            .bind($directory)
            .bind(&$self.actor)
            .bind($action)
            .bind($request)
            .bind([7_u8; 32].as_slice())
            .bind(NOW)
            .bind(0_i64)
            .execute(&mut *$c)
            .await?
    };
}

macro_rules! complete {
    ($self:ident, $c:ident, $directory:ident, $action:ident, $request:ident) => {
        sqlx::query(COMPLETE)
            .bind($directory)
            .bind(&$self.actor)
            .bind($action)
            .bind($request)
            .bind(&$self.answer)
            .execute(&mut *$c)
            .await?
    };
}

macro_rules! change {
    ($self:ident, $c:ident, $ids:expr, $action:ident, $request:ident, $number:literal) => {{
        let (directory, first) = $ids;
        sqlx::query(CHANGE)
            .bind(directory)
            .bind(first)
            .bind(NOW)
            .bind(&$self.actor)
            .bind($action)
            .bind(format!("directories/{directory}/users/{first}"))
            .bind("CREATED")
            .bind(&$self.changes[$number])
            .bind("")
            .bind("OK")
            .bind(1_i64)
            .bind($request)
            .bind(None::<String>)
            .bind([9_u8; 32].as_slice())
            .execute(&mut *$c)
            .await?
    }};
}

macro_rules! user {
    ($c:ident, $directory:ident, $first:ident, $number:ident) => {{
        let name = format!("bare{}@load-1.tenure.internal", $number);
        let done = sqlx::query(USER)
            .bind($directory)
            .bind($first)
            .bind(&name)
            .bind(&name)
            .bind("Cy Arden")
            .bind("cy arden")
            .bind("")
            .bind("")
            .bind("")
            .bind("")
            .bind("")
            .bind("ACTIVE")
            .bind("MEMBER")
            .bind(None::<Uuid>)
            .bind(None::<Uuid>)
            .bind(false)
            .bind(NOW)
            .bind(1_i64)
            .execute(&mut *$c)
            .await?;
        if done.rows_affected() != 1 {
            return Err("a name was taken".into());
        }
    }};
}

macro_rules! subscription {
    ($self:ident, $c:ident, $directory:ident, $first:ident, $product:expr) => {{
        sqlx::query(LOCATE).bind($first).bind($directory).execute(&mut *$c).await?;
        sqlx::query(SUBSCRIPTION)
            .bind($directory)
            .bind($first)
            .bind("KIND_OFFICE365_SEATS")
            .bind(None::<Uuid>)
            .bind($product)
            .bind("monthly")
            .bind("Office 365 Enterprise E3")
            .bind(10_i64)
            .bind("TERM_MONTHLY")
            .bind(NOW)
            .bind(None::<i64>)
            .bind(i64::MAX)
            .bind(i64::MAX)
            .bind(i64::MAX)
            .bind("STATE_ACTIVE")
            .bind(NOW)
            .bind(NOW)
            .bind(1_i64)
            .execute(&mut *$c)
            .await?;
        sqlx::query(ORDER)
            .bind($directory)
            .bind($first)
            .bind($first)
            .bind($product)
            .bind("monthly")
            .bind(&$self.line)
            .bind(false)
            .bind(&$self.actor)
            .bind(NOW)
            .bind(Some(NOW))
            .execute(&mut *$c)
            .await?;
        sqlx::query(NOTE_ATTACHED)
            .bind($directory)
            .bind($product)
            .bind(NOW)
            .bind(None::<i64>)
            .execute(&mut *$c)
            .await?;
    }};
}

impl Rows {
    engine!(of_sqlite, SqlitePool, on_sqlite, SqliteConnection);
    engine!(of_postgres, PgPool, on_postgres, PgConnection);
}
