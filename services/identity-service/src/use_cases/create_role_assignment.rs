//! `CreateRoleAssignment`: gives a directory role. It cannot break P-4 and takes no lock.

use access::permission::WriteRoleAssignments;
use access::{Call, Caller, Consistency, Permit, require, roles};
use database::change_log::{Change, ChangeKind};
use database::{StoreError, change_log, idempotency, retry};
use kernel::{DirectoryId, Principal, RoleAssignmentId, Timestamp, Violations};

use super::UseCases;
use crate::domain::directory::require_active;
use crate::domain::refused::Refused;
use crate::domain::role_assignment::RoleAssignment;
use crate::domain::user::UserState;
use crate::store;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct CreateRoleAssignment {
    pub(crate) directory: DirectoryId,
    pub(crate) principal: Principal,
    /// The slug, known or not.
    pub(crate) role: String,
    pub(crate) expire_time: Option<Timestamp>,
    pub(crate) allow_existing: bool,
}

impl UseCases {
    /// Gives the role, or gives the assignment by which it is held already.
    pub(crate) async fn create_role_assignment(
        &self,
        call: &Call,
        caller: &Caller,
        command: &CreateRoleAssignment,
    ) -> Result<RoleAssignment, Refused> {
        idempotency::once(&self.db, call, || async {
            // Inside: a retry that comes after the end gets the recorded answer.
            if command.expire_time.is_some_and(|end| end <= call.now) {
                let mut violations = Violations::new();
                violations.add("role_assignment.expire_time", "must be in the future");
                violations.finish()?;
            }
            let permit = require::<WriteRoleAssignments>(
                &self.judge,
                caller,
                command.directory,
                Consistency::Fresh,
                self.clock.now(),
            )
            .await?;
            retry(call, || self.create_role_assignment_once(call, &permit, command)).await
        })
        .await
    }

    async fn create_role_assignment_once(
        &self,
        call: &Call,
        permit: &Permit<WriteRoleAssignments>,
        command: &CreateRoleAssignment,
    ) -> Result<RoleAssignment, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(recorded) = idempotency::claim(&mut tx, call).await? {
            return Ok(recorded);
        }
        let assignment = new_assignment(call, permit, command)?;
        let directory = permit.directory();
        // K39: looked for first, because what has expired is removed below.
        if store::role_assignments::find(&mut tx, directory, assignment.id).await?.is_some() {
            return Err(StoreError::RequestIdReused.into());
        }
        require_active(directory, store::directories::find(&mut tx, directory).await?)?;
        let holder = store::users::find(&mut tx, directory, assignment.principal).await?;
        let holder = holder.ok_or(Refused::PrincipalNotFound(command.principal))?;
        if holder.state != UserState::Active {
            return Err(Refused::PrincipalNotActive(command.principal, holder.state));
        }
        store::role_assignments::remove_expired(&mut tx, permit, holder.id, &assignment.role, call.now)
            .await?;
        if !store::role_assignments::insert(&mut tx, permit, &assignment).await? {
            let held =
                store::role_assignments::find_held(&mut tx, directory, holder.id, &assignment.role).await?;
            if !command.allow_existing {
                return Err(Refused::RoleAssignmentExists(directory, held.id));
            }
            idempotency::complete(&mut tx, call, &held).await?;
            tx.commit(permit, &self.clock).await?;
            return Ok(held);
        }
        store::users::count_change(&mut tx, permit, holder.id).await?;
        let change = Change {
            resource: format!("directories/{directory}/roleAssignments/{}", assignment.id),
            kind: ChangeKind::Created,
            after: &assignment,
            changed_fields: &[],
        };
        change_log::append(&mut tx, permit, call, &change).await?;
        idempotency::complete(&mut tx, call, &assignment).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(assignment)
    }
}

fn new_assignment(
    call: &Call,
    permit: &Permit<WriteRoleAssignments>,
    command: &CreateRoleAssignment,
) -> Result<RoleAssignment, Refused> {
    let role = roles::find(&command.role).ok_or_else(|| Refused::RoleNotFound(command.role.clone()))?;
    // K19: roles are held by people of the same directory.
    let principal = command.principal.user().filter(|_| command.principal.directory() == permit.directory());
    Ok(RoleAssignment {
        id: RoleAssignmentId::from_uuid(call.new_id),
        principal: principal.ok_or(Refused::PrincipalNotFound(command.principal))?,
        role: role.slug.clone(),
        create_principal: permit.actor().to_owned(),
        create_time: call.now,
        expire_time: command.expire_time,
        revision: 1,
    })
}
