//! What each rpc does, one file for each that changes something; messages are unknown here.
//!
//! Whatever a peer calls asks no peer itself (K1): a peer's right is the table of calls (K36), so no judge is asked.

mod abandon_directory;
mod activate_directory;
mod changes;
mod create_directory;
mod create_lien;
mod delete_lien;
mod queries;
#[cfg(test)]
mod tests;

use access::{Call, Caller, Permission, Permit, require_peer, roles};
use database::Db;
use kernel::{Clock, DirectoryId, Refusal, reason};
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;

use crate::domain::lien::Actor;
use crate::peers::identity::Identity;

pub(crate) use create_lien::CreateLien;
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
    /// Where pages begin.
    pub page_tokens: PageTokens,
    /// The current time.
    pub clock: Clock,
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
