//! What each rpc does, one file for each that changes something; messages are unknown here.
//!
//! Whatever a peer calls asks no peer itself (K1): a peer's right is the table of calls (K36), so no judge is asked.

mod abandon_directory;
mod activate_directory;
mod create_directory;
mod create_domain;
mod create_lien;
mod delete_domain;
mod delete_lien;
mod queries;
mod rotate_domain_challenge;
mod set_primary_domain;
#[cfg(test)]
mod tests;
mod verify_domain;

use access::{Call, Caller, Consistency, Permission, Permit, require, require_peer, roles};
use database::{Db, Tx};
use kernel::{Clock, DirectoryId, Refusal, reason};
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;

use crate::challenges::Challenges;
use crate::domain::lien::Actor;
use crate::domain::refused::Refused;
use crate::peers::dns::Dns;
use crate::peers::identity::Identity;
use crate::store;
use crate::store::directories::Locked;

pub(crate) use create_domain::DomainOf;
pub(crate) use create_lien::CreateLien;
pub(crate) use delete_domain::DeleteDomain;
pub(crate) use delete_lien::DeleteLien;
pub(crate) use queries::Page;

/// The one creator of all operators' liens.
const OPERATORS: &str = "operators";

/// The use cases of this context, with what they need.
pub(crate) struct UseCases {
    /// The context's database.
    pub db: Db,
    /// Who may (K3).
    pub judge: RemoteJudge,
    /// identity-service.
    pub identity: Identity,
    /// Where records of domains are looked for.
    pub dns: Dns,
    /// What domains are proven by.
    pub challenges: Challenges,
    /// Where pages begin.
    pub page_tokens: PageTokens,
    /// The current time.
    pub clock: Clock,
}

impl UseCases {
    /// The permit of a method by which a directory's administrators write, as identity says now (K3).
    async fn require_writing<P: Permission>(
        &self,
        call: &Call,
        directory: DirectoryId,
    ) -> Result<Permit<P>, Refusal> {
        require(&self.judge, caller_of(call)?, directory, Consistency::Fresh, self.clock.now()).await
    }
}

/// Locks the permit's directory, which has to be in use.
async fn lock_active<P: Permission>(tx: &mut Tx, permit: &Permit<P>) -> Result<Locked, Refused> {
    let locked = store::directories::lock(tx, permit).await?;
    let locked = locked.ok_or_else(|| Refused::DirectoryNotFound(permit.directory()))?;
    locked.directory().require_active()?;
    Ok(locked)
}

/// The caller of a writing method; each of ours needs a token.
fn caller_of(call: &Call) -> Result<&Caller, Refusal> {
    call.caller
        .as_ref()
        .ok_or_else(|| Refusal::unauthenticated(reason::TOKEN_MISSING, "this method needs an access token"))
}

/// The permit of a method that only peers, and operators as far as their right goes, may call (K36).
fn require_provider<P: Permission>(call: &Call, directory: DirectoryId) -> Result<Permit<P>, Refusal> {
    let caller = caller_of(call)?;
    require_everywhere::<P>(caller, &format!("directories/{directory}"))?;
    require_peer(caller, directory, call.now)
}

/// Who acts on a lien.
fn actor_of<'a, P: Permission>(call: &Call, permit: &'a Permit<P>) -> Actor<'a> {
    Actor { name: permit.actor(), is_operator: matches!(call.caller, Some(Caller::Operator(_))) }
}

/// Whose liens those of a call are (K11): a service's own; and all operators are one, since each token has another name.
/// Whose token it was, the change log tells.
fn lien_creator<'a, P: Permission>(call: &Call, permit: &'a Permit<P>) -> &'a str {
    if matches!(call.caller, Some(Caller::Operator(_))) { OPERATORS } else { permit.actor() }
}

/// Asks whether a peer or operator holds a right, wherever it is needed (K36); principals never do.
fn require_everywhere<P: Permission>(caller: &Caller, resource: &str) -> Result<(), Refusal> {
    let allowed = match caller {
        Caller::Service(_) => roles::contains(roles::SERVICE, P::NAME),
        Caller::Operator(_) => roles::contains(roles::OPERATOR, P::NAME),
        Caller::Principal(_) => false,
    };
    if allowed { Ok(()) } else { Err(Refusal::permission_denied(P::NAME, resource)) }
}
