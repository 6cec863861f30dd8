//! Who calls, as the verified token says; whether the caller may do anything is asked of identity (K3).

use std::fmt;
use std::str::FromStr;

use kernel::{DirectoryId, Principal, Refusal, SessionId, Timestamp, reason};

/// The three services, as they name themselves in service tokens (K6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// directory-service.
    Directory,
    /// identity-service.
    Identity,
    /// subscription-service.
    Subscription,
}

impl Service {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Directory, Self::Identity, Self::Subscription];

    /// The name in tokens, logs and key files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory-service",
            Self::Identity => "identity-service",
            Self::Subscription => "subscription-service",
        }
    }

    /// The domain of this service's `ErrorInfo`.
    pub const fn error_domain(self) -> &'static str {
        match self {
            Self::Directory => "directory.tenure",
            Self::Identity => "identity.tenure",
            Self::Subscription => "subscription.tenure",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Service {
    type Err = kernel::ids::IdInvalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|service| service.as_str() == text).ok_or(kernel::ids::IdInvalid)
    }
}

/// A principal with the session that its token was given in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who signed in.
    pub principal: Principal,
    /// The session, which identity must find live.
    pub session: SessionId,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person or service account of a directory.
    Principal(SignedIn),
    /// One of the other services; its right is the table of calls (K36).
    Service(Service),
    /// Whoever holds the operator key; the text names the token for the audit.
    Operator(String),
}

impl Caller {
    /// The caller as idempotency records and the change log name it.
    pub fn actor(&self) -> String {
        match self {
            Self::Principal(signed_in) => signed_in.principal.to_string(),
            Self::Service(service) => format!("services/{service}"),
            Self::Operator(name) => format!("operators/{name}"),
        }
    }

    /// The directory that the caller belongs to, where it is a principal.
    pub fn directory(&self) -> Option<DirectoryId> {
        self.signed_in().map(|signed_in| signed_in.principal.directory())
    }

    /// The principal and session, where a principal calls.
    pub const fn signed_in(&self) -> Option<&SignedIn> {
        match self {
            Self::Principal(signed_in) => Some(signed_in),
            Self::Service(_) | Self::Operator(_) => None,
        }
    }

    /// The principal and session, or a refusal: for what only a person of a directory can do.
    pub fn require_signed_in(&self) -> Result<&SignedIn, Refusal> {
        self.signed_in().ok_or_else(|| Refusal::permission_denied("a signed-in principal", self.actor()))
    }
}

/// When the time of a request's token is over, beside its [`Authentication`]: for answers that last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEnd(pub Timestamp);

/// What the authentication layer found out about a request; handlers read it through [`Authentication::caller`].
#[derive(Debug, Clone, Default)]
pub enum Authentication {
    /// There was no token.
    #[default]
    Anonymous,
    /// The token is good.
    Known(Caller),
    /// The token is not good, for this reason.
    Rejected(Refusal),
}

impl Authentication {
    /// The caller, or UNAUTHENTICATED.
    pub fn caller(&self) -> Result<&Caller, Refusal> {
        match self {
            Self::Known(caller) => Ok(caller),
            Self::Rejected(refusal) => Err(refusal.clone()),
            Self::Anonymous => Err(Refusal::unauthenticated(
                reason::TOKEN_MISSING,
                "this method needs `authorization: Bearer <access token>`",
            )),
        }
    }
}
