//! Looks for a domain's record, and verifies the domain where it stands (D-13, D-16, K23).
//!
//! DNS is asked before the transaction, which relies on nothing but the answer.

use std::error::Error as _;

use access::permission::WriteDomains;
use access::{Call, Permit};
use database::change_log::ChangeKind;
use database::{idempotency, retry};

use super::create_domain::{DomainOf, claim, record};
use super::{UseCases, lock_active};
use crate::domain::directory_domain::{Challenge, CheckResult, Domain, Seen};
use crate::domain::refused::Refused;
use crate::store;

impl UseCases {
    /// `VerifyDomain`.
    pub(crate) async fn verify_domain(&self, call: &Call, command: &DomainOf) -> Result<Seen, Refused> {
        idempotency::once(&self.db, call, || async {
            let permit = self.require_writing::<WriteDomains>(call, command.directory).await?;
            let proof = self.challenge_of(command).await?;
            let Some(challenge) = proof else {
                return retry(call, || self.verify_domain_once(call, command, None, &permit)).await;
            };
            let result = self.look_for(command, &challenge).await;
            // Judged again: DNS may have taken longer than a permit is good for (K7).
            let permit = self.require_writing(call, command.directory).await?;
            match result {
                None => {
                    retry(call, || self.verify_domain_once(call, command, Some(&challenge), &permit)).await
                }
                Some(result) => {
                    retry(call, || self.note_check_once(call, command, &challenge, result, &permit)).await?;
                    let (domain, record_value) = (command.name.clone(), challenge.record_value);
                    Err(Refused::NotProven { domain, record_value, result })
                }
            }
        })
        .await
    }

    /// What is to be looked for; `None` where nothing has to be proven any more.
    async fn challenge_of(&self, command: &DomainOf) -> Result<Option<Challenge>, Refused> {
        let found = database::read_one!(self.db, |tx| {
            store::domains::find(tx, command.directory, &command.name).await
        })?;
        let domain = found.ok_or_else(|| Refused::DomainNotFound(command.name.clone()))?;
        Ok(domain.to_prove(self.clock.now())?.cloned())
    }

    /// What came of looking for the record; `None` where it stands.
    async fn look_for(&self, command: &DomainOf, challenge: &Challenge) -> Option<CheckResult> {
        match self.dns.texts(&command.name).await {
            Ok(texts) => challenge.check(&texts),
            Err(silent) => {
                let cause = silent.source().map(tracing::field::display);
                tracing::warn!(domain = %command.name, error = %silent, cause, "a domain cannot be looked for");
                Some(CheckResult::DnsUnavailable)
            }
        }
    }

    async fn verify_domain_once(
        &self,
        call: &Call,
        command: &DomainOf,
        found: Option<&Challenge>,
        permit: &Permit<WriteDomains>,
    ) -> Result<Seen, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let locked = lock_active(&mut tx, permit).await?;
        let domain = store::domains::find(&mut tx, permit.directory(), &command.name).await?;
        let domain = domain.ok_or_else(|| Refused::DomainNotFound(command.name.clone()))?;
        let domain = match &domain.challenge {
            // A twin has proven it meanwhile.
            None => domain,
            Some(asked) if Some(asked) == found => {
                claim(&mut tx, permit, &domain.name).await?;
                let proven = domain.proven(call.now);
                store::domains::update(&mut tx, permit, &locked, &proven).await?;
                let changed = ["state", "verification", "verify_time"];
                record(&mut tx, call, permit, ChangeKind::Updated, &proven, &changed).await?;
                proven
            }
            Some(asked) => return Err(other_record(&domain, asked)),
        };
        let seen = domain.seen_in(locked.directory());
        idempotency::complete(&mut tx, call, &seen).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(seen)
    }

    /// Notes that the record was looked for in vain. Only successes are recorded as answers (K7), so that a retry with
    /// the same request id looks again.
    async fn note_check_once(
        &self,
        call: &Call,
        command: &DomainOf,
        challenge: &Challenge,
        result: CheckResult,
        permit: &Permit<WriteDomains>,
    ) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        let locked = lock_active(&mut tx, permit).await?;
        let domain = store::domains::find(&mut tx, permit.directory(), &command.name).await?;
        let domain = domain.ok_or_else(|| Refused::DomainNotFound(command.name.clone()))?;
        // What was looked for is not asked for any more: the answer says nothing of the domain as it stands.
        if domain.challenge.as_ref() != Some(challenge) {
            return Ok(());
        }
        let checked = domain.checked(result, call.now);
        store::domains::update(&mut tx, permit, &locked, &checked).await?;
        record(&mut tx, call, permit, ChangeKind::Updated, &checked, &["state", "verification"]).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(())
    }
}

/// The challenge was replaced while DNS was asked for the one before.
fn other_record(domain: &Domain, asked: &Challenge) -> Refused {
    Refused::NotProven {
        domain: domain.name.clone(),
        record_value: asked.record_value.clone(),
        result: CheckResult::RecordMismatch,
    }
}
