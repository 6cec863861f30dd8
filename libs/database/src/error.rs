//! What can go wrong with a database, told apart by what the caller can do about it.

use std::error::Error;
use std::time::Duration;

use kernel::reason;
use kernel::refusal::{Code, Refusal};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::unit::TurnOver;

/// A failure of storage.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others wrote the same rows; the transaction did nothing and can be repeated.
    #[error("the transaction collided with another")]
    Conflict(#[source] sqlx::Error),
    /// A unique key is taken; the function that inserted knows which.
    #[error("a unique key is taken")]
    UniqueViolation,
    /// The database does not answer; nothing was committed.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// COMMIT was sent and its answer lost.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown(#[source] sqlx::Error),
    /// The permit is older than a commit may rely on (K7).
    #[error("the permit is stale")]
    PermitStale,
    /// What a peer answered is older than what its feed has told since (K12).
    #[error("a peer's answer was overtaken")]
    AnswerOvertaken,
    /// A hold that the transaction relies on is not held (K11).
    #[error("the hold is not held")]
    HoldLost,
    /// The request id was used for another request (P-9).
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// A statement or a row is not what this program expects: a defect.
    #[error("a statement failed")]
    Query(#[source] sqlx::Error),
    /// A stored value does not have the form in which it was stored: a defect or tampering.
    #[error("a stored value cannot be read: {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether repeating the local transaction can help.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether judging and asking peers anew can help.
    pub const fn wants_new_start(&self) -> bool {
        matches!(self, Self::PermitStale | Self::HoldLost | Self::AnswerOvertaken)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_turn_over(&error) {
            return Self::Conflict(error);
        }
        let Some(database) = error.as_database_error() else {
            let disconnected = matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            );
            return if disconnected { Self::Unavailable(error) } else { Self::Query(error) };
        };
        if database.is_unique_violation() {
            return Self::UniqueViolation;
        }
        match kind(database) {
            Kind::Conflict => Self::Conflict(error),
            Kind::Unavailable => Self::Unavailable(error),
            Kind::Other => Self::Query(error),
        }
    }
}

/// What a database's code means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Conflict,
    Unavailable,
    Other,
}

/// The engines' codes are told apart by the engine: the same digits can stand in both.
fn kind(error: &dyn DatabaseError) -> Kind {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return kind_in_postgres(error.code());
    }
    let sqlite = error.try_downcast_ref::<SqliteError>();
    let code = sqlite.and_then(DatabaseError::code).and_then(|code| code.parse().ok());
    code.map_or(Kind::Other, kind_in_sqlite)
}

fn kind_in_postgres(state: &str) -> Kind {
    match state {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Kind::Conflict,
        // read_only_sql_transaction: the server has become a standby.
        "25006" => Kind::Unavailable,
        // Connection exceptions, insufficient resources, operator intervention.
        _ if ["08", "53", "57"].iter().any(|class| state.starts_with(class)) => Kind::Unavailable,
        _ => Kind::Other,
    }
}

/// The low byte is the primary code, whatever the extended one adds.
const fn kind_in_sqlite(code: u32) -> Kind {
    match code & 0xff {
        // BUSY, LOCKED
        5 | 6 => Kind::Conflict,
        // READONLY, IOERR, FULL, CANTOPEN
        8 | 10 | 13 | 14 => Kind::Unavailable,
        _ => Kind::Other,
    }
}

/// Whether a unit lost its turn: it has done nothing, and can be repeated (K10).
fn is_turn_over(error: &sqlx::Error) -> bool {
    let sqlx::Error::Io(error) = error else { return false };
    error.get_ref().is_some_and(<dyn Error + Send + Sync + 'static>::is::<TurnOver>)
}

/// Whether others hold what a statement needs.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database| kind(database) == Kind::Conflict)
}

/// Whether SQLite refused for a reason other than an I/O error: nothing of the statement has happened.
pub(crate) fn is_refused_by_sqlite(error: &sqlx::Error) -> bool {
    let code =
        error.as_database_error().and_then(DatabaseError::code).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff != 10)
}

