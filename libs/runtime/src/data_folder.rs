//! The folder of an embedded process: its databases and keys, locked while the process lives (K34).
//!
//! What stands in the databases is the services' matter; nothing here opens one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Whatever group and others may do.
const FOR_OTHERS: u32 = 0o077;

/// Why the data folder cannot be used; the text says what would help.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process holds the lock.
    #[error(
        "the data folder {} is in use by another process{holder}; stop it, or choose another folder with --data-dir",
        .path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The holder's process id, where it could be read, as ` (process 7)`.
        holder: String,
    },
    /// Group or others may enter the folder, in which the databases and keys stand.
    #[error(
        "the data folder {} is open to other users; run `chmod 700 {}`, or name a folder that does not exist yet",
        .0.display(), .0.display()
    )]
    OpenToOthers(PathBuf),
    /// A file that was there is gone.
    #[error(
        "the data folder {} has lost {}; put it back from a copy of the whole folder, or begin with an empty folder",
        .path.display(), .file.display()
    )]
    Lost {
        /// The folder.
        path: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// The file system refuses.
    #[error("the data folder {} cannot be used: {error}", .path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A locked data folder; dropping it, or the end of the process however it comes, frees the lock.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Held for its lock alone. The file stays behind on purpose: removing it would let two processes lock two files.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing (0700) and takes the exclusive lock on its file `lock`.
    pub fn lock(path: &Path) -> Result<Self, DataFolderError> {
        let path = path.to_owned();
        let unusable = |error| DataFolderError::Unusable { path: path.clone(), error };
        if path.to_str().is_none() {
            // It could not be written into a database URL, and something like it would be opened instead.
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8")));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(unusable)?;
        keep_to_owner(&path)?;
        match lock_file(&path.join("lock")) {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(NotLocked::InUse(holder)) => Err(DataFolderError::InUse { path, holder }),
            Err(NotLocked::Unusable(error)) => Err(unusable(error)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The URL of the database with this name: `sqlite:<path>/<name>.db`; the path stands in it as it is.
    pub fn database_url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path.join(format!("{name}.db")).display())
    }

    /// Where the keys of this process stand.
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Refuses a folder that was whole once and has lost one of its files since: made anew, the lost one would be
    /// empty, and the others would go on as if it were not.
    pub fn check_whole(&self, files: &[PathBuf]) -> Result<(), DataFolderError> {
        if !self.whole().exists() {
            return Ok(());
        }
        let lost = |file: &&PathBuf| !fs::metadata(file).is_ok_and(|file| file.len() > 0);
        match files.iter().find(lost) {
            Some(file) => Err(DataFolderError::Lost { path: self.path.clone(), file: file.clone() }),
            None => Ok(()),
        }
    }

    /// Notes that all files are there; from now on [`Self::check_whole`] misses them.
    pub fn note_whole(&self) -> Result<(), DataFolderError> {
        let unusable = |error| DataFolderError::Unusable { path: self.path.clone(), error };
        let mut options = OpenOptions::new();
        let whole = options.write(true).create(true).truncate(false).mode(0o600).open(self.whole());
        whole.and_then(|file| file.sync_all()).map_err(unusable)
    }

    fn whole(&self) -> PathBuf {
        self.path.join("whole")
    }
}

/// An empty folder is closed to others, since whatever it will hold is ours; a used one is refused until its owner
/// has decided, because closing it could take it from somebody.
fn keep_to_owner(path: &Path) -> Result<(), DataFolderError> {
    let unusable = |error| DataFolderError::Unusable { path: path.to_owned(), error };
    let mode = fs::metadata(path).map_err(unusable)?.permissions().mode();
    if mode & FOR_OTHERS == 0 {
        return Ok(());
    }
    let is_empty = fs::read_dir(path).map_err(unusable)?.next().is_none();
    if is_empty && fs::set_permissions(path, Permissions::from_mode(0o700)).is_ok() {
        return Ok(());
    }
    Err(DataFolderError::OpenToOthers(path.to_owned()))
}

/// Why a lock was not taken.
pub(crate) enum NotLocked {
    /// Another process holds it: its id, where it could be read, as ` (process 7)`.
    InUse(String),
    /// The file system refuses.
    Unusable(io::Error),
}

/// Takes the exclusive lock on a file that is made for it.
pub(crate) fn lock_file(file: &Path) -> Result<File, NotLocked> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(file).map_err(NotLocked::Unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(NotLocked::InUse(holder(&mut lock))),
        Err(TryLockError::Error(error)) => return Err(NotLocked::Unusable(error)),
    }
    sign(&mut lock).map_err(NotLocked::Unusable)?;
    Ok(lock)
}

/// Writes the process id into the lock, for whoever is refused.
fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    write!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    let read = lock.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!(" (process {process})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/data");
        let held = DataFolder::lock(&path).unwrap();
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
        let refused = DataFolder::lock(&path).unwrap_err();
        assert!(matches!(refused, DataFolderError::InUse { .. }));
        let told = refused.to_string();
        assert!(told.contains("in use by another process") && told.contains("--data-dir"), "{told}");
        assert!(told.contains(&format!("(process {})", std::process::id())), "{told}");
        drop(held);
        DataFolder::lock(&path).unwrap();
    }

    #[test]
    fn an_open_folder_is_closed_when_empty_and_refused_when_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        drop(DataFolder::lock(folder.path()).unwrap());
        assert_eq!(mode(folder.path()), 0o700);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).unwrap();
        let refused = DataFolder::lock(folder.path()).unwrap_err();
        assert!(matches!(refused, DataFolderError::OpenToOthers(_)));
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
        assert_eq!(mode(folder.path()), 0o750, "a refusal changes nothing");
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(DataFolder::lock(&file), Err(DataFolderError::Unusable { .. })));
    }

    #[test]
    fn urls_and_paths_stand_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("50% ?");
        let data = DataFolder::lock(&path).unwrap();
        assert_eq!(data.path(), path);
        assert_eq!(data.database_url("identity"), format!("sqlite:{}/identity.db", path.display()));
        assert_eq!(data.keys(), path.join("keys"));
    }
}
