//! The hold on a domain that user names have: taken before the first such name, let go when none has it any more (K11,
//! D-19).
//!
//! Every transaction that makes such a name locks the hold's row itself; how a lien is taken and let go, `runtime::holds`
//! knows.

use database::hold;
use kernel::{DirectoryId, LienId};
use runtime::holds::{Held, NotHeld};

use super::UseCases;
use crate::domain::directory::DirectoryState;
use crate::domain::refused::Refused;
use crate::store;

/// A domain that is verified in the directory, and stays so while the lien stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldDomain {
    /// What the hold's row is found by.
    pub(crate) reason: String,
    /// What keeps the domain.
    pub(crate) lien: LienId,
}

/// For what a domain is held: under its name, so that each domain has a row of its own.
fn reason_of(domain: &str) -> String {
    format!("domains/{domain}")
}

const fn held(directory: DirectoryId, reason: &str) -> Held<'_> {
    Held {
        directory,
        reason,
        below: reason,
        restriction: "directory.domains.delete",
        sentence: "Names of users end with the domain.",
    }
}

impl UseCases {
    /// Makes sure that a domain is verified in the directory, and stays so (P-7).
    ///
    /// What is verified is asked after the lien is known: before, the domain could go and come back unproven. A domain
    /// that is not verified gets no lien.
    pub(super) async fn hold_domain(
        &self,
        directory: DirectoryId,
        domain: String,
    ) -> Result<HeldDomain, Refused> {
        let reason = reason_of(&domain);
        let standing = self.holds.find(&held(directory, &reason)).await?;
        self.require_verified(&domain, directory).await?;
        if let Some(lien) = standing {
            return Ok(HeldDomain { reason, lien });
        }
        let lien = match self.holds.ensure(&held(directory, &reason)).await {
            Err(NotHeld::Missing(_)) => return Err(Refused::DomainNotVerified(domain)),
            ensured => ensured?,
        };
        self.require_verified(&domain, directory).await?;
        Ok(HeldDomain { reason, lien })
    }

    pub(super) async fn require_verified(&self, domain: &str, directory: DirectoryId) -> Result<(), Refused> {
        if self.directory.is_verified(domain, directory).await? {
            Ok(())
        } else {
            Err(Refused::DomainNotVerified(domain.to_owned()))
        }
    }

    /// Lets go of a domain if no name has it any more; says whether it did.
    pub(crate) async fn release_domain(&self, directory: DirectoryId, reason: &str) -> Result<bool, Refused> {
        let held = held(directory, reason);
        if !self.holds.settle(&held).await? {
            return Ok(false);
        }
        if self.holds.find(&held).await?.is_some() && !self.mark_releasing(directory, reason).await? {
            return Ok(false);
        }
        self.holds.finish_release(&held).await?;
        Ok(true)
    }

    /// Marks the hold under its lock, so that no name comes between counting and letting go.
    async fn mark_releasing(&self, directory: DirectoryId, reason: &str) -> Result<bool, Refused> {
        let mut tx = self.db.write().await?;
        let locked = hold::lock(&mut tx, directory, reason).await?;
        if store::domain_holds::has_cause(&mut tx, directory, reason).await? {
            return Ok(false);
        }
        hold::release(&mut tx, directory, reason, &locked).await?;
        tx.commit_bookkeeping().await?;
        Ok(true)
    }
}

impl From<NotHeld> for Refused {
    fn from(not_held: NotHeld) -> Self {
        match not_held {
            NotHeld::DirectoryNotActive { directory, state } => {
                let state = state.strip_prefix("STATE_").and_then(DirectoryState::stored);
                Self::DirectoryNotActive { directory, state }
            }
            NotHeld::Missing(resource) => {
                let domain = resource.rsplit('/').next().unwrap_or_default();
                Self::DomainNotVerified(domain.to_owned())
            }
            NotHeld::Unavailable(refusal) => refusal.into(),
            NotHeld::Store(error) => error.into(),
        }
    }
}
