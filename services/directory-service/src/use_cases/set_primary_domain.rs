//! Makes a verified domain the one that new users get; nobody's name changes (D-11).

use access::permission::WriteDomains;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{idempotency, retry};

use super::create_domain::DomainOf;
use super::{UseCases, lock_active};
use crate::domain::directory::Step;
use crate::domain::directory_domain::Seen;
use crate::domain::refused::Refused;
use crate::store;

impl UseCases {
    /// `SetPrimaryDomain`.
    pub(crate) async fn set_primary_domain(&self, call: &Call, command: &DomainOf) -> Result<Seen, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = self.require_writing(call, command.directory).await?;
            retry(call, || self.set_primary_domain_once(call, command, &permit)).await
        })
        .await
    }

    async fn set_primary_domain_once(
        &self,
        call: &Call,
        command: &DomainOf,
        permit: &Permit<WriteDomains>,
    ) -> Result<Seen, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = lock_active(&mut tx, permit).await?;
        let domain = store::domains::find(&mut tx, permit.directory(), &command.name).await?;
        let domain = domain.ok_or_else(|| Refused::DomainNotFound(command.name.clone()))?;
        domain.require_verified()?;
        let seen = match locked.directory().with_primary_domain(&domain.name, call.now) {
            Step::AlreadyTaken => domain.seen_in(locked.directory()),
            Step::Changed(directory) => {
                store::directories::update_primary_domain(&mut tx, permit, &locked, &directory).await?;
                let change = Change {
                    resource: format!("directories/{}", directory.id),
                    kind: ChangeKind::Updated,
                    after: &directory,
                    changed_fields: &["primary_domain"],
                };
                change_log::append(&mut tx, permit, call, &change).await?;
                domain.seen_in(&directory)
            }
        };
        idempotency::complete(&mut tx, call, &seen).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(seen)
    }
}
