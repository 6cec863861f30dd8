//! `CreateUser`: a new member of a directory (U-01 to U-06, U-10).

use access::permission::CreateUsers;
use access::{Call, Caller, Consistency, Permit, require};
use database::change_log::{Change, ChangeKind};
use database::{change_log, idempotency, read_one, retry};
use kernel::{DirectoryId, UserId};

use super::UseCases;
use crate::domain::directory::require_active;
use crate::domain::refused::Refused;
use crate::domain::user::{FirstPassword, Profile, User};
use crate::domain::user_principal_name::UserPrincipalName;
use crate::store;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct CreateUser {
    pub(crate) directory: DirectoryId,
    pub(crate) name: UserPrincipalName,
    pub(crate) profile: Profile,
    /// Without one the person cannot sign in.
    pub(crate) password: Option<FirstPassword>,
    pub(crate) validate_only: bool,
}

impl UseCases {
    /// Creates the member, or with `validate_only` tells what would be.
    pub(crate) async fn create_user(
        &self,
        call: &Call,
        caller: &Caller,
        command: &CreateUser,
    ) -> Result<User, Refused> {
        let judge = || {
            require::<CreateUsers>(
                &self.judge,
                caller,
                command.directory,
                Consistency::Fresh,
                self.clock.now(),
            )
        };
        if command.validate_only {
            judge().await?;
            self.check_domain(command).await?;
            return self.validate_user(call, command).await;
        }
        idempotency::once(&self.db, call, || async {
            let mut permit = judge().await?;
            self.check_domain(command).await?;
            let mut hash = None;
            if let Some(first) = &command.password {
                let turn = self.hasher.turn(self.hasher.place()?).await?;
                hash = Some(self.hasher.hash(turn, first.password.clone()).await?);
                // Hashing may have taken longer than a permit is good for (K7).
                permit = judge().await?;
            }
            retry(call, || self.create_user_once(call, &permit, command, hash.as_deref())).await
        })
        .await
    }

    async fn create_user_once(
        &self,
        call: &Call,
        permit: &Permit<CreateUsers>,
        command: &CreateUser,
        hash: Option<&str>,
    ) -> Result<User, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(recorded) = idempotency::claim(&mut tx, call).await? {
            return Ok(recorded);
        }
        require_active(permit.directory(), store::directories::find(&mut tx, permit.directory()).await?)?;
        let user = new_user(call, command);
        if !store::users::insert(&mut tx, permit, &user).await? {
            return Err(Refused::UserPrincipalNameTaken(user.user_principal_name));
        }
        if let Some(hash) = hash {
            store::credentials::insert(&mut tx, permit, user.id, hash, call.now).await?;
        }
        let change = Change {
            resource: user.principal(permit.directory()).to_string(),
            kind: ChangeKind::Created,
            after: &user,
            changed_fields: &[],
        };
        change_log::append(&mut tx, permit, call, &change).await?;
        idempotency::complete(&mut tx, call, &user).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(user)
    }

    async fn validate_user(&self, call: &Call, command: &CreateUser) -> Result<User, Refused> {
        let mut tx = self.db.read().await?;
        require_active(command.directory, store::directories::find(&mut tx, command.directory).await?)?;
        let user = new_user(call, command);
        if store::users::is_name_free(&mut tx, command.directory, &user.user_principal_name).await? {
            Ok(user)
        } else {
            Err(Refused::UserPrincipalNameTaken(user.user_principal_name))
        }
    }

    /// U-03, P-7: the domain is verified in this directory; its initial domain is known here, others are asked about.
    async fn check_domain(&self, command: &CreateUser) -> Result<(), Refused> {
        let domain = command.name.domain();
        // The transaction looks at the directory's state once more.
        if self.initial_domains.get(&command.directory).is_some_and(|initial| *initial == *domain) {
            return Ok(());
        }
        let known = read_one!(self.db, |tx| store::directories::find(tx, command.directory).await)?;
        let known = require_active(command.directory, known)?;
        if domain == known.initial_domain {
            self.initial_domains.insert(command.directory, domain.into());
            Ok(())
        } else if self.directory.is_verified(&domain, command.directory).await? {
            Ok(())
        } else {
            Err(Refused::DomainNotVerified(domain))
        }
    }
}

fn new_user(call: &Call, command: &CreateUser) -> User {
    let change_required = command.password.as_ref().is_some_and(|first| first.change_required);
    let id = UserId::from_uuid(call.new_id);
    User::new_member(id, &command.name, &command.profile, change_required, call.now)
}
