//! Puts a directory into use, the last step of signing up; an abandoned one stays abandoned.

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
    /// `ActivateDirectory`.
    pub(crate) async fn activate_directory(
        &self,
        call: &Call,
        id: DirectoryId,
    ) -> Result<Directory, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require_provider(call, id)?;
            retry(call, || self.activate_directory_once(call, &permit)).await
        })
        .await
    }

    async fn activate_directory_once(
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
        let directory = match locked.directory().activate(call.now)? {
            Step::AlreadyTaken => locked.directory().clone(),
            Step::Changed(directory) => {
                store::directories::update(&mut tx, permit, &locked, &directory).await?;
                let change = Change {
                    resource: format!("directories/{}", directory.id),
                    kind: ChangeKind::Updated,
                    after: &directory,
                    changed_fields: &["state"],
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
