//! `DeleteRoleAssignment`: takes a directory role away, under the guard row of P-4.

use access::permission::WriteRoleAssignments;
use access::{Call, Caller, Consistency, Permit, require};
use database::change_log::{Change, ChangeKind};
use database::{change_log, idempotency, retry};
use kernel::{DirectoryId, Etag, RoleAssignmentId};

use super::UseCases;
use crate::domain::administrators;
use crate::domain::refused::Refused;
use crate::store;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct DeleteRoleAssignment {
    pub(crate) directory: DirectoryId,
    pub(crate) id: RoleAssignmentId,
    pub(crate) etag: Option<Etag>,
    pub(crate) allow_missing: bool,
}

impl UseCases {
    /// Takes the role away.
    pub(crate) async fn delete_role_assignment(
        &self,
        call: &Call,
        caller: &Caller,
        command: &DeleteRoleAssignment,
    ) -> Result<(), Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require::<WriteRoleAssignments>(
                &self.judge,
                caller,
                command.directory,
                Consistency::Fresh,
                self.clock.now(),
            )
            .await?;
            retry(call, || self.delete_role_assignment_once(call, caller, &permit, command)).await
        })
        .await
    }

    async fn delete_role_assignment_once(
        &self,
        call: &Call,
        caller: &Caller,
        permit: &Permit<WriteRoleAssignments>,
        command: &DeleteRoleAssignment,
    ) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        if let Some(recorded) = idempotency::claim(&mut tx, call).await? {
            return Ok(recorded);
        }
        // K8: the guard row before the facts, so that two who remove each other come one after the other.
        let locked = store::directories::lock_admins(&mut tx, permit).await?;
        let found = store::role_assignments::find(&mut tx, permit.directory(), command.id).await?;
        if let (Some(locked), Some(assignment)) = (&locked, &found) {
            let name = format!("directories/{}/roleAssignments/{}", permit.directory(), assignment.id);
            Etag::guard(command.etag.as_ref(), assignment.revision, name)?;
            let others = store::directories::other_admins(&mut tx, locked, assignment.principal).await?;
            let own = caller.signed_in().map(|own| own.principal);
            administrators::may_remove(assignment, permit.directory(), own, others, call.now)?;
            store::role_assignments::delete(&mut tx, permit, locked, assignment.id).await?;
            store::users::count_change(&mut tx, permit, assignment.principal).await?;
            let change = Change {
                resource: format!("directories/{}/roleAssignments/{}", permit.directory(), assignment.id),
                kind: ChangeKind::Deleted,
                after: assignment,
                changed_fields: &[],
            };
            change_log::append(&mut tx, permit, call, &change).await?;
        } else if !command.allow_missing {
            return Err(Refused::RoleAssignmentNotFound(permit.directory(), command.id));
        }
        idempotency::complete(&mut tx, call, &()).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(())
    }
}
