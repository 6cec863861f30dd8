//! Makes a directory, the first step of signing up; who will administer it is identity's matter.

use access::permission::ProvisionDirectory;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{StoreError, idempotency, retry};
use kernel::DirectoryId;

use super::{UseCases, require_provider};
use crate::domain::directory::{Directory, NewDirectory};
use crate::domain::refused::Refused;
use crate::store;

impl UseCases {
    /// `CreateDirectory`.
    pub(crate) async fn create_directory(
        &self,
        call: &Call,
        command: &NewDirectory,
    ) -> Result<Directory, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require_provider(call, DirectoryId::from_uuid(call.new_id))?;
            retry(call, || self.create_directory_once(call, command, &permit)).await
        })
        .await
    }

    async fn create_directory_once(
        &self,
        call: &Call,
        command: &NewDirectory,
        permit: &Permit<ProvisionDirectory>,
    ) -> Result<Directory, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let directory = Directory::provision(permit.directory(), command.clone(), call.now);
        if !store::directories::insert(&mut tx, permit, &directory).await? {
            // K39: the id is derived from the request, whose record is gone after a day.
            return Err(StoreError::RequestIdReused.into());
        }
        // D-10: of all who race for a label, the unique key lets one pass.
        if !store::domains::claim_initial(&mut tx, permit, &directory.initial_domain, call.now).await? {
            return Err(Refused::InitialDomainTaken(directory.initial_domain));
        }
        let change = Change {
            resource: format!("directories/{}", directory.id),
            kind: ChangeKind::Created,
            after: &directory,
            changed_fields: &[],
        };
        change_log::append(&mut tx, permit, call, &change).await?;
        idempotency::complete(&mut tx, call, &directory).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(directory)
    }
}
