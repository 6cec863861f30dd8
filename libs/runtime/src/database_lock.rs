//! The lock beside an SQLite file, by which one process at a time serves on it: what a process holds of its database in
//! memory, such as identity's table of decisions (P-12), is true only while nobody else writes.
//!
//! PostgreSQL is shared by replicas and has none. Processes take it, not whoever opens a database to look into it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use database::DatabaseUrl;

use crate::data_folder::{NotLocked, lock_file};

/// Why a process cannot serve on a database file; the text says what would help.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseLockError {
    /// Another process serves on it.
    #[error(
        "the database {} is in use by another process{holder}; stop it, or choose another file: on SQLite a service has \
         one process",
        .path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The holder's process id, where it could be read, as ` (process 7)`.
        holder: String,
    },
    /// The file system refuses.
    #[error("the lock of the database {} cannot be taken: {error}", .path.display())]
    Unusable {
        /// The database.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A locked database file; dropping it, or the end of the process however it comes, frees the lock.
#[derive(Debug)]
pub struct DatabaseLock {
    /// Beside the database: closing a handle of the file itself would end SQLite's own locks on it. It stays behind, as
    /// that of the data folder does.
    _lock: File,
}

impl DatabaseLock {
    /// Locks the file of a database that is one.
    pub fn of(url: &DatabaseUrl) -> Result<Option<Self>, DatabaseLockError> {
        match url {
            DatabaseUrl::Sqlite(path) => Self::of_file(path).map(Some),
            DatabaseUrl::Postgres(_) => Ok(None),
        }
    }

    /// Locks a database file, which need not exist yet.
    pub fn of_file(path: &Path) -> Result<Self, DatabaseLockError> {
        let unusable = |error| DatabaseLockError::Unusable { path: path.to_owned(), error };
        let lock = beside(path).map_err(unusable)?;
        match lock_file(&lock) {
            Ok(lock) => Ok(Self { _lock: lock }),
            Err(NotLocked::InUse(holder)) => Err(DatabaseLockError::InUse { path: path.to_owned(), holder }),
            Err(NotLocked::Unusable(error)) => Err(unusable(error)),
        }
    }
}

/// The lock's path: by whatever links one comes to a database, its lock is one.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut lock: OsString = match fs::canonicalize(path) {
        Ok(file) => file.into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
            fs::canonicalize(dir)?.join(name).into()
        }
        Err(error) => return Err(error),
    };
    lock.push(".lock");
    Ok(lock.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_database_is_one_processs_by_whatever_path_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir(&dir).unwrap();
        let file = dir.join("identity.db");
        let url: DatabaseUrl = format!("sqlite:{}", file.display()).parse().unwrap();
        let held = DatabaseLock::of(&url).unwrap().unwrap();
        let refused = DatabaseLock::of_file(&dir.join("../data/identity.db")).unwrap_err();
        assert!(refused.to_string().contains(&format!("(process {})", std::process::id())), "{refused}");
        DatabaseLock::of_file(&dir.join("directory.db")).unwrap();
        fs::write(&file, "").unwrap();
        let link = folder.path().join("link.db");
        symlink(&file, &link).unwrap();
        assert!(matches!(DatabaseLock::of_file(&link), Err(DatabaseLockError::InUse { .. })));
        drop(held);
        DatabaseLock::of_file(&link).unwrap();
    }

    #[test]
    fn postgres_has_no_lock() {
        let url: DatabaseUrl = "postgres://ada@localhost/tenure".parse().unwrap();
        assert!(DatabaseLock::of(&url).unwrap().is_none());
    }
}
