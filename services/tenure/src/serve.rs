//! `tenure serve`: all three services in one process, on one data folder.

use std::process::ExitCode;

use runtime::clock::{system_clock, system_ids};
use runtime::data_folder::{DataFolder, DataFolderError};
use runtime::database_lock::{DatabaseLock, DatabaseLockError};
use runtime::keys::{KeyError, KeyFolder};
use runtime::process::{self, Serving, StartFailed};
use runtime::shutdown::Signals;

use crate::embedded::{Databases, Deps, Embedded};
use crate::options::Settings;

/// Why the server could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeFailed {
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The key files.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The locks of the database files.
    #[error(transparent)]
    Lock(#[from] DatabaseLockError),
    /// The databases.
    #[error(transparent)]
    Database(#[from] database::OpenError),
    /// The server.
    #[error(transparent)]
    Start(#[from] StartFailed),
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: process::Running,
    /// The operator's and the services' keys.
    pub keys: KeyFolder,
    folder: DataFolder,
    /// Against a service's own process on one of the files, which asks for no folder.
    locks: [DatabaseLock; 3],
}

impl Running {
    /// Locks the data folder, opens the databases, starts workers and the server.
    pub async fn start(settings: &Settings) -> Result<Self, ServeFailed> {
        let signals = Signals::listen();
        let folder = DataFolder::lock(&settings.data_dir)?;
        let of_databases = Databases::NAMES.map(|name| folder.path().join(format!("{name}.db")));
        let [directory, identity, subscription] =
            of_databases.each_ref().map(|file| DatabaseLock::of_file(file));
        let locks = [directory?, identity?, subscription?];
        let mut files = KeyFolder::files(&folder.keys());
        files.extend(of_databases);
        folder.check_whole(&files)?;
        let keys = KeyFolder::open_or_create(&folder.keys())?;
        let databases = Databases::open(&folder, settings.change_retention).await?;
        folder.note_whole()?;
        let deps = Deps::new(settings, databases.clone(), system_clock(), system_ids());
        let embedded = Embedded::build(&deps, &keys);
        let services = vec![
            (embedded.directory, databases.directory),
            (embedded.identity, databases.identity),
            (embedded.subscription, databases.subscription),
        ];
        let serving = Serving { services, workers: embedded.workers, limits: embedded.limits };
        let process = process::Running::start(&settings.process, signals, serving).await?;
        Ok(Self { process, keys, folder, locks })
    }

    /// Serves until a signal, then stops in order; the folder is let go last.
    pub async fn until_stopped(self) -> ExitCode {
        let code = self.process.until_stopped().await;
        drop((self.locks, self.folder));
        code
    }

    /// Stops at once in order, without waiting for a signal; says how that went.
    pub async fn stop(self) -> ExitCode {
        let code = self.process.stop().await;
        drop((self.locks, self.folder));
        code
    }
}

/// `tenure serve`.
pub async fn serve(settings: &Settings) -> Result<ExitCode, ServeFailed> {
    let running = Running::start(settings).await?;
    running.process.announce();
    Ok(running.until_stopped().await)
}
