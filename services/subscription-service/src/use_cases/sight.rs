//! How much of a directory a caller sees: everything with the permission, its own without; nothing of others (P-11).

use access::{Caller, Consistency, Permission};
use kernel::{DirectoryId, Principal, Refusal};

use super::{UseCases, signed_in};

/// How much is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Everything of the kind.
    All,
    /// What the principal owns or placed.
    Own(Principal),
}

/// Whether identity's only objection was that no role gives the permission: the caller is active and signed in.
pub(super) fn is_role_missing(refusal: &Refusal) -> bool {
    refusal.metadata().iter().any(|(key, value)| *key == "denial_reason" && value == "ROLE_MISSING")
}

impl UseCases {
    /// Asks identity once; a caller of another directory is refused before anything is looked up.
    pub(super) async fn sight<P: Permission>(
        &self,
        caller: &Caller,
        directory: DirectoryId,
    ) -> Result<Sight, Refusal> {
        let principal = signed_in(Some(caller))?.1.principal;
        let now = self.clock.now();
        let judged =
            access::require::<P>(&self.judge, caller, directory, Consistency::AtMostFiveSeconds, now).await;
        match judged {
            Ok(_) => Ok(Sight::All),
            Err(refusal) if is_role_missing(&refusal) => Ok(Sight::Own(principal)),
            Err(refusal) => Err(refusal),
        }
    }
}
