//! The one table from this context's refusals to codes, reasons and metadata; the runtime makes a status of them.

use std::time::Duration;

use api::directory::v1::ErrorReason;
use api::directory::v1::directory::State as WireState;
use kernel::{Code, Reason, Refusal, reason as common};

use super::present;
use crate::domain::directory_domain::CheckResult;
use crate::domain::domain_name::DomainName;
use crate::domain::refused::Refused;

/// When to ask DNS again that gave no answer.
const DNS_WAIT: Duration = Duration::from_secs(5);

#[expect(
    clippy::too_many_lines,
    reason = "one table, one row a refusal: the compiler names the missing ones"
)]
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
            Refused::DomainNotVerified(domain) => on_domain(ErrorReason::DomainNotVerified, message, domain),
            Refused::DomainQuota(limit) => {
                Self::new(Code::ResourceExhausted, reason(ErrorReason::DomainQuota), message)
                    .with("limit", limit)
            }
            Refused::NotProven { domain, record_value, result } => {
                let not_there = |told| {
                    Self::failed_precondition(reason(told), &message)
                        .with("record_name", &domain)
                        .with("record_value", record_value)
                        .about(&domain)
                };
                match result {
                    CheckResult::RecordMissing => not_there(ErrorReason::TxtRecordMissing),
                    CheckResult::RecordMismatch => not_there(ErrorReason::TxtRecordMismatch),
                    CheckResult::DnsUnavailable => {
                        Self::new(Code::Unavailable, reason(ErrorReason::DnsUnavailable), message)
                            .with("domain", domain)
                            .retry_after(DNS_WAIT)
                    }
                }
            }
            Refused::ChallengeExpired(domain) => on_domain(ErrorReason::ChallengeExpired, message, domain),
            // Nothing of who has it (K33).
            Refused::DomainVerifiedElsewhere(domain) => {
                Self::already_exists(reason(ErrorReason::DomainVerifiedElsewhere), message)
                    .with("domain", domain)
            }
            Refused::TooManyRotations { domain, wait } => {
                Self::new(Code::ResourceExhausted, common::RATE_LIMITED, message)
                    .about(domain)
                    .retry_after(wait)
            }
            Refused::DomainIsInitial(domain) => on_domain(ErrorReason::DomainIsInitial, message, domain),
            Refused::DomainIsPrimary(domain) => on_domain(ErrorReason::DomainIsPrimary, message, domain),
            Refused::DomainHasSubdomains(domain) => {
                on_domain(ErrorReason::DomainHasSubdomains, message, domain)
            }
            Refused::LiensPresent { resource, liens } => {
                let refusal = Self::failed_precondition(reason(ErrorReason::LienPresent), message)
                    .with("resource", &resource)
                    .with("liens", liens.len());
                liens.into_iter().fold(refusal, |refusal, (lien, why)| {
                    refusal.blocked_by(format!("{}/liens/{lien}", directory_of(&resource)), why)
                })
            }
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
            Refused::Common(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

fn on_domain(told: ErrorReason, message: String, domain: DomainName) -> Refusal {
    Refusal::failed_precondition(reason(told), message).with("domain", &domain).about(domain)
}

/// The directory that a resource is, or belongs to.
fn directory_of(resource: &str) -> &str {
    resource.split_once("/domains/").map_or(resource, |(directory, _)| directory)
}

/// The reason as the contract names it.
pub(super) fn reason(reason: ErrorReason) -> Reason {
    Reason::new(reason.reason())
}

fn state_name(state: WireState) -> &'static str {
    state.as_str_name()
}
