//! A transaction on whichever database it is, and the one macro that runs a statement in it (S8).

use access::{Permission, Permit};
use kernel::{Clock, DirectoryId};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Postgres, Transaction};
use tokio_util::task::TaskTracker;

use crate::commits::Commits;
use crate::error::StoreError;
use crate::fail_point::{self, FailPoint};
use crate::unit::SqliteTx;

/// An open transaction; dropped means rolled back.
pub struct Tx {
    /// The driver's transaction, for [`on!`](crate::on) alone.
    #[doc(hidden)]
    pub engine: TxEngine,
    ends: Ends,
    directories: Vec<DirectoryId>,
}

/// What the end of a transaction needs.
pub(crate) struct Ends {
    pub(crate) commits: Commits,
    pub(crate) tasks: TaskTracker,
}

/// The two drivers' transactions.
#[doc(hidden)]
pub enum TxEngine {
    /// SQLite's.
    Sqlite(SqliteTx),
    /// PostgreSQL's.
    Postgres(PostgresTx),
}

/// PostgreSQL's transactions.
#[doc(hidden)]
pub enum PostgresTx {
    /// From BEGIN to COMMIT.
    Whole(Transaction<'static, Postgres>),
    /// One reading statement by itself.
    Single(PoolConnection<Postgres>),
}

impl PostgresTx {
    /// The connection for one statement.
    pub fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Whole(transaction) => &mut *transaction,
            Self::Single(connection) => &mut *connection,
        }
    }
}

/// Runs one query on whichever database the transaction is of; the same text serves both.
#[macro_export]
macro_rules! on {
    ($tx:expr, |$connection:ident| $query:expr) => {
        match &mut $tx.engine {
            $crate::TxEngine::Sqlite(transaction) => match transaction.connection().await {
                Ok(mut held) => {
                    let $connection = &mut *held;
                    let outcome = $query;
                    held.used(outcome)
                }
                Err(error) => Err(error),
            },
            $crate::TxEngine::Postgres(transaction) => {
                let $connection = transaction.connection();
                $query
            }
        }
    };
}

/// Runs one writing statement whose outcome nobody looks at: on SQLite with the next one of the transaction, or with its
/// COMMIT, in one round trip; its failure is told there, too.
#[macro_export]
macro_rules! defer {
    ($tx:expr, $sql:expr, $($value:expr),+ $(,)?) => {
        match &mut $tx.engine {
            $crate::TxEngine::Sqlite(transaction) => transaction.deferred().await.and_then(|deferred| {
                deferred.statement($sql);
                $(deferred.bind($value)?;)+
                Ok(())
            }),
            $crate::TxEngine::Postgres(transaction) => {
                ::sqlx::query($sql)$(.bind($value))+.execute(transaction.connection()).await.map(|_| ())
            }
        }
    };
}

impl Tx {
    pub(crate) const fn sqlite(transaction: SqliteTx, ends: Ends) -> Self {
        Self::of(TxEngine::Sqlite(transaction), ends)
    }

    pub(crate) const fn postgres(transaction: Transaction<'static, Postgres>, ends: Ends) -> Self {
        Self::of(TxEngine::Postgres(PostgresTx::Whole(transaction)), ends)
    }

    pub(crate) const fn of(engine: TxEngine, ends: Ends) -> Self {
        Self { engine, ends, directories: Vec::new() }
    }

    /// Commits what a permit allowed, unless the permit has grown too old to rely on (K7).
    pub async fn commit<P: Permission>(self, permit: &Permit<P>, clock: &Clock) -> Result<(), StoreError> {
        if !permit.is_good_at(clock.now()) {
            return Err(StoreError::PermitStale);
        }
        fail_point::reached(FailPoint::BeforeCommit);
        self.commit_bookkeeping().await?;
        fail_point::reached(FailPoint::AfterCommit);
        Ok(())
    }

    /// Commits rows that no right guards: throttles, sessions' uses, positions of the change log, recorded refusals.
    pub async fn commit_bookkeeping(self) -> Result<(), StoreError> {
        let Self { engine, ends: Ends { commits, tasks }, directories } = self;
        let transaction = match engine {
            TxEngine::Sqlite(SqliteTx::Unit(unit)) => return unit.commit(directories).await,
            // What reads has nothing to commit.
            TxEngine::Sqlite(SqliteTx::Snapshot(_) | SqliteTx::Single(_))
            | TxEngine::Postgres(PostgresTx::Single(_)) => return Ok(()),
            TxEngine::Postgres(PostgresTx::Whole(transaction)) => transaction,
        };
        // In a task of its own: who no longer waits for the answer does not keep the observers from hearing of it.
        let committed = tasks.spawn(async move {
            let outcome = transaction.commit().await.map_err(outcome_of);
            commits.tell(&directories);
            outcome
        });
        committed.await.unwrap_or(Err(StoreError::OutcomeUnknown(sqlx::Error::WorkerCrashed)))
    }

    /// Notes that rows of this directory are written from which somebody remembers answers; who observes commits is told.
    pub fn note(&mut self, directory: DirectoryId) {
        if !self.directories.contains(&directory) {
            self.directories.push(directory);
        }
    }

    /// Whether the transaction is PostgreSQL's: the one fork between the dialects, for rows that replicas claim.
    pub const fn is_postgres(&self) -> bool {
        matches!(self.engine, TxEngine::Postgres(_))
    }
}

/// What the failure of a COMMIT means: a connection that ended meanwhile may have committed before.
fn outcome_of(error: sqlx::Error) -> StoreError {
    let error = StoreError::from(error);
    if let StoreError::Unavailable(source) = error { StoreError::OutcomeUnknown(source) } else { error }
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.engine {
            TxEngine::Sqlite(_) => "Tx(SQLite)",
            TxEngine::Postgres(_) => "Tx(PostgreSQL)",
        })
    }
}
