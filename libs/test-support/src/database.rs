//! A fresh, migrated database for each test, of the engine that `TEST_DATABASE` names.
//!
//! `TEST_DATABASE=postgres` without a PostgreSQL server fails the test; nothing is skipped.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};

use database::{Db, Migrations, Settings, Tx, on};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Connections of one test's database: many tests run at once against one server.
const TEST_CONNECTIONS: u32 = 6;
/// Where the tests' PostgreSQL server is, unless `TEST_POSTGRES_URL` says otherwise; in clear, since each test opens
/// connections of its own.
const DEFAULT_SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable";

/// The engines that the suite runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded; the default.
    Sqlite,
    /// By `TEST_DATABASE=postgres`.
    Postgres,
}

/// The engine of this run.
pub fn engine() -> Engine {
    match env::var("TEST_DATABASE").as_deref() {
        Err(_) | Ok("" | "sqlite") => Engine::Sqlite,
        Ok("postgres") => Engine::Postgres,
        Ok(other) => panic!("TEST_DATABASE is {other}: it must be sqlite or postgres"),
    }
}

/// The address of the tests' PostgreSQL server.
pub fn server() -> String {
    env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| DEFAULT_SERVER.to_owned())
}

/// A database that ends with the test.
#[derive(Debug)]
pub struct TestDatabase {
    /// The open database.
    pub db: Db,
    /// How it was opened, to open it once more.
    pub settings: Settings,
    _empty: EmptyDatabase,
}

/// A database without any table, which ends with this value.
#[derive(Debug)]
pub struct EmptyDatabase {
    /// Its address.
    pub url: String,
    _folder: Option<TempDir>,
    postgres: Option<String>,
}

/// A fresh database with the migrations of one context.
pub async fn fresh(context: &str, migrations: &Migrations) -> TestDatabase {
    let empty = empty(context).await;
    let mut settings = Settings::at(empty.url.parse().expect("a test database has an address"));
    settings.postgres_connections = TEST_CONNECTIONS;
    let db = Db::open(&settings, migrations).await.expect("a fresh database can be opened");
    TestDatabase { db, settings, _empty: empty }
}

/// An empty database, for a process that opens it itself.
pub async fn empty(context: &str) -> EmptyDatabase {
    match engine() {
        Engine::Sqlite => {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let url = format!("sqlite:{}", folder.path().join(context).with_extension("db").display());
            EmptyDatabase { url, _folder: Some(folder), postgres: None }
        }
        Engine::Postgres => {
            let name = create_database(context).await;
            EmptyDatabase { url: url_of(&name), _folder: None, postgres: Some(name) }
        }
    }
}

/// A fresh database with the foundation alone, for tests of what stands on no context.
pub async fn foundation() -> TestDatabase {
    let nothing = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };
    fresh("foundation", &nothing).await
}

/// One number from a database.
pub async fn number(db: &Db, select: &'static str) -> i64 {
    let mut tx = db.read().await.expect("a test database reads");
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).expect("the statement is good")
}

/// The number and the text that a statement finds.
pub async fn number_and_text(tx: &mut Tx, select: &'static str) -> (i64, String) {
    on!(tx, |c| sqlx::query_as(select).fetch_one(c).await).expect("the statement is good")
}

/// The address of a database on the tests' server.
pub fn url_of(name: &str) -> String {
    let server = server();
    let (address, query) = server.split_once('?').unwrap_or((&server, ""));
    let (base, _) = address.rsplit_once('/').expect("the server's address ends with a database");
    format!("{base}/{name}?{query}")
}

/// Makes an empty PostgreSQL database whose name is unique to this process and call.
pub async fn create_database(context: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static SWEPT: OnceCell<()> = OnceCell::const_new();
    SWEPT.get_or_init(drop_leftovers).await;
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    let name = format!("tenure_test_{}_{count}_{context}", std::process::id());
    let mut server = connect().await;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut server)
        .await
        .expect("the tests' server lets us make databases");
    name
}

/// Databases of test processes that are gone: a test that panicked in its runtime's end leaves its own behind.
async fn drop_leftovers() {
    let mut server = connect().await;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database WHERE datname LIKE 'tenure_test_%' AND NOT EXISTS
                (SELECT 1 FROM pg_stat_activity WHERE pg_stat_activity.datname = pg_database.datname)",
    )
    .fetch_all(&mut server)
    .await
    .expect("the tests' server lists its databases");
    for name in names {
        let process = name.split('_').nth(2).unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            // Another test process may be sweeping the same one.
            let drop = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"));
            let _ = sqlx::query(drop).execute(&mut server).await;
        }
    }
}

async fn connect() -> PgConnection {
    let server = server();
    PgConnection::connect(&server).await.unwrap_or_else(|error| panic!("no PostgreSQL at {server}: {error}"))
}

impl Drop for EmptyDatabase {
    fn drop(&mut self) {
        let Some(name) = self.postgres.take() else { return };
        // The test's own runtime is ending: the drop runs in one of its own.
        let dropped = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut server = connect().await;
                let drop = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                sqlx::query(drop).execute(&mut server).await.map(|_| ())
            })
        });
        let _ = dropped.join();
    }
}
