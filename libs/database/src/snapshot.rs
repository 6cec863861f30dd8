//! Looking at a database that somebody else may be writing: one snapshot, nothing migrated, nothing written or made.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tokio_util::task::TaskTracker;

use crate::commits::Commits;
use crate::connect::{ACQUIRE_TIMEOUT, OpenError};
use crate::tx::{Ends, PostgresTx, Tx, TxEngine};
use crate::unit::SqliteTx;
use crate::url::DatabaseUrl;

/// A snapshot of whatever stands in the database, on a connection that can only read.
pub async fn snapshot(url: &DatabaseUrl) -> Result<Tx, OpenError> {
    let engine = match url {
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(false)
                .read_only(true)
                .immutable(!has_log(path))
                .busy_timeout(ACQUIRE_TIMEOUT);
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
            let transaction = pool.map_err(OpenError::Connect)?.begin().await.map_err(OpenError::Connect)?;
            TxEngine::Sqlite(SqliteTx::Snapshot(transaction))
        }
        DatabaseUrl::Postgres(options) => {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options.as_ref().clone())
                .await
                .map_err(OpenError::Connect)?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let transaction = pool.begin_with(begin).await.map_err(OpenError::Connect)?;
            TxEngine::Postgres(PostgresTx::Whole(transaction))
        }
    };
    Ok(Tx::of(engine, Ends { commits: Commits::default(), tasks: TaskTracker::new() }))
}

/// Whether a write-ahead log lies beside the file, as it does while a server runs. A file without one is read as it is:
/// otherwise SQLite would make one, which a folder of backups may forbid.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log).exists()
}
