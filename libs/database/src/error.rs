//! What can go wrong with a database, told apart by what the caller can do about it.

use std::time::Duration;

use kernel::reason;
use kernel::refusal::{Code, Refusal};

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
        matches!(self, Self::PermitStale | Self::HoldLost)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
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
        match database.code().as_deref().unwrap_or_default() {
            // PostgreSQL: serialization_failure, deadlock_detected, lock_not_available. SQLite: BUSY and its kinds, LOCKED.
            "40001" | "40P01" | "55P03" | "5" | "261" | "517" | "773" | "6" | "262" => Self::Conflict(error),
            // SQLite: READONLY, IOERR, CANTOPEN, FULL (and extended IOERR codes, whose low byte is 10).
            "8" | "10" | "13" | "14" => Self::Unavailable(error),
            code if code
                .parse::<u32>()
                .is_ok_and(|code| code & 0xff == 10 && code < 0x10000 && code > 0xff) =>
            {
                Self::Unavailable(error)
            }
            // PostgreSQL: connection exceptions, insufficient resources, operator intervention.
            code if code.len() == 5 && ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable(error)
            }
            _ => Self::Query(error),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) | StoreError::PermitStale | StoreError::HoldLost => Self::new(
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
