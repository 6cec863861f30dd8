//! The one table from refusals of this context to codes, reasons and metadata.

use api::identity::v1::ErrorReason;
use kernel::{Code, Reason, Refusal, reason};

use crate::domain::refused::Refused;

fn wire(reason: ErrorReason) -> Reason {
    Reason::new(reason.reason())
}

#[expect(
    clippy::too_many_lines,
    reason = "one table, one row a refusal: the compiler names the missing ones"
)]
impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::InitialDomainTaken { domain } => {
                Self::already_exists(wire(ErrorReason::InitialDomainTaken), text).with("domain", domain)
            }
            Refused::SignUpClosed => Self::new(
                Code::PermissionDenied,
                wire(ErrorReason::SignUpClosed),
                "this server takes such sign-ups from an operator only",
            ),
            Refused::SignUpAbandoned(request_id) => Self::new(
                Code::Aborted,
                wire(ErrorReason::SignUpAbandoned),
                "this sign-up was given up before it was complete; sign up again with a new request_id",
            )
            .with("request_id", request_id),
            Refused::RateLimited { wait } => {
                Self::new(Code::ResourceExhausted, reason::RATE_LIMITED, text).retry_after(wait)
            }
            Refused::UserPrincipalNameTaken(name) => {
                Self::already_exists(wire(ErrorReason::UserPrincipalNameTaken), text)
                    .with("user_principal_name", name)
            }
            Refused::DirectoryNotActive { directory, state } => {
                let directory = format!("directories/{directory}");
                let state = state.map_or("UNSPECIFIED", |state| state.as_str());
                Self::failed_precondition(wire(ErrorReason::DirectoryNotActive), text)
                    .with("directory", &directory)
                    .with("state", format!("STATE_{state}"))
                    .about(directory)
            }
            Refused::DomainNotVerified(domain) => {
                Self::failed_precondition(wire(ErrorReason::DomainNotVerified), text)
                    .with("domain", &domain)
                    .about(domain)
            }
            Refused::UserNotFound(name) => Self::not_found(wire(ErrorReason::UserNotFound), name),
            Refused::CredentialsInvalid => {
                Self::unauthenticated(wire(ErrorReason::CredentialsInvalid), &text)
            }
            Refused::UserDisabled => Self::new(Code::PermissionDenied, wire(ErrorReason::UserDisabled), text),
            Refused::DirectorySuspended => {
                Self::new(Code::PermissionDenied, wire(ErrorReason::DirectorySuspended), text)
            }
            Refused::SignInThrottled { wait } => {
                Self::new(Code::ResourceExhausted, wire(ErrorReason::SignInThrottled), text).retry_after(wait)
            }
            Refused::RefreshTokenInvalid => {
                Self::unauthenticated(wire(ErrorReason::RefreshTokenInvalid), &text)
            }
            Refused::RefreshTokenExpired => {
                Self::unauthenticated(wire(ErrorReason::RefreshTokenExpired), &text)
            }
            Refused::RefreshTokenReused => {
                Self::unauthenticated(wire(ErrorReason::RefreshTokenReused), &text)
            }
            Refused::SessionNotFound(principal, session) => {
                Self::not_found(wire(ErrorReason::SessionNotFound), format!("{principal}/sessions/{session}"))
            }
            Refused::TargetMorePrivileged(user) => {
                Self::new(Code::PermissionDenied, wire(ErrorReason::TargetMorePrivileged), text)
                    .with("resource", user)
                    .about(user)
            }
            Refused::RoleAssignmentExists(directory, id) => {
                let name = format!("directories/{directory}/roleAssignments/{id}");
                Self::already_exists(wire(ErrorReason::RoleAssignmentExists), text)
                    .with("name", &name)
                    .about(name)
            }
            Refused::PrincipalNotFound(principal) => {
                Self::not_found(wire(ErrorReason::PrincipalNotFound), principal)
            }
            Refused::RoleNotFound(slug) => {
                Self::not_found(wire(ErrorReason::RoleNotFound), format!("directoryRoles/{slug}"))
            }
            Refused::PrincipalNotActive(principal, state) => {
                Self::failed_precondition(wire(ErrorReason::PrincipalNotActive), text)
                    .with("principal", principal)
                    .with("state", format!("STATE_{}", state.as_str()))
                    .about(principal)
            }
            Refused::RoleAssignmentNotFound(directory, id) => Self::not_found(
                wire(ErrorReason::RoleAssignmentNotFound),
                format!("directories/{directory}/roleAssignments/{id}"),
            ),
            Refused::LastGlobalAdministrator(directory) => {
                let directory = format!("directories/{directory}");
                Self::failed_precondition(wire(ErrorReason::LastGlobalAdministrator), text)
                    .with("directory", &directory)
                    .about(directory)
            }
            Refused::OwnGlobalAdministrator => {
                Self::failed_precondition(wire(ErrorReason::OwnGlobalAdministrator), text)
            }
            Refused::PeerUnavailable(service) => Self::dependency_unavailable(service.as_str()),
            Refused::Defect(what) => {
                tracing::error!(what, "a defect");
                Self::internal()
            }
            Refused::Common(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}