/// Whether the connection on which this happened is of no more use, while another may be.
pub(crate) fn connection_is_gone(error: &sqlx::Error) -> bool {
    let postgres =
        error.as_database_error().and_then(|database| database.try_downcast_ref::<PgDatabaseError>());
    matches!(error, sqlx::Error::Io(_)) || postgres.is_some_and(|error| is_farewell(error.code()))
}

/// Connection exceptions; the server stops, has crashed, starts, or has waited for too long.
fn is_farewell(state: &str) -> bool {
    state.starts_with("08") || matches!(state, "57P01" | "57P02" | "57P03" | "57P05")
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_)
            | StoreError::PermitStale
            | StoreError::HoldLost
            | StoreError::AnswerOvertaken => Self::new(
                Code::Aborted,
                reason::WRITE_CONFLICT,
                "others wrote at the same time; read again and retry",
            )
            .retry_after(Duration::from_millis(100)),
            StoreError::Unavailable(source) => {
                tracing::error!(error = &source as &dyn std::error::Error, "storage is unavailable");
                Self::new(Code::Unavailable, reason::STORAGE_UNAVAILABLE, "storage is unavailable")
                    .retry_after(Duration::from_secs(1))
            }
            StoreError::OutcomeUnknown(source) => {
                tracing::error!(
                    error = &source as &dyn std::error::Error,
                    "the outcome of a commit is unknown"
                );
                Self::new(
                    Code::Unavailable,
                    reason::COMMIT_OUTCOME_UNKNOWN,
                    "the outcome is unknown; retry with the same request_id",
                )
                .retry_after(Duration::from_secs(1))
            }
            StoreError::RequestIdReused => Self::failed_precondition(
                reason::REQUEST_ID_REUSED,
                "this request_id was used for another request; use a new one",
            ),
            StoreError::UniqueViolation => {
                tracing::error!("a unique violation reached the edge");
                Self::internal()
            }
            StoreError::Query(source) => {
                tracing::error!(error = &source as &dyn std::error::Error, "a statement failed");
                Self::internal()
            }
            StoreError::Corrupt(what) => {
                tracing::error!(what, "a stored value cannot be read");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_postgres() {
        for (states, wanted) in [
            (&["40001", "40P01", "55P03"][..], Kind::Conflict),
            (&["08006", "08P01", "53100", "53300", "57014", "57P01", "57P03", "25006"], Kind::Unavailable),
            // Two that SQLite would mean something else by, and plain defects.
            (&["00008", "00005", "25001", "23503", "42P01", "XX000", ""], Kind::Other),
        ] {
            for state in states {
                assert_eq!(kind_in_postgres(state), wanted, "{state}");
            }
        }
    }

    #[test]
    fn codes_of_sqlite() {
        for (codes, wanted) in [
            // BUSY, BUSY_RECOVERY, BUSY_SNAPSHOT, BUSY_TIMEOUT, LOCKED, LOCKED_SHAREDCACHE
            (&[5, 261, 517, 773, 6, 262][..], Kind::Conflict),
            // READONLY, READONLY_DBMOVED, IOERR, IOERR_FSYNC, IOERR_DATA, FULL, CANTOPEN, CANTOPEN_ISDIR
            (&[8, 1_032, 10, 1_034, 8_202, 13, 14, 526], Kind::Unavailable),
            // ERROR, CORRUPT, CONSTRAINT_NOTNULL, MISUSE; and texts that PostgreSQL would mean something else by.
            (&[1, 11, 1_299, 21, 40_001, 53_100, 57_014], Kind::Other),
        ] {
            for code in codes {
                assert_eq!(kind_in_sqlite(*code), wanted, "{code}");
            }
        }
    }

    #[test]
    fn a_server_that_says_farewell_has_closed_the_connection() {
        for (state, gone) in [
            ("57P01", true),
            ("57P02", true),
            ("57P03", true),
            ("08006", true),
            ("57014", false),
            ("53300", false),
        ] {
            assert_eq!(is_farewell(state), gone, "{state}");
        }
    }
}
