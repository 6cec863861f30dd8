//! The one table from this context's refusals to codes, reasons and metadata; the runtime makes a status of them.

use api::directory::v1::ErrorReason;
use api::directory::v1::directory::State as WireState;
use kernel::{Code, DirectoryId, Precondition, Reason, Refusal};

use super::present;
use crate::domain::lien::Lien;
use crate::domain::refused::Refused;

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::DirectoryNotFound(id) => {
                Self::not_found(reason(ErrorReason::DirectoryNotFound), format!("directories/{id}"))
            }
            // The answer tells that the name is taken, and nothing of who has it (K33).
            Refused::InitialDomainTaken(domain) => {
                Self::already_exists(reason(ErrorReason::InitialDomainTaken), message).with("domain", domain)
            }
            Refused::InvalidStateTransition { directory, current, allowed } => {
                let allowed: Vec<&str> =
                    allowed.iter().map(|state| state_name(present::state(*state))).collect();
                Self::failed_precondition(reason(ErrorReason::InvalidStateTransition), message)
                    .with("current_state", state_name(present::state(current)))
                    .with("allowed_states", allowed.join(","))
                    .about(format!("directories/{directory}"))
            }
            Refused::DirectoryNotActive { directory, state } => {
                let directory = format!("directories/{directory}");
                Self::failed_precondition(reason(ErrorReason::DirectoryNotActive), message)
                    .with("directory", &directory)
                    .with("state", state_name(present::state(state)))
                    .about(directory)
            }
            Refused::DomainNotFound(domain) => Self::not_found(reason(ErrorReason::DomainNotFound), domain),
            Refused::LienNotFound { directory, lien } => Self::not_found(
                reason(ErrorReason::LienNotFound),
                format!("directories/{directory}/liens/{lien}"),
            ),
            Refused::LienRemoved { directory, removed_revision } => {
                Self::failed_precondition(reason(ErrorReason::LienRemoved), message)
                    .with("removed_revision", removed_revision)
                    .about(format!("directories/{directory}"))
            }
            Refused::NotLienCreator { directory, lien } => {
                let lien = format!("directories/{directory}/liens/{lien}");
                Self::new(Code::PermissionDenied, reason(ErrorReason::NotLienCreator), message)
                    .with("resource", &lien)
                    .about(lien)
            }
            Refused::LienPresent { directory, liens, count } => {
                Self::failed_precondition(reason(ErrorReason::LienPresent), message)
                    .with("lien_count", count)
                    .about(format!("directories/{directory}"))
                    .because_of(liens.into_iter().map(|lien| held_by(directory, lien)).collect())
            }
            Refused::NotDeleted { directory, state } => {
                Self::already_exists(reason(ErrorReason::NotDeleted), message)
                    .with("state", state_name(present::state(state)))
                    .about(format!("directories/{directory}"))
            }
            Refused::PurgeStarted(directory) => {
                Self::failed_precondition(reason(ErrorReason::PurgeStarted), message)
                    .about(format!("directories/{directory}"))
            }
            Refused::Common(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

/// What a lien says to whoever is stopped by it.
fn held_by(directory: DirectoryId, lien: Lien) -> Precondition {
    let holder = if lien.claim.holder.is_empty() { lien.create_principal } else { lien.claim.holder };
    Precondition {
        subject: format!("directories/{directory}/liens/{}", lien.id),
        description: format!("{} ({holder}, {} blockers)", lien.claim.reason, lien.claim.blocker_count),
    }
}

/// The reason as the contract names it.
pub(super) fn reason(reason: ErrorReason) -> Reason {
    Reason::new(reason.reason())
}

fn state_name(state: WireState) -> &'static str {
    state.as_str_name()
}
