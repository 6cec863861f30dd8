//! The hold on a directory: taken before the first purchase, let go when nothing is left under it (K11).
//!
//! Every ordering transaction locks the hold's row itself; how a lien is taken and let go, `runtime::holds` knows.

use access::Service;
use database::hold;
use kernel::{DirectoryId, Refusal, Timestamp};
use runtime::holds::{Held, NotHeld};

use super::UseCases;
use crate::domain::refused::Refused;
use crate::store;

/// For what the directory is held.
pub(crate) const HOLD_REASON: &str = "subscriptions";

/// The hold on a directory with subscriptions.
const fn held(directory: DirectoryId) -> Held<'static> {
    Held {
        directory,
        reason: HOLD_REASON,
        below: "",
        restriction: "directory.directories.delete",
        sentence: "The directory has subscriptions.",
    }
}

impl UseCases {
    /// Whether the directory is held already.
    pub(super) async fn is_held(&self, directory: DirectoryId) -> Result<bool, Refused> {
        Ok(self.holds.find(&held(directory)).await?.is_some())
    }

    /// Takes the lien on the directory unless it is held; one that is being let go is let go first.
    pub(crate) async fn ensure_hold(&self, directory: DirectoryId) -> Result<(), Refused> {
        self.holds.ensure(&held(directory)).await?;
        Ok(())
    }

    /// Lets go of the directory if nothing is left under the hold; says whether it did.
    pub(crate) async fn release_hold(&self, directory: DirectoryId, now: Timestamp) -> Result<bool, Refused> {
        if !self.holds.settle(&held(directory)).await? {
            return Ok(false);
        }
        if self.is_held(directory).await? && !self.mark_releasing(directory, now).await? {
            return Ok(false);
        }
        self.holds.finish_release(&held(directory)).await?;
        Ok(true)
    }

    /// Marks the hold under its lock, so that no order comes between counting and letting go.
    async fn mark_releasing(&self, directory: DirectoryId, now: Timestamp) -> Result<bool, Refused> {
        let mut tx = self.db.write().await?;
        let locked = hold::lock(&mut tx, directory, HOLD_REASON).await?;
        if store::holds::has_cause(&mut tx, directory, now).await? {
            return Ok(false);
        }
        hold::release(&mut tx, directory, HOLD_REASON, &locked).await?;
        tx.commit_bookkeeping().await?;
        Ok(true)
    }
}

impl From<NotHeld> for Refused {
    fn from(not_held: NotHeld) -> Self {
        match not_held {
            NotHeld::DirectoryNotActive { directory, state } => Self::DirectoryNotActive { directory, state },
            NotHeld::Unavailable(refusal) => refusal.into(),
            NotHeld::Store(error) => error.into(),
            // The directory itself is guarded: this answers another question.
            NotHeld::Missing(_) => Refusal::dependency_unavailable(Service::Directory.as_str()).into(),
        }
    }
}
