//! A right as a value (S7): who was judged, for which directory, when; its only mints are in this file.

use std::marker::PhantomData;
use std::time::Duration;

use kernel::{DirectoryId, Refusal, Timestamp, reason};

use crate::caller::{Caller, SignedIn};
use crate::judge::{Consistency, Denial, Judge, Judgement, Question};
use crate::permission::{BeActive, Permission};
use crate::roles;

/// How long after the judgement a commit may still rely on it (K7).
pub const PERMIT_LIFETIME: Duration = Duration::from_secs(2);

/// Proof that identity allowed `P` in one directory; store functions take the directory from it (K9).
#[derive(Debug, Clone)]
pub struct Permit<P> {
    directory: DirectoryId,
    actor: String,
    judged_at: Timestamp,
    expires: bool,
    _proof: PhantomData<fn() -> P>,
}

impl<P: Permission> Permit<P> {
    /// A permit for work that no caller asked for, such as sweeps; `reason` says which, a guard lists them all.
    pub fn for_worker(directory: DirectoryId, reason: &'static str, now: Timestamp) -> Self {
        Self::mint(directory, format!("workers/{reason}"), now, false)
    }

    /// A permit for what happens before there is anybody who could hold a role: signing up, signing in.
    pub fn for_newcomer(directory: DirectoryId, reason: &'static str, now: Timestamp) -> Self {
        Self::mint(directory, format!("newcomers/{reason}"), now, false)
    }

    /// A permit for the second half of what was allowed and committed before, however long a peer took in between (K38):
    /// it acts for whoever was allowed the first.
    pub fn for_completion(directory: DirectoryId, allowed: &Caller, now: Timestamp) -> Self {
        Self::mint(directory, allowed.actor(), now, false)
    }

    fn mint(directory: DirectoryId, actor: String, judged_at: Timestamp, expires: bool) -> Self {
        Self { directory, actor, judged_at, expires, _proof: PhantomData }
    }

    /// The directory that the right is for: the only one that may be written with it.
    pub const fn directory(&self) -> DirectoryId {
        self.directory
    }

    /// Who acts, as the change log names it.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Whether a commit at `now` may still rely on the judgement.
    pub fn is_good_at(&self, now: Timestamp) -> bool {
        !self.expires || now.since(self.judged_at) <= PERMIT_LIFETIME
    }
}

/// Asks whether the caller holds `P` in the directory, and mints the permit.
///
/// Principals are judged by identity on every call (K3); operators and services carry their right with them, the
/// latter after the authentication layer has found the call in the table (K36).
pub async fn require<P: Permission>(
    judge: &impl Judge,
    caller: &Caller,
    directory: DirectoryId,
    consistency: Consistency,
    now: Timestamp,
) -> Result<Permit<P>, Refusal> {
    match caller {
        Caller::Service(_) | Caller::Operator(_) => require_peer(caller, directory, now),
        Caller::Principal(signed_in) => {
            // P-11: a foreign directory is refused before anything is looked up, present or absent alike.
            if signed_in.principal.directory() != directory {
                return Err(denied::<P>(directory, Denial::OtherDirectory));
            }
            let judgement = judge.judge(&question::<P>(signed_in, directory, consistency)).await?;
            permit_of(caller, directory, &judgement)
        }
    }
}

/// Asks only whether the caller is an active principal of its own directory with a live session (K3).
pub async fn require_active(
    judge: &impl Judge,
    caller: &Caller,
    consistency: Consistency,
    now: Timestamp,
) -> Result<Permit<BeActive>, Refusal> {
    let directory = caller.require_signed_in()?.principal.directory();
    require::<BeActive>(judge, caller, directory, consistency, now).await
}

/// Mints the permit of a method that only peers and operators may call (K36).
pub fn require_peer<P: Permission>(
    caller: &Caller,
    directory: DirectoryId,
    now: Timestamp,
) -> Result<Permit<P>, Refusal> {
    let role = match caller {
        Caller::Service(_) => roles::SERVICE,
        Caller::Operator(_) => roles::OPERATOR,
        Caller::Principal(_) => return Err(denied::<P>(directory, Denial::RoleMissing)),
    };
    if roles::contains(role, P::NAME) {
        Ok(Permit::mint(directory, caller.actor(), now, false))
    } else {
        Err(denied::<P>(directory, Denial::RoleMissing))
    }
}

fn question<P: Permission>(
    signed_in: &SignedIn,
    directory: DirectoryId,
    consistency: Consistency,
) -> Question {
    let any_of_permissions = if P::NAME == BeActive::NAME { Vec::new() } else { vec![P::NAME.to_owned()] };
    Question {
        directory,
        principal: signed_in.principal,
        session: Some(signed_in.session),
        any_of_roles: Vec::new(),
        any_of_permissions,
        consistency,
    }
}

fn permit_of<P: Permission>(
    caller: &Caller,
    directory: DirectoryId,
    judgement: &Judgement,
) -> Result<Permit<P>, Refusal> {
    match judgement.denied {
        None => Ok(Permit::mint(directory, caller.actor(), judgement.judged_at, true)),
        Some(Denial::SessionRevoked) => Err(Refusal::unauthenticated(
            reason::SESSION_REVOKED,
            "the session was revoked or is over; sign in again",
        )),
        Some(denial) => Err(denied::<P>(directory, denial)),
    }
}

fn denied<P: Permission>(directory: DirectoryId, denial: Denial) -> Refusal {
    Refusal::permission_denied(P::NAME, format!("directories/{directory}"))
        .with("roles", roles::that_contain(P::NAME).join(","))
        .with("denial_reason", denial.as_str())
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;

    use super::*;
    use crate::caller::Service;
    use crate::permission::{
        AttachOffice365, CreateUsers, ProvisionDirectory, ReadDirectory, WriteRoleAssignments,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);

    fn directory() -> DirectoryId {
        DirectoryId::from_uuid(new_ids::derive(&["a directory"]))
    }

    fn may<P: Permission>(caller: &Caller) -> bool {
        require_peer::<P>(caller, directory(), NOW).is_ok()
    }

    #[test]
    fn an_operator_runs_the_platform_and_buys_nothing() {
        let operator = Caller::Operator("one".to_owned());
        assert!(may::<ReadDirectory>(&operator) && may::<WriteRoleAssignments>(&operator));
        // P-3: no right of a directory's administrators comes with the operator key.
        assert!(!may::<AttachOffice365>(&operator) && !may::<CreateUsers>(&operator));
        assert!(!may::<ProvisionDirectory>(&operator));
    }

    #[test]
    fn a_service_holds_what_peers_need_and_nothing_else() {
        let identity = Caller::Service(Service::Identity);
        assert!(may::<ProvisionDirectory>(&identity) && may::<ReadDirectory>(&identity));
        assert!(!may::<AttachOffice365>(&identity) && !may::<CreateUsers>(&identity));
    }

    #[test]
    fn a_permit_is_good_for_two_seconds_and_a_workers_for_ever() {
        let judged = Permit::<ReadDirectory>::mint(directory(), "ada".to_owned(), NOW, true);
        let (last, late) = (NOW.plus(PERMIT_LIFETIME), NOW.plus(PERMIT_LIFETIME + Duration::from_micros(1)));
        assert!(judged.is_good_at(last) && !judged.is_good_at(late));
        assert!(Permit::<ReadDirectory>::for_worker(directory(), "sweep", NOW).is_good_at(late));
    }
}
