//! The data that Tenure runs on: a folder, or a folder and databases of a PostgreSQL server, copied for each run.

use std::env;
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::Failed;

/// The contexts, each with a database.
pub(crate) const CONTEXTS: [&str; 3] = ["directory", "identity", "subscription"];
/// Where the PostgreSQL server is, unless `TEST_POSTGRES_URL` says otherwise.
const DEFAULT_SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// Data of one run; it goes with this value, unless it is kept.
#[derive(Debug)]
pub(crate) struct Data {
    folder: PathBuf,
    /// Databases of the server begin with this; without it there are files in the folder.
    prefix: Option<String>,
    kept: bool,
}

impl Data {
    /// Nothing yet; whatever was there under this name is removed.
    pub(crate) async fn fresh(parent: &Path, name: &str, on_postgres: bool) -> Result<Self, Failed> {
        let mut data = Self::at(parent, name, on_postgres);
        data.make_folder()?;
        data.kept = false;
        if let Some(prefix) = &data.prefix {
            create_databases(prefix, None).await?;
        }
        Ok(data)
    }

    /// What is there under this name, and stays there.
    pub(crate) fn at(parent: &Path, name: &str, on_postgres: bool) -> Self {
        let folder = parent.join(name);
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let prefix = on_postgres.then(|| format!("load_{:016x}", hasher.finish()));
        Self { folder, prefix, kept: true }
    }

    /// The same again under another name; nothing may be running on the original.
    pub(crate) async fn copy(&self, parent: &Path, name: &str) -> Result<Self, Failed> {
        let mut copy = Self::at(parent, name, self.prefix.is_some());
        copy.make_folder()?;
        copy.kept = false;
        copy_folder(&self.folder, &copy.folder)?;
        if let (Some(from), Some(to)) = (&self.prefix, &copy.prefix) {
            create_databases(to, Some(from)).await?;
        }
        Ok(copy)
    }

    /// Leaves it for later runs.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a context's database is.
    pub(crate) fn database_url(&self, context: &str) -> String {
        match &self.prefix {
            None => format!("sqlite:{}", self.folder.join(format!("{context}.db")).display()),
            Some(prefix) => {
                let server = server();
                let base = server.rsplit_once('/').map_or(server.as_str(), |(base, _)| base);
                // In clear, whatever the server offers, so that rounds on different servers compare.
                format!("{base}/{prefix}_{context}?sslmode=disable")
            }
        }
    }

    /// Whether its databases are on the server, which may be another than that of an earlier run.
    pub(crate) async fn has_databases(&self) -> Result<bool, Failed> {
        let Some(prefix) = &self.prefix else { return Ok(true) };
        let mut connection = PgConnection::connect(&server()).await?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)")
                .bind(prefix)
                .fetch_one(&mut connection)
                .await?;
        Ok(usize::try_from(count)? == CONTEXTS.len())
    }

    fn make_folder(&self) -> Result<(), Failed> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        if let Some(parent) = self.folder.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(DirBuilder::new().mode(0o700).create(&self.folder)?)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(prefix) = self.prefix.take() {
            // A runtime cannot be waited for from within itself.
            let _ = std::thread::spawn(move || remove_databases(&prefix)).join();
        }
    }
}

fn server() -> String {
    env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| DEFAULT_SERVER.to_owned())
}

/// Makes the databases of all contexts anew, as copies of others or empty.
async fn create_databases(prefix: &str, from: Option<&str>) -> Result<(), Failed> {
    let mut connection = PgConnection::connect(&server()).await?;
    for context in CONTEXTS {
        drop_database(&mut connection, prefix, context).await?;
        let template = from.map_or_else(|| "template0".to_owned(), |from| format!("{from}_{context}"));
        let create = format!("CREATE DATABASE {prefix}_{context} TEMPLATE {template}");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await?;
    }
    Ok(())
}

async fn drop_database(connection: &mut PgConnection, prefix: &str, context: &str) -> Result<(), Failed> {
    let drop = format!("DROP DATABASE IF EXISTS {prefix}_{context} WITH (FORCE)");
    sqlx::query(AssertSqlSafe(drop)).execute(connection).await?;
    Ok(())
}

fn remove_databases(prefix: &str) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&server()).await?;
        for context in CONTEXTS {
            drop_database(&mut connection, prefix, context).await?;
        }
        Ok(())
    })
}

/// Copies files with their rights, which keys need.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Failed> {
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
