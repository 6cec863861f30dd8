//! Places a lien, or answers with the one that stands; when it may go again is its creator's matter (K11).

use access::permission::WriteLiens;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{Tx, idempotency, retry};
use kernel::DirectoryId;

use super::{UseCases, lien_creator, require_provider};
use crate::domain::lien::{Claim, Guarded, Lien, Placement};
use crate::domain::refused::Refused;
use crate::store;
use crate::store::directories::Locked;

/// `CreateLien` as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateLien {
    /// Where the lien belongs.
    pub directory: DirectoryId,
    /// What its creator says.
    pub claim: Claim,
}

impl UseCases {
    /// `CreateLien`.
    pub(crate) async fn create_lien(&self, call: &Call, command: &CreateLien) -> Result<Lien, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = require_provider(call, command.directory)?;
            retry(call, || self.create_lien_once(call, &command.claim, &permit)).await
        })
        .await
    }

    async fn create_lien_once(
        &self,
        call: &Call,
        claim: &Claim,
        permit: &Permit<WriteLiens>,
    ) -> Result<Lien, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = store::directories::lock(&mut tx, permit)
            .await?
            .ok_or_else(|| Refused::DirectoryNotFound(permit.directory()))?;
        if let Guarded::Domain(domain) = &claim.guarded
            && !store::domains::has(&mut tx, &locked, domain).await?
        {
            return Err(Refused::DomainNotFound(domain.clone()));
        }
        let creator = lien_creator(call, permit);
        let before = store::liens::before(&mut tx, &locked, creator, claim).await?;
        let placement = Lien::place(locked.directory(), &before, claim.clone(), creator, call.now)?;
        let lien = match placement {
            Placement::Standing(lien) => lien,
            Placement::Placed(lien) => {
                if let Some(replaced) = before.standing {
                    remove(&mut tx, call, permit, &locked, &replaced).await?;
                }
                store::liens::insert(&mut tx, permit, &locked, &lien).await?;
                let change = change(permit, ChangeKind::Created, &lien);
                change_log::append(&mut tx, permit, call, &change).await?;
                lien
            }
        };
        idempotency::complete(&mut tx, call, &lien).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(lien)
    }
}

/// Takes a lien's row away, and says so in the change log.
pub(super) async fn remove(
    tx: &mut Tx,
    call: &Call,
    permit: &Permit<WriteLiens>,
    locked: &Locked,
    lien: &Lien,
) -> Result<(), Refused> {
    store::liens::delete(tx, permit, locked, lien.id).await?;
    change_log::append(tx, permit, call, &change(permit, ChangeKind::Deleted, lien)).await?;
    Ok(())
}

fn change<'a>(permit: &Permit<WriteLiens>, kind: ChangeKind, lien: &'a Lien) -> Change<'a, Lien> {
    let resource = format!("directories/{}/liens/{}", permit.directory(), lien.id);
    Change { resource, kind, after: lien, changed_fields: &[] }
}
