//! Why this context refuses, named for the reasons of the API.
//!
//! Codes and texts stand in `grpc/status.rs`.

use std::time::Duration;

use access::Service;
use database::{Failure, StoreError};
use kernel::{DirectoryId, Principal, Refusal, RequestId, RoleAssignmentId, SessionId};

use super::directory::DirectoryState;
use super::user::UserState;

/// A refusal of this context.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the initial domain {domain} is taken")]
    InitialDomainTaken { domain: String },
    #[error("sign-up is closed")]
    SignUpClosed,
    #[error("the sign-up was abandoned")]
    SignUpAbandoned(RequestId),
    #[error("too many calls")]
    RateLimited { wait: Duration },
    #[error("the user principal name is taken")]
    UserPrincipalNameTaken(String),
    #[error("the directory is not active")]
    DirectoryNotActive { directory: DirectoryId, state: Option<DirectoryState> },
    #[error("the domain {0} is not verified in the directory")]
    DomainNotVerified(String),
    #[error("{0} does not exist")]
    UserNotFound(Principal),
    #[error("name and password do not fit")]
    CredentialsInvalid,
    #[error("the user is disabled")]
    UserDisabled,
    #[error("the directory is not active")]
    DirectorySuspended,
    #[error("too many attempts to sign in")]
    SignInThrottled { wait: Duration },
    #[error("the refresh token is not valid")]
    RefreshTokenInvalid,
    #[error("the refresh token's time is over")]
    RefreshTokenExpired,
    #[error("the refresh token was used before; the session is revoked")]
    RefreshTokenReused,
    #[error("the session does not exist")]
    SessionNotFound(Principal, SessionId),
    #[error("the user holds a role that the caller's roles do not reach")]
    TargetMorePrivileged(Principal),
    #[error("the principal holds the role already")]
    RoleAssignmentExists(DirectoryId, RoleAssignmentId),
    #[error("{0} does not exist")]
    PrincipalNotFound(Principal),
    #[error("there is no role {0}")]
    RoleNotFound(String),
    #[error("the principal is not active")]
    PrincipalNotActive(Principal, UserState),
    #[error("the role assignment does not exist")]
    RoleAssignmentNotFound(DirectoryId, RoleAssignmentId),
    #[error("the directory would be left without a Global Administrator; make somebody else one first")]
    LastGlobalAdministrator(DirectoryId),
    #[error("nobody takes the role Global Administrator from themselves; another one has to")]
    OwnGlobalAdministrator,
    #[error("{0} is unavailable")]
    PeerUnavailable(Service),
    #[error("a defect: {0}")]
    Defect(&'static str),
    #[error(transparent)]
    Common(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for Refused {
    fn store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}
