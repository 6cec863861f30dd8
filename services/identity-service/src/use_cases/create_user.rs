//! `CreateUser`: a new member of a directory (U-01 to U-06, U-10).

use access::permission::CreateUsers;
use access::{Call, Caller, Consistency, Permit, require};
use database::change_log::{Change, ChangeKind};
use database::{change_log, idempotency, read_one, retry};
use kernel::{DirectoryId, UserId};

use super::UseCases;
use super::domain_holds::HeldDomain;
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

/// All that the transaction needs from before it.
struct Ready<'a> {
    command: &'a CreateUser,
    /// The domain of the name, unless it is the initial one.
    held: Option<HeldDomain>,
    /// Of the password, where there is one.
    hash: Option<String>,
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
            if let Some(domain) = self.own_domain(command).await? {
                self.require_verified(&domain, command.directory).await?;
            }
            return self.validate_user(call, command).await;
        }
        idempotency::once(&self.db, call, || async {
            judge().await?;
            let held = match self.own_domain(command).await? {
                Some(domain) => Some(self.hold_domain(command.directory, domain).await?),
                None => None,
            };
            let hash = match &command.password {
                Some(first) => {
                    let turn = self.hasher.turn(self.hasher.place()?).await?;
                    Some(self.hasher.hash(turn, first.password.clone()).await?)
                }
                None => None,
            };
            // Judged again after peers and hashing, which may have taken longer than a permit is good for (K7).
            let permit = judge().await?;
            let ready = Ready { command, held, hash };
            retry(call, || self.create_user_once(call, &permit, &ready)).await
        })
        .await
    }

    async fn create_user_once(
        &self,
        call: &Call,
        permit: &Permit<CreateUsers>,
        ready: &Ready<'_>,
    ) -> Result<User, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(recorded) = idempotency::claim(&mut tx, call).await? {
            return Ok(recorded);
        }
        require_active(permit.directory(), store::directories::find(&mut tx, permit.directory()).await?)?;
        // P-7: while this is locked, nobody lets go of what keeps the domain.
        let locked = match &ready.held {
            Some(held) => Some(store::domain_holds::lock(&mut tx, permit, &held.reason, held.lien).await?),
            None => None,
        };
        let user = new_user(call, ready.command);
        if !store::users::insert(&mut tx, permit, &user, locked.as_ref()).await? {
            return Err(Refused::UserPrincipalNameTaken(user.user_principal_name));
        }
        if let Some(hash) = &ready.hash {
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

    /// The domain of the name, where it is another than the initial one: that is known here, others are asked about
    /// (U-03, P-7).
    async fn own_domain(&self, command: &CreateUser) -> Result<Option<String>, Refused> {
        let domain = command.name.domain();
        // The transaction looks at the directory's state once more.
        if self.initial_domains.get(&command.directory).is_some_and(|initial| *initial == *domain) {
            return Ok(None);
        }
        let known = read_one!(self.db, |tx| store::directories::find(tx, command.directory).await)?;
        let known = require_active(command.directory, known)?;
        if domain != known.initial_domain {
            return Ok(Some(domain));
        }
        self.initial_domains.insert(command.directory, domain.into());
        Ok(None)
    }
}

fn new_user(call: &Call, command: &CreateUser) -> User {
    let change_required = command.password.as_ref().is_some_and(|first| first.change_required);
    let id = UserId::from_uuid(call.new_id);
    User::new_member(id, &command.name, &command.profile, change_required, call.now)
}
