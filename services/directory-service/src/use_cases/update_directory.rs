//! Changes what a directory's administrators decide; its state is changed elsewhere.

use access::permission::UpdateDirectory as MayUpdate;
use access::{Call, Consistency, Permit, require};
use database::change_log::{self, Change, ChangeKind};
use database::{idempotency, retry};
use kernel::{DirectoryId, Etag};

use super::{UseCases, caller_of};
use crate::domain::directory::{Directory, Step};
use crate::domain::refused::Refused;
use crate::domain::update::Changes;
use crate::store;

/// `UpdateDirectory` as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpdateDirectory {
    /// Which.
    pub directory: DirectoryId,
    /// As it was read.
    pub etag: Option<Etag>,
    /// What to change.
    pub changes: Changes,
}

impl UseCases {
    /// `UpdateDirectory`.
    pub(crate) async fn update_directory(
        &self,
        call: &Call,
        command: &UpdateDirectory,
    ) -> Result<Directory, Refused> {
        idempotency::once(&self.db, call, || async {
            let (caller, now) = (caller_of(call)?, self.clock.now());
            let permit = require(&self.judge, caller, command.directory, Consistency::Fresh, now).await?;
            retry(call, || self.update_directory_once(call, command, &permit)).await
        })
        .await
    }

    async fn update_directory_once(
        &self,
        call: &Call,
        command: &UpdateDirectory,
        permit: &Permit<MayUpdate>,
    ) -> Result<Directory, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = store::directories::lock(&mut tx, permit)
            .await?
            .ok_or_else(|| Refused::DirectoryNotFound(permit.directory()))?;
        let before = locked.directory();
        let resource = format!("directories/{}", before.id);
        Etag::guard(command.etag.as_ref(), before.revision, &resource)?;
        let directory = match before.update(command.changes.clone(), call.now)? {
            (Step::AlreadyTaken, _) => before.clone(),
            (Step::Changed(directory), changed_fields) => {
                store::directories::update(&mut tx, permit, &locked, &directory).await?;
                let change = Change {
                    resource,
                    kind: ChangeKind::Updated,
                    after: &directory,
                    changed_fields: &changed_fields,
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
