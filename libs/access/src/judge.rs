//! The question "may this principal, now?" and its answer; local in identity-service, remote elsewhere.

use kernel::{DirectoryId, Principal, Refusal, SessionId, Timestamp};

/// How old an answer may be (K3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// As of now: for writes and checks of rights.
    Fresh,
    /// At most five seconds old: for Get and List.
    AtMostFiveSeconds,
}

/// What is asked of identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The directory in which the right is needed.
    pub directory: DirectoryId,
    /// Who would act.
    pub principal: Principal,
    /// The session that must be live; an external caller may leave it out (K41).
    pub session: Option<SessionId>,
    /// Slugs of directory roles, any of which would do.
    pub any_of_roles: Vec<String>,
    /// Permissions, any of which would do; with no roles and no permissions, activity alone is asked.
    pub any_of_permissions: Vec<String>,
    /// How old the answer may be.
    pub consistency: Consistency,
}

/// Why the answer is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// Identity does not know the principal.
    PrincipalNotFound,
    /// The principal is disabled.
    PrincipalDisabled,
    /// The principal is deleted.
    PrincipalDeleted,
    /// The session was revoked or is over.
    SessionRevoked,
    /// The principal belongs to another directory.
    OtherDirectory,
    /// The directory is not active.
    DirectoryNotActive,
    /// Neither a role nor a permission that was asked for.
    RoleMissing,
}

impl Denial {
    /// The denial as metadata and logs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrincipalNotFound => "PRINCIPAL_NOT_FOUND",
            Self::PrincipalDisabled => "PRINCIPAL_DISABLED",
            Self::PrincipalDeleted => "PRINCIPAL_DELETED",
            Self::SessionRevoked => "SESSION_REVOKED",
            Self::OtherDirectory => "OTHER_DIRECTORY",
            Self::DirectoryNotActive => "DIRECTORY_NOT_ACTIVE",
            Self::RoleMissing => "ROLE_MISSING",
        }
    }
}

/// Identity's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// `None` means allowed.
    pub denied: Option<Denial>,
    /// Which of the asked roles the principal holds.
    pub matched_roles: Vec<String>,
    /// The revision of the principal's row that was judged (K41).
    pub revision: i64,
    /// Not later than the moment of judging.
    pub judged_at: Timestamp,
}

/// Whoever can answer a [`Question`]. A failure to answer is an error, never an answer (P-3).
pub trait Judge: Sync {
    /// Answers one question.
    fn judge(&self, question: &Question) -> impl Future<Output = Result<Judgement, Refusal>> + Send;
}
