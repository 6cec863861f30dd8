//! Gives a domain that is not verified another record to prove it with (K23).

use access::permission::WriteDomains;
use access::{Call, Permit};
use database::change_log::ChangeKind;
use database::{idempotency, retry};

use super::create_domain::{DomainOf, record};
use super::{UseCases, lock_active};
use crate::domain::directory_domain::Seen;
use crate::domain::refused::Refused;
use crate::store;

impl UseCases {
    /// `RotateDomainChallenge`.
    pub(crate) async fn rotate_domain_challenge(
        &self,
        call: &Call,
        command: &DomainOf,
    ) -> Result<Seen, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = self.require_writing(call, command.directory).await?;
            retry(call, || self.rotate_domain_challenge_once(call, command, &permit)).await
        })
        .await
    }

    async fn rotate_domain_challenge_once(
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
        let bits = self.challenges.bits(permit.directory(), &command.name, call.now);
        let domain = match domain.rotated(bits, call.now)? {
            None => domain,
            Some(rotated) => {
                store::domains::update(&mut tx, permit, &locked, &rotated).await?;
                let changed = ["state", "verification"];
                record(&mut tx, call, permit, ChangeKind::Updated, &rotated, &changed).await?;
                rotated
            }
        };
        let seen = domain.seen_in(locked.directory());
        idempotency::complete(&mut tx, call, &seen).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(seen)
    }
}
