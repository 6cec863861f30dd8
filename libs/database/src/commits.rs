//! Who is told of commits: the workers that wait for changes, and the observers of directories.
//!
//! Does not commit; what an observer does with the news is its own matter.

use std::sync::{Arc, PoisonError, RwLock};

use kernel::DirectoryId;
use tokio::sync::Notify;

/// Told the directories that were noted by what a COMMIT may have written.
pub type CommitObserver = Arc<dyn Fn(&[DirectoryId]) + Send + Sync>;

/// Those who are told; clones tell the same ones.
#[derive(Clone, Default)]
pub(crate) struct Commits {
    changed: Arc<Notify>,
    observers: Arc<RwLock<Vec<CommitObserver>>>,
}

impl Commits {
    pub(crate) fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    pub(crate) fn observe(&self, observer: CommitObserver) {
        self.observers.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Tells of one COMMIT, whatever came of it; to be called before anybody is answered.
    pub(crate) fn tell(&self, directories: &[DirectoryId]) {
        for observer in self.observers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(directories);
        }
        self.changed.notify_one();
    }
}
