//! A unit of a batch from inside: its turn at SQLite's one writing connection, and the outcome that it waits for (K10).
//!
//! When a turn begins and ends, and what becomes of the batch, is the `writer`'s matter.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use kernel::DirectoryId;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard, oneshot, watch};

use crate::deferred::Deferred;
use crate::error::StoreError;

/// The writing connection, and whose turn it is.
pub(crate) struct Writing {
    pub(crate) connection: SqliteConnection,
    /// The number of the unit whose turn it is; a unit of another number runs no statement.
    pub(crate) turn: u64,
    /// When the last statement ended, or the turn began.
    pub(crate) last_used: Instant,
}

/// SQLite's transactions.
#[doc(hidden)]
pub enum SqliteTx {
    /// A snapshot, on a connection of its own.
    Snapshot(Transaction<'static, Sqlite>),
    /// One reading statement by itself.
    Single(PoolConnection<Sqlite>),
    /// A unit of a batch.
    Unit(Unit),
}

/// A unit whose turn it is, or was; dropped means rolled back, by the writer.
#[doc(hidden)]
pub struct Unit {
    pub(crate) writing: Arc<Mutex<Writing>>,
    pub(crate) number: u64,
    pub(crate) is_broken: bool,
    pub(crate) deferred: Deferred,
    pub(crate) committed: oneshot::Sender<Release>,
    pub(crate) batch: Batch,
}

/// A unit's wish for the COMMIT.
pub(crate) struct Release {
    pub(crate) directories: Vec<DirectoryId>,
    /// What is still to be run for it.
    pub(crate) deferred: Deferred,
    /// Told when that failed: the unit is rolled back, and the batch goes on without it.
    pub(crate) failed: oneshot::Sender<sqlx::Error>,
}

/// The connection, held for one statement.
#[doc(hidden)]
pub struct Held<'a>(Holder<'a>);

enum Holder<'a> {
    Reader(&'a mut SqliteConnection),
    Unit { writing: MutexGuard<'a, Writing>, is_broken: &'a mut bool },
}

impl SqliteTx {
    /// The connection for one statement; an error where the turn is over.
    pub async fn connection(&mut self) -> Result<Held<'_>, sqlx::Error> {
        match self {
            Self::Snapshot(transaction) => Ok(Held(Holder::Reader(&mut *transaction))),
            Self::Single(connection) => Ok(Held(Holder::Reader(&mut *connection))),
            Self::Unit(Unit { writing, number, is_broken, deferred, .. }) => {
                let writing = writing.lock().await;
                if writing.turn != *number || *is_broken {
                    return Err(TurnOver.into());
                }
                let mut held = Held(Holder::Unit { writing, is_broken });
                if !deferred.is_empty() {
                    let outcome = std::mem::take(deferred).run(&mut held).await;
                    held.note(&outcome);
                    outcome?;
                }
                Ok(held)
            }
        }
    }

    /// Where statements are put off to; only who writes does so.
    pub async fn deferred(&mut self) -> Result<&mut Deferred, sqlx::Error> {
        if matches!(self, Self::Unit(unit) if unit.deferred.is_full()) {
            self.connection().await?;
        }
        match self {
            Self::Unit(unit) => Ok(&mut unit.deferred),
            Self::Snapshot(_) | Self::Single(_) => {
                Err(sqlx::Error::Io(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)))
            }
        }
    }
}

impl Unit {
    /// Asks for the COMMIT and waits for the batch's outcome.
    pub(crate) async fn commit(self, directories: Vec<DirectoryId>) -> Result<(), StoreError> {
        let (failed, mut failure) = oneshot::channel();
        let release = Release { directories, deferred: self.deferred, failed };
        if self.is_broken || self.committed.send(release).is_err() {
            return Err(StoreError::from(sqlx::Error::from(TurnOver)));
        }
        let settled = self.batch.settled().await;
        // Told before the batch is settled.
        if let Ok(error) = failure.try_recv() {
            return Err(StoreError::from(error));
        }
        settled.into_result()
    }
}

impl Held<'_> {
    /// Gives the connection back after its statement.
    pub fn used<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.note(&outcome);
        outcome
    }

    fn note<T>(&mut self, outcome: &Result<T, sqlx::Error>) {
        if let Holder::Unit { is_broken, .. } = &mut self.0 {
            **is_broken = outcome.as_ref().is_err_and(may_end_a_transaction);
        }
    }
}

/// After these SQLite may have ended the transaction by itself: a further statement would be one of its own.
pub(crate) fn may_end_a_transaction(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    // BUSY, NOMEM, INTERRUPT, IOERR, FULL
    code.and_then(|code| code.parse().ok())
        .is_some_and(|code: u32| matches!(code & 0xff, 5 | 7 | 9 | 10 | 13))
}

impl Deref for Held<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match &self.0 {
            Holder::Reader(connection) => connection,
            Holder::Unit { writing, .. } => &writing.connection,
        }
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match &mut self.0 {
            Holder::Reader(connection) => connection,
            Holder::Unit { writing, .. } => &mut writing.connection,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Holder::Unit { writing, .. } = &mut self.0 {
            writing.last_used = Instant::now();
        }
    }
}

/// A unit stood still for too long while others waited, or went on after an error that may have ended the transaction.
#[derive(Debug, thiserror::Error)]
#[error("the unit's turn at the writing connection is over")]
pub(crate) struct TurnOver;

impl From<TurnOver> for sqlx::Error {
    fn from(over: TurnOver) -> Self {
        Self::Io(io::Error::other(over))
    }
}

/// The batch that a unit is in.
#[derive(Clone)]
pub(crate) struct Batch(pub(crate) watch::Receiver<Option<Settled>>);

/// What became of a batch.
#[derive(Clone)]
pub(crate) enum Settled {
    /// It is on the disk.
    Committed,
    /// Nothing of it has happened.
    Failed(Arc<sqlx::Error>),
    /// It has happened wholly or not at all.
    Unknown(Arc<sqlx::Error>),
}

/// Why none of a batch's units is committed.
#[derive(Debug, thiserror::Error)]
#[error("the transaction of the unit's batch failed")]
struct BatchFailed(#[source] Arc<sqlx::Error>);

impl Batch {
    /// Waits until the batch is committed, or failed.
    pub(crate) async fn settled(mut self) -> Settled {
        let gone = || Settled::Unknown(Arc::new(sqlx::Error::WorkerCrashed));
        match self.0.wait_for(Option::is_some).await {
            Ok(settled) => settled.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }
}

impl Settled {
    /// The outcome of a unit of the batch.
    pub(crate) fn into_result(self) -> Result<(), StoreError> {
        let wrapped = |error| sqlx::Error::Io(io::Error::other(BatchFailed(error)));
        match self {
            Self::Committed => Ok(()),
            Self::Failed(error) => Err(StoreError::Unavailable(wrapped(error))),
            Self::Unknown(error) => Err(StoreError::OutcomeUnknown(wrapped(error))),
        }
    }
}
