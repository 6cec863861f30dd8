//! Places a lien, or answers with the one that stands; when it may go again is its creator's matter (K11).

use access::permission::WriteLiens;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{Tx, idempotency, retry};
use kernel::DirectoryId;

use super::{UseCases, actor_of, require_provider};
use crate::domain::lien::{Actor, Claim, Guarded, Lien, Placement};
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
            let actor = actor_of(call, &permit);
            retry(call, || self.create_lien_once(call, &command.claim, &permit, actor)).await
        })
        .await
    }

    async fn create_lien_once(
        &self,
        call: &Call,
        claim: &Claim,
        permit: &Permit<WriteLiens>,
        actor: Actor<'_>,
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
        let standing = store::liens::standing(&mut tx, &locked, &claim.guarded, &claim.origin).await?;
        let placement = Lien::place(locked.directory(), standing.as_ref(), claim.clone(), actor, call.now)?;
        let lien = match (placement, standing) {
            (Placement::Standing(lien), _) => lien,
            (Placement::Placed(lien), replaced) => {
                if let Some(replaced) = replaced {
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

/// Removes a lien, and says so in the change log.
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
