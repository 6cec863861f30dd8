//! Adds a domain to a directory: pending, or verified where it lies below a verified one (K46).
//!
//! Nobody asks here whether others add it too: whoever proves it first has it (D-15).

use access::permission::WriteDomains;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{Tx, idempotency, retry};
use kernel::DirectoryId;

use super::{UseCases, lock_active};
use crate::domain::directory_domain::{Domain, MOST_DOMAINS, Seen};
use crate::domain::domain_name::DomainName;
use crate::domain::refused::Refused;
use crate::store;
use crate::store::directories::Locked;

/// A domain of a directory, as a command names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainOf {
    /// Where it belongs.
    pub directory: DirectoryId,
    /// The domain.
    pub name: DomainName,
}

impl UseCases {
    /// `CreateDomain`.
    pub(crate) async fn create_domain(&self, call: &Call, command: &DomainOf) -> Result<Seen, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = self.require_writing(call, command.directory).await?;
            retry(call, || self.create_domain_once(call, &command.name, &permit)).await
        })
        .await
    }

    async fn create_domain_once(
        &self,
        call: &Call,
        name: &DomainName,
        permit: &Permit<WriteDomains>,
    ) -> Result<Seen, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = lock_active(&mut tx, permit).await?;
        let there = store::domains::find(&mut tx, permit.directory(), name).await?;
        let domain = if let Some(domain) = there {
            domain
        } else {
            let domain = self.new_domain(&mut tx, call, permit, &locked, name).await?;
            store::domains::insert(&mut tx, permit, &locked, &domain).await?;
            record(&mut tx, call, permit, ChangeKind::Created, &domain, &[]).await?;
            domain
        };
        let seen = domain.seen_in(locked.directory());
        idempotency::complete(&mut tx, call, &seen).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(seen)
    }

    async fn new_domain(
        &self,
        tx: &mut Tx,
        call: &Call,
        permit: &Permit<WriteDomains>,
        locked: &Locked,
        name: &DomainName,
    ) -> Result<Domain, Refused> {
        if store::domains::count(tx, locked).await? >= MOST_DOMAINS {
            return Err(Refused::DomainQuota(MOST_DOMAINS));
        }
        let root = name.root();
        if *name == root {
            let bits = self.challenges.bits(permit.directory(), name, call.now);
            return Ok(Domain::pending(name.clone(), bits, call.now));
        }
        // K46: what the directory has proven already proves what lies below it.
        if !store::domains::has_verified_above(tx, locked, name).await? {
            return Err(Refused::DomainNotVerified(root));
        }
        claim(tx, permit, name).await?;
        Ok(Domain::verified(name.clone(), call.now))
    }
}

/// D-15, K46: a domain, what lies above it and what lies below it belong to one directory.
pub(super) async fn claim(
    tx: &mut Tx,
    permit: &Permit<WriteDomains>,
    name: &DomainName,
) -> Result<(), Refused> {
    let is_free = store::domains::claim(tx, permit, name).await?;
    if !is_free || store::domains::is_related_elsewhere(tx, permit, name).await? {
        return Err(Refused::DomainVerifiedElsewhere(name.clone()));
    }
    Ok(())
}

/// Puts a change of a domain into the change log.
pub(super) async fn record(
    tx: &mut Tx,
    call: &Call,
    permit: &Permit<WriteDomains>,
    kind: ChangeKind,
    after: &Domain,
    changed_fields: &[&str],
) -> Result<(), Refused> {
    let resource = format!("directories/{}/domains/{}", permit.directory(), after.name);
    change_log::append(tx, permit, call, &Change { resource, kind, after, changed_fields }).await?;
    Ok(())
}
