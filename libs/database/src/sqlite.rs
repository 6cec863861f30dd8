//! A SQLite database: one connection that writes, for the `writer` alone, and a few that read beside it.
//!
//! How writes become batches is told there.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection};

use access::PERMIT_LIFETIME;

use crate::attempt;
use crate::commits::Commits;
use crate::connect::{ACQUIRE_TIMEOUT, OpenError};
use crate::migrate::Migrations;
use crate::unit::SqliteTx;
use crate::writer::{Batching, Worker, Writer};

/// Connections that read beside the one that writes.
const READERS: u32 = 4;

pub(crate) struct Sqlite {
    writer: Writer,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens and migrates the file; gives the writer's task, too.
    pub(crate) async fn open(
        path: &Path,
        batching: Batching,
        migrations: &Migrations,
        commits: &Commits,
    ) -> Result<(Self, Worker), OpenError> {
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // P-8: acknowledged means on the disk; speed comes from group commit, never from less than FULL.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIMEOUT)
            .foreign_keys(true);
        let mut connection = options.connect().await.map_err(OpenError::Connect)?;
        migrations.for_sqlite().run(&mut connection).await.map_err(OpenError::Migrate)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(is_clean(connection)))
            .connect_with(options.clone().read_only(true).create_if_missing(false))
            .await
            .map_err(OpenError::Connect)?;
        let options = options.create_if_missing(false);
        let (writer, worker) = Writer::new(connection, options, batching, commits.clone());
        Ok((Self { writer, readers }, worker))
    }

    pub(crate) async fn read(&self) -> Result<SqliteTx, sqlx::Error> {
        Ok(SqliteTx::Snapshot(self.readers.begin().await?))
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<sqlx::Sqlite>, sqlx::Error> {
        self.readers.acquire().await
    }

    pub(crate) async fn write(&self) -> Result<SqliteTx, sqlx::Error> {
        // Who waited for longer would find its permit too old to commit under (K7).
        let unit = self.writer.unit(attempt::lane(), PERMIT_LIFETIME).await?;
        attempt::note(&unit.batch);
        Ok(SqliteTx::Unit(unit))
    }

    /// Closes the readers, and lets the writer end after those who wait for it.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close();
    }
}

/// Whether a pooled connection is out of every transaction; one that is not is closed and replaced.
pub(crate) async fn is_clean<C: Connection>(connection: &mut C) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The rollback of a dropped transaction may still be under way.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file before SQLite does, so that nobody else may read it; what lies beside it is made alike.
fn make_private(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(OpenError::Connect(error.into())),
        Ok(_) | Err(_) => Ok(()),
    }
}
