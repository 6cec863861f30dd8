//! Removes a lien; whether what it guarded is gone, its creator knows.

use access::permission::WriteLiens;
use access::{Call, Permit};
use database::{idempotency, retry};
use kernel::{DirectoryId, LienId};

use super::create_lien::remove;
use super::{UseCases, actor_of, require_provider};
use crate::domain::lien::Actor;
use crate::domain::refused::Refused;
use crate::store;

/// `DeleteLien` as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeleteLien {
    /// Where the lien belongs.
    pub directory: DirectoryId,
    /// The lien.
    pub lien: LienId,
    /// Whether it is fine if there is none.
    pub allow_missing: bool,
}

impl UseCases {
    /// `DeleteLien`.
    pub(crate) async fn delete_lien(&self, call: &Call, command: DeleteLien) -> Result<(), Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require_provider(call, command.directory)?;
            let actor = actor_of(call, &permit);
            retry(call, || self.delete_lien_once(call, command, &permit, actor)).await
        })
        .await
    }

    async fn delete_lien_once(
        &self,
        call: &Call,
        command: DeleteLien,
        permit: &Permit<WriteLiens>,
        actor: Actor<'_>,
    ) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        if let Some(()) = idempotency::claim(&mut tx, call).await? {
            return Ok(());
        }
        let missing = || Refused::LienNotFound { directory: command.directory, lien: command.lien };
        let locked = store::directories::lock(&mut tx, permit).await?;
        let lien = match &locked {
            Some(_) => store::liens::find(&mut tx, permit.directory(), command.lien).await?,
            None => None,
        };
        match (&locked, lien) {
            (Some(locked), Some(lien)) => {
                lien.require_creator(permit.directory(), actor)?;
                remove(&mut tx, call, permit, locked, &lien).await?;
                // What asks for it late does not bring it back.
                store::liens::note_removed(&mut tx, permit, locked, &lien).await?;
            }
            _ if command.allow_missing => {}
            _ => return Err(missing()),
        }
        idempotency::complete(&mut tx, call, &()).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(())
    }
}
