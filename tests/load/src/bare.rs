//! `load bare`: the statements of a call without us, or its hash, driven by this process itself.
//!
//! Reads one order a line and answers each with a sample. Writes of SQLite are committed in groups, as many as queued up
//! during the commit before; those of PostgreSQL run over a pool, each in a transaction of its own. What a use case reads
//! before its transaction is left out: a bare transaction is the writing one alone.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::Failed;
use crate::drive::{Counter, Work};
use crate::measure::{Order, Sample, sample};
use crate::process::own_cpu;
use crate::statements::{Rows, Statements};

/// Connections as Tenure has them.
const POSTGRES_CONNECTIONS: u32 = 16;
const SQLITE_READERS: u32 = 4;
const HASHES_AT_ONCE: usize = 2;
/// The most that is committed together.
const MOST_IN_GROUP: usize = 256;

/// What is run without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BareKind {
    /// The writing transaction of `CreateUser`.
    CreateUser,
    /// The writing transaction of `AttachOffice365Subscription`.
    Attach,
    /// A person by their primary key.
    PointRead,
    /// The one statement of a fully consistent check.
    CheckRead,
    /// The hash of a sign-in.
    Argon2,
}

impl std::fmt::Display for BareKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CreateUser => "create-user",
            Self::Attach => "attach",
            Self::PointRead => "point-read",
            Self::CheckRead => "check-read",
            Self::Argon2 => "argon2",
        })
    }
}

impl BareKind {
    /// The context whose database it needs.
    pub(crate) const fn context(self) -> &'static str {
        match self {
            Self::Attach => "subscription",
            Self::CreateUser | Self::PointRead | Self::CheckRead | Self::Argon2 => "identity",
        }
    }

    /// The statements of this kind.
    const fn statements(self) -> Option<Statements> {
        match self {
            Self::CreateUser => Some(Statements::CreateUser),
            Self::Attach => Some(Statements::Attach),
            Self::PointRead => Some(Statements::PointRead),
            Self::CheckRead => Some(Statements::CheckRead),
            Self::Argon2 => None,
        }
    }
}

/// Answers orders from standard input until it ends.
pub(crate) async fn run(
    kind: BareKind,
    database: &str,
    mut answer: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<(), Failed> {
    let work = Arc::new(Bare::open(kind, database).await?);
    // Between orders there is nothing to do: this thread, which is none of the runtime's, may wait for them.
    for line in std::io::stdin().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let sampled = sample(&work, order.into(), own_cpu).await;
        let sampled: Result<Sample, String> = sampled.map_err(|error| error.to_string());
        answer(&serde_json::to_string(&sampled)?)?;
    }
    Ok(())
}

struct Bare {
    numbers: Counter,
    engine: Engine,
}

enum Engine {
    /// As many hashes at once as Tenure computes; the others wait, so that none of the two ever idles.
    Argon2(Arc<Semaphore>),
    /// Writes go to the one who commits them in groups.
    SqliteWrites(mpsc::Sender<Job>),
    SqliteReads(SqlitePool, Statements, Rows),
    Postgres(PgPool, Statements, Rows),
}

struct Job {
    number: u64,
    done: oneshot::Sender<Result<(), Failed>>,
}

impl Bare {
    async fn open(kind: BareKind, database: &str) -> Result<Self, Failed> {
        let engine = match (kind.statements(), database.strip_prefix("sqlite:")) {
            (None, _) => Engine::Argon2(Arc::new(Semaphore::new(HASHES_AT_ONCE))),
            (Some(statements), Some(path)) => sqlite(statements, PathBuf::from(path)).await?,
            (Some(statements), None) => {
                let options = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS);
                let pool = options.test_before_acquire(false).connect(database).await?;
                let rows = Rows::of_postgres(&pool, statements).await?;
                Engine::Postgres(pool, statements, rows)
            }
        };
        Ok(Self { numbers: Counter::default(), engine })
    }
}

impl Work for Bare {
    async fn call(&self, _client: usize) -> Result<(), Failed> {
        let number = self.numbers.next();
        match &self.engine {
            Engine::Argon2(places) => {
                let place = Arc::clone(places).acquire_owned().await?;
                let hashed = tokio::task::spawn_blocking(move || {
                    let _held = place;
                    hash()
                });
                hashed.await?
            }
            Engine::SqliteWrites(writer) => {
                let (done, answer) = oneshot::channel();
                writer.send(Job { number, done }).await.map_err(|_| "the writer has ended")?;
                answer.await?
            }
            Engine::SqliteReads(pool, statements, rows) => {
                let mut connection = pool.acquire().await?;
                rows.on_sqlite(*statements, number, &mut connection).await
            }
            Engine::Postgres(pool, statements, rows) if statements.write() => {
                let mut tx = pool.begin().await?;
                rows.on_postgres(*statements, number, &mut tx).await?;
                Ok(tx.commit().await?)
            }
            Engine::Postgres(pool, statements, rows) => {
                let mut connection = pool.acquire().await?;
                rows.on_postgres(*statements, number, &mut connection).await
            }
        }
    }
}

fn hash() -> Result<(), Failed> {
    let hashed: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(b"Correct-Horse-9", b"sixteen bytes...");
    let hashed = hashed.map_err(|error| error.to_string())?;
    if hashed.hash.is_some() { Ok(()) } else { Err("no hash came out".into()) }
}

async fn sqlite(statements: Statements, path: PathBuf) -> Result<Engine, Failed> {
    let options = SqliteConnectOptions::from_str("sqlite:")?
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let connections = if statements.write() { 1 } else { SQLITE_READERS };
    let pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
    let pool = pool.connect_with(options).await?;
    let rows = Rows::of_sqlite(&pool, statements).await?;
    if !statements.write() {
        return Ok(Engine::SqliteReads(pool, statements, rows));
    }
    let (send, receive) = mpsc::channel(MOST_IN_GROUP);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(write_in_groups(pool, statements, rows, receive));
    // The writer ends with its queue.
    tasks.detach_all();
    Ok(Engine::SqliteWrites(send))
}

/// Takes what is queued, commits it together, and answers all of it after the commit.
async fn write_in_groups(
    pool: SqlitePool,
    statements: Statements,
    rows: Rows,
    mut queue: mpsc::Receiver<Job>,
) {
    let mut jobs = Vec::with_capacity(MOST_IN_GROUP);
    while queue.recv_many(&mut jobs, MOST_IN_GROUP).await > 0 {
        let numbers: Vec<u64> = jobs.iter().map(|job| job.number).collect();
        let committed = write_group(&pool, statements, &rows, &numbers).await;
        let failed = committed.err().map(|error| error.to_string());
        for job in jobs.drain(..) {
            let _ = job.done.send(failed.clone().map_or(Ok(()), |failed| Err(failed.into())));
        }
    }
}

async fn write_group(
    pool: &SqlitePool,
    statements: Statements,
    rows: &Rows,
    numbers: &[u64],
) -> Result<(), Failed> {
    let mut tx: Transaction<'_, Sqlite> = pool.begin_with("BEGIN IMMEDIATE").await?;
    for number in numbers {
        rows.on_sqlite(statements, *number, &mut tx).await?;
    }
    Ok(tx.commit().await?)
}
