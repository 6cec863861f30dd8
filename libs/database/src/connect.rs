//! Opening a database and its transactions; what is done inside them is the stores' matter.

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use kernel::DirectoryId;
use sqlx::Connection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::commits::Commits;
use crate::error::{StoreError, connection_is_gone};
use crate::migrate::Migrations;
use crate::on;
use crate::read_one::{Reader, Reads};
use crate::tx::{Ends, Tx};
use crate::url::DatabaseUrl;

/// How long a request waits for a connection before storage counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite connections that read beside the one that writes.
const SQLITE_READERS: u32 = 4;

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub url: DatabaseUrl,
    /// The most connections of this process to a PostgreSQL server.
    pub postgres_connections: u32,
}

impl Settings {
    /// The default number of connections.
    pub const POSTGRES_CONNECTIONS: u32 = 16;

    /// The defaults for this address.
    pub const fn at(url: DatabaseUrl) -> Self {
        Self { url, postgres_connections: Self::POSTGRES_CONNECTIONS }
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No connection.
    #[error("cannot connect to the database")]
    Connect(#[source] sqlx::Error),
    /// The schema could not be brought to this program's.
    #[error("cannot migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The server would acknowledge what it has not stored (P-8, K34).
    #[error("PostgreSQL runs with {setting} = off: acknowledged writes could be lost; set {setting} = on")]
    NotDurable {
        /// The server's setting.
        setting: &'static str,
    },
}

enum Engine {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// One context's database.
#[derive(Clone)]
pub struct Db {
    engine: Arc<Engine>,
    commits: Commits,
    tasks: TaskTracker,
}

impl Db {
    /// Connects, migrates, and checks that durable means durable.
    pub async fn open(settings: &Settings, migrations: &Migrations) -> Result<Self, OpenError> {
        let engine = match &settings.url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, migrations).await?,
            DatabaseUrl::Postgres(options) => {
                let pool = PgPoolOptions::new()
                    .max_connections(settings.postgres_connections)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .test_before_acquire(false)
                    .before_acquire(|connection, _| Box::pin(is_clean(connection)))
                    .connect_with(options.as_ref().clone())
                    .await
                    .map_err(OpenError::Connect)?;
                check_durability(&pool).await?;
                migrations.for_postgres().run(&pool).await.map_err(OpenError::Migrate)?;
                Engine::Postgres(pool)
            }
        };
        Ok(Self { engine: Arc::new(engine), commits: Commits::default(), tasks: TaskTracker::new() })
    }

    /// A read-only transaction: one snapshot for all its statements.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        self.begin(false).await
    }

    /// A writing transaction: SQLite's single writer, or READ COMMITTED with the guard row locked first (K8).
    pub async fn write(&self) -> Result<Tx, StoreError> {
        self.begin(true).await
    }

    /// Told after every commit of a writing transaction: a hint for workers, polling is the truth (K13).
    pub fn changed(&self) -> Arc<Notify> {
        self.commits.changed()
    }

    /// Has the observer told after each COMMIT of a writing transaction, also a failed one and one of unknown outcome,
    /// before the committing caller is answered, and whether or not that caller still waits.
    ///
    /// It is told the directories whose change log the transaction added to; it must neither block nor panic.
    pub fn on_commit(&self, observer: Arc<dyn Fn(&[DirectoryId]) + Send + Sync>) {
        self.commits.observe(observer);
    }

    /// Whether the database answers now, to readers and to a writer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        for mut tx in [self.read().await?, self.write().await?] {
            // A row that is there from the first migration on: a constant would be answered without the file.
            let select = "SELECT id FROM change_log_head WHERE id = 1";
            let _head: i64 = on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await)?;
        }
        Ok(())
    }

    /// Closes all connections; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        match self.engine.as_ref() {
            Engine::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }

    /// Begins a transaction. A pooled connection that broke meanwhile, or that the server closed when it was stopped,
    /// fails here, before any statement of ours was sent, so that trying the next one is safe (K7).
    async fn begin(&self, writing: bool) -> Result<Tx, StoreError> {
        let pooled = match self.engine.as_ref() {
            Engine::Sqlite { .. } => 0,
            Engine::Postgres(pool) => pool.options().get_max_connections(),
        };
        for _ in 0..pooled {
            match self.begin_once(writing).await {
                Err(error) if connection_is_gone(&error) => {}
                other => return Ok(other?),
            }
        }
        // All that were pooled are gone: the next one is new.
        Ok(self.begin_once(writing).await?)
    }

    /// A connection for [`read_one!`](crate::read_one) alone.
    #[doc(hidden)]
    pub async fn reader(&self) -> Result<Reader, sqlx::Error> {
        match self.engine.as_ref() {
            Engine::Sqlite { readers, .. } => readers.acquire().await.map(Reader::Sqlite),
            Engine::Postgres(pool) => pool.acquire().await.map(Reader::Postgres),
        }
    }

    /// How often [`read_one!`](crate::read_one) may repeat its statement: once for each connection that was pooled.
    #[doc(hidden)]
    pub fn reads(&self) -> Reads {
        Reads(match self.engine.as_ref() {
            Engine::Sqlite { .. } => 0,
            Engine::Postgres(pool) => pool.options().get_max_connections(),
        })
    }

    fn ends(&self) -> Ends {
        Ends { commits: self.commits.clone(), tasks: self.tasks.clone() }
    }

    async fn begin_once(&self, writing: bool) -> Result<Tx, sqlx::Error> {
        match (self.engine.as_ref(), writing) {
            (Engine::Sqlite { writer, .. }, true) => {
                Ok(Tx::sqlite(writer.begin_with("BEGIN IMMEDIATE").await?, self.ends()))
            }
            (Engine::Sqlite { readers, .. }, false) => Ok(Tx::sqlite(readers.begin().await?, self.ends())),
            (Engine::Postgres(pool), true) => {
                Ok(Tx::postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?, self.ends()))
            }
            (Engine::Postgres(pool), false) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Ok(Tx::postgres(pool.begin_with(begin).await?, self.ends()))
            }
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.engine.as_ref() {
            Engine::Sqlite { .. } => "Db(SQLite)",
            Engine::Postgres(_) => "Db(PostgreSQL)",
        })
    }
}

async fn open_sqlite(path: &std::path::Path, migrations: &Migrations) -> Result<Engine, OpenError> {
    make_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // P-8: acknowledged means on the disk; speed comes from group commit, never from less than FULL.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .foreign_keys(true);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_clean(connection)))
        .connect_with(options.clone())
        .await
        .map_err(OpenError::Connect)?;
    migrations.for_sqlite().run(&writer).await.map_err(OpenError::Migrate)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_clean(connection)))
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(OpenError::Connect)?;
    Ok(Engine::Sqlite { writer, readers })
}

/// Whether a pooled connection is out of every transaction; one that is not is closed and replaced.
///
/// A COMMIT that failed, on a full disk for instance, may leave the connection inside of a transaction that the
/// database has ended: no later one could begin on it.
async fn is_clean<C: Connection>(connection: &mut C) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The rollback of a dropped transaction may still be under way.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Makes the file before SQLite does, so that nobody else may read it; what lies beside it is made alike.
fn make_private(path: &std::path::Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(OpenError::Connect(error.into())),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn check_durability(pool: &PgPool) -> Result<(), OpenError> {
    for setting in ["synchronous_commit", "fsync"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(pool)
            .await
            .map_err(OpenError::Connect)?;
        if value == "off" {
            return Err(OpenError::NotDurable { setting });
        }
    }
    Ok(())
}
