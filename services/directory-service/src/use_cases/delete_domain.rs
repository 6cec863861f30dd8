//! Removes a domain that nothing depends on any more (D-10, D-11, D-19, K11).
//!
//! Whether user names have it is known to identity-service, whose lien says so.

use access::permission::WriteDomains;
use access::{Call, Permit};
use database::change_log::ChangeKind;
use database::{Tx, idempotency, retry};
use kernel::Etag;

use super::create_domain::{DomainOf, record};
use super::{UseCases, lock_active};
use crate::domain::directory_domain::Domain;
use crate::domain::lien::{Guarded, Restriction};
use crate::domain::refused::Refused;
use crate::store;
use crate::store::directories::Locked;

/// `DeleteDomain` as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeleteDomain {
    /// The domain.
    pub domain: DomainOf,
    /// What the caller has read.
    pub etag: Option<Etag>,
    /// Whether it is fine if there is none.
    pub allow_missing: bool,
}

impl UseCases {
    /// `DeleteDomain`.
    pub(crate) async fn delete_domain(&self, call: &Call, command: &DeleteDomain) -> Result<(), Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = self.require_writing(call, command.domain.directory).await?;
            retry(call, || self.delete_domain_once(call, command, &permit)).await
        })
        .await
    }

    async fn delete_domain_once(
        &self,
        call: &Call,
        command: &DeleteDomain,
        permit: &Permit<WriteDomains>,
    ) -> Result<(), Refused> {
        let name = &command.domain.name;
        let mut tx = self.db.write().await?;
        if let Some(()) = idempotency::claim(&mut tx, call).await? {
            return Ok(());
        }
        let locked = lock_active(&mut tx, permit).await?;
        match store::domains::find(&mut tx, permit.directory(), name).await? {
            Some(domain) => {
                let resource = format!("directories/{}/domains/{name}", permit.directory());
                Etag::guard(command.etag.as_ref(), domain.revision, resource)?;
                require_removable(&mut tx, &locked, &domain).await?;
                store::domains::delete(&mut tx, permit, &locked, name).await?;
                record(&mut tx, call, permit, ChangeKind::Deleted, &domain, &[]).await?;
            }
            None if command.allow_missing => {}
            None => return Err(Refused::DomainNotFound(name.clone())),
        }
        idempotency::complete(&mut tx, call, &()).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(())
    }
}

async fn require_removable(tx: &mut Tx, locked: &Locked, domain: &Domain) -> Result<(), Refused> {
    domain.require_removable(locked.directory())?;
    if store::domains::has_below(tx, locked, &domain.name).await? {
        return Err(Refused::DomainHasSubdomains(domain.name.clone()));
    }
    let guarded = Guarded::Domain(domain.name.clone());
    let liens = store::liens::restricting(tx, locked, &guarded, Restriction::DeleteDomain).await?;
    if liens.is_empty() {
        Ok(())
    } else {
        let liens = liens.into_iter().map(|lien| (lien.id, lien.sentence())).collect();
        Err(Refused::LiensPresent { resource: guarded.name_in(locked.directory().id), liens })
    }
}
