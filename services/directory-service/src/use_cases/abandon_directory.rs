//! Gives up a directory that is still being made and frees its label; what was active once is never abandoned (K37).

use access::permission::ProvisionDirectory;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{idempotency, retry};
use kernel::DirectoryId;

use super::{UseCases, require_provider};
use crate::domain::directory::{Directory, Step};
use crate::domain::refused::Refused;
use crate::store;

impl UseCases {
    /// `AbandonDirectory`.
    pub(crate) async fn abandon_directory(&self, call: &Call, id: DirectoryId) -> Result<Directory, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require_provider(call, id)?;
            retry(call, || self.abandon_directory_once(call, &permit)).await
        })
        .await
    }

    async fn abandon_directory_once(
        &self,
        call: &Call,
        permit: &Permit<ProvisionDirectory>,
    ) -> Result<Directory, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = store::directories::lock(&mut tx, permit)
            .await?
            .ok_or_else(|| Refused::DirectoryNotFound(permit.directory()))?;
        let directory = match locked.directory().abandon(call.now)? {
            Step::AlreadyTaken => locked.directory().clone(),
            Step::Changed(directory) => {
                store::directories::update(&mut tx, permit, &locked, &directory).await?;
                store::domains::free_initial(&mut tx, permit, &locked).await?;
                let change = Change {
                    resource: format!("directories/{}", directory.id),
                    kind: ChangeKind::Deleted,
                    after: &directory,
                    changed_fields: &[],
                };
                change_log::append(&mut tx, permit, call, &change).await?;
                directory
            }
        };
        idempotency::complete(&mut tx, call, &directory).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(directory)
    }
}
