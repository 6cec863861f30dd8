//! Opening a database and its transactions; what is done inside them is the stores' matter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::commits::{CommitObserver, Commits};
use crate::error::{StoreError, connection_is_gone};
use crate::feed;
use crate::migrate::Migrations;
use crate::on;
use crate::read_one::Reads;
use crate::sqlite::{Sqlite, is_clean};
use crate::tx::{Ends, PostgresTx, Tx, TxEngine};
use crate::unit::SqliteTx;
use crate::url::DatabaseUrl;
use crate::writer::Batching;

/// How long a request waits for a connection before storage counts as unavailable.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How to open a database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub url: DatabaseUrl,
    /// The most connections of this process to a PostgreSQL server.
    pub postgres_connections: u32,
    /// How SQLite's writer makes batches of units.
    pub batching: Batching,
    /// How long positioned changes are kept; less than [`feed::LEAST_RETENTION`] counts as that.
    pub change_retention: Duration,
}

impl Settings {
    /// The default number of connections.
    pub const POSTGRES_CONNECTIONS: u32 = 16;

    /// The defaults for this address.
    pub const fn at(url: DatabaseUrl) -> Self {
        Self {
            url,
            postgres_connections: Self::POSTGRES_CONNECTIONS,
            batching: Batching::DEFAULT,
            change_retention: feed::LEAST_RETENTION,
        }
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
    Sqlite(Sqlite),
    Postgres(PgPool),
}

/// One context's database.
#[derive(Clone)]
pub struct Db {
    engine: Arc<Engine>,
    commits: Commits,
    tasks: TaskTracker,
    change_retention: Duration,
}

impl Db {
    /// Connects, migrates, and checks that durable means durable.
    pub async fn open(settings: &Settings, migrations: &Migrations) -> Result<Self, OpenError> {
        let (commits, tasks) = (Commits::default(), TaskTracker::new());
        let engine = match &settings.url {
            DatabaseUrl::Sqlite(path) => {
                let (sqlite, worker) = Sqlite::open(path, settings.batching, migrations, &commits).await?;
                tasks.spawn(worker.run());
                Engine::Sqlite(sqlite)
            }
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
        let change_retention = settings.change_retention.max(feed::LEAST_RETENTION);
        Ok(Self { engine: Arc::new(engine), commits, tasks, change_retention })
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
    /// It is told the directories that the transaction noted; it must neither block nor panic.
    pub fn on_commit(&self, observer: CommitObserver) {
        self.commits.observe(observer);
    }

    /// How long positioned changes are kept.
    pub const fn change_retention(&self) -> Duration {
        self.change_retention
    }

    /// Whether the database answers now, to readers and to a writer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        look(self.read().await?).await?;
        // Only now: nobody waits for a turn that stands still meanwhile.
        let writer = match self.write().await {
            Ok(tx) => look(tx).await,
            Err(error) => Err(error),
        };
        // A writer that gives turns, and ends them, is alive.
        writer.or_else(|error| if error.is_conflict() { Ok(()) } else { Err(error) })
    }

    /// Closes all connections; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        if let Engine::Sqlite(sqlite) = self.engine.as_ref() {
            sqlite.close().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        if let Engine::Postgres(pool) = self.engine.as_ref() {
            pool.close().await;
        }
    }

    /// Begins a transaction. A pooled connection that broke meanwhile, or that the server closed when it was stopped,
    /// fails here, before any statement of ours was sent, so that trying the next one is safe (K7).
    async fn begin(&self, writing: bool) -> Result<Tx, StoreError> {
        let pooled = match self.engine.as_ref() {
            Engine::Sqlite(_) => 0,
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

    /// For one reading statement, of [`read_one!`](crate::read_one) alone.
    #[doc(hidden)]
    pub async fn single(&self) -> Result<Tx, StoreError> {
        let engine = match self.engine.as_ref() {
            Engine::Sqlite(sqlite) => TxEngine::Sqlite(SqliteTx::Single(sqlite.reader().await?)),
            Engine::Postgres(pool) => TxEngine::Postgres(PostgresTx::Single(pool.acquire().await?)),
        };
        Ok(Tx::of(engine, self.ends()))
    }

    /// How often [`read_one!`](crate::read_one) may repeat its statement: once for each connection that was pooled.
    #[doc(hidden)]
    pub fn reads(&self) -> Reads {
        Reads(match self.engine.as_ref() {
            Engine::Sqlite(_) => 0,
            Engine::Postgres(pool) => pool.options().get_max_connections(),
        })
    }

    fn ends(&self) -> Ends {
        Ends { commits: self.commits.clone(), tasks: self.tasks.clone() }
    }

    async fn begin_once(&self, writing: bool) -> Result<Tx, sqlx::Error> {
        match (self.engine.as_ref(), writing) {
            (Engine::Sqlite(sqlite), true) => Ok(Tx::sqlite(sqlite.write().await?, self.ends())),
            (Engine::Sqlite(sqlite), false) => Ok(Tx::sqlite(sqlite.read().await?, self.ends())),
            (Engine::Postgres(pool), writing) => {
                let begin = if writing {
                    "BEGIN ISOLATION LEVEL READ COMMITTED"
                } else {
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                };
                // In a task of its own: were it dropped between BEGIN and its answer, the driver would take the
                // connection for one without a transaction, and the next user would write in a read-only one.
                let pool = pool.clone();
                let spawned = self.tasks.spawn(async move { pool.begin_with(begin).await });
                let transaction = spawned.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
                Ok(Tx::postgres(transaction, self.ends()))
            }
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.engine.as_ref() {
            Engine::Sqlite(_) => "Db(SQLite)",
            Engine::Postgres(_) => "Db(PostgreSQL)",
        })
    }
}

/// Reads a row that is there from the first migration on: a constant would be answered without the file.
async fn look(mut tx: Tx) -> Result<(), StoreError> {
    let select = "SELECT id FROM change_log_head WHERE id = 1";
    let _head: i64 = on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await)?;
    Ok(())
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
