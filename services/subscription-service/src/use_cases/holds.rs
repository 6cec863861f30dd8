//! The hold on a directory: taken before the first purchase, let go when nothing is left under it (K11).
//!
//! Every ordering transaction locks the hold's row itself; here stand only the steps outside of transactions.

use database::StoreError;
use database::fail_point::{self, FailPoint};
use database::hold::{self, Hold};
use kernel::{DirectoryId, Timestamp};

use super::UseCases;
use crate::domain::refused::Refused;
use crate::peers::directory::LienAnswer;
use crate::store;

/// For what the directory is held.
pub(crate) const HOLD_REASON: &str = "subscriptions";

impl UseCases {
    /// Whether the directory is held already.
    pub(super) async fn is_held(&self, directory: DirectoryId) -> Result<bool, Refused> {
        Ok(matches!(hold::find(&self.db, directory, HOLD_REASON).await?, Hold::Held(_)))
    }

    /// Takes the lien on the directory unless it is held; one that is being let go is let go first.
    pub(crate) async fn ensure_hold(&self, directory: DirectoryId) -> Result<(), Refused> {
        self.finish_release(directory).await?;
        let hold = hold::begin(&self.db, directory, HOLD_REASON, self.clock.now()).await?;
        if let Hold::Taking(revision) = hold {
            self.take(directory, revision).await?;
        }
        fail_point::reached(FailPoint::AfterHold);
        Ok(())
    }

    /// Takes the lien of a revision that the hold's row names; taken twice, it is the same one.
    async fn take(&self, directory: DirectoryId, revision: i64) -> Result<(), Refused> {
        match self.directory.take_lien(directory, revision).await? {
            LienAnswer::Stands(lien) => {
                fail_point::reached(FailPoint::AfterLien);
                let now = self.clock.now();
                Ok(hold::held(&self.db, directory, HOLD_REASON, lien, revision, now).await?)
            }
            LienAnswer::Removed { up_to } => {
                hold::outdated(&self.db, directory, HOLD_REASON, revision, up_to).await?;
                Err(StoreError::HoldLost.into())
            }
        }
    }

    /// Lets go of the directory if nothing is left under the hold; says whether it did.
    pub(crate) async fn release_hold(&self, directory: DirectoryId, now: Timestamp) -> Result<bool, Refused> {
        if let Hold::Taking(revision) = hold::find(&self.db, directory, HOLD_REASON).await? {
            // Nobody knows whether a lien stands. Taken once more it is known, and can be let go.
            match self.take(directory, revision).await {
                // None stands: one that did would have been told. The row stays, in case a late request places one yet.
                Err(Refused::DirectoryNotActive { .. }) => return Ok(false),
                taken => taken?,
            }
        }
        if self.is_held(directory).await? && !self.mark_releasing(directory, now).await? {
            return Ok(false);
        }
        self.finish_release(directory).await?;
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

    async fn finish_release(&self, directory: DirectoryId) -> Result<(), Refused> {
        if let Hold::Releasing(lien) = hold::find(&self.db, directory, HOLD_REASON).await? {
            self.directory.release_lien(directory, lien).await?;
            hold::released(&self.db, directory, HOLD_REASON, lien).await?;
        }
        Ok(())
    }
}
