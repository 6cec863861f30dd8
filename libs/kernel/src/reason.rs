//! Stable reasons of refusals as they stand on the wire; what each means is told in `error_reason.proto`.

use std::fmt;

/// The `reason` of an `ErrorInfo`: an `ErrorReason` value without its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(&'static str);

impl Reason {
    /// Names a reason. Services take theirs from the generated `ErrorReason`, so that none is unknown to clients.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The reason as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! common { ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
    $($(#[$doc])* pub const $name: Reason = Reason(stringify!($name));)+
    /// Every reason that each service can return; the three `ErrorReason` enums contain them all.
    pub const COMMON: &[Reason] = &[$($name),+];
} }

common! {
    /// The call carries no token.
    TOKEN_MISSING,
    /// The token is not one of ours, or is not for this service.
    TOKEN_INVALID,
    /// The token's time is over.
    TOKEN_EXPIRED,
    /// The token's session was revoked.
    SESSION_REVOKED,
    /// The caller lacks the permission.
    PERMISSION_DENIED,
    /// At least one field is wrong in itself.
    FIELD_INVALID,
    /// Too many calls; time heals it.
    RATE_LIMITED,
    /// The message is larger than the server reads or writes.
    MESSAGE_TOO_LARGE,
    /// The message is not the one that the method takes.
    BODY_UNDECODABLE,
    /// There is no such method.
    METHOD_UNKNOWN,
    /// The deadline passed before the answer.
    DEADLINE_EXCEEDED,
    /// The server is stopping.
    SERVER_DRAINING,
    /// The server's own database does not answer.
    STORAGE_UNAVAILABLE,
    /// A peer does not answer, or its answer does not fit the question.
    DEPENDENCY_UNAVAILABLE,
    /// A defect of the server.
    INTERNAL,
    /// The page token was not made for this request, or is too old.
    PAGE_TOKEN_INVALID,
    /// The filter is not understood.
    FILTER_INVALID,
    /// The order is not offered.
    ORDER_BY_INVALID,
    /// The request id was used for another request.
    REQUEST_ID_REUSED,
    /// The resource has changed since the etag was read.
    ETAG_MISMATCH,
    /// Others wrote the same rows at once, repeatedly.
    WRITE_CONFLICT,
    /// The commit was sent and its answer lost.
    COMMIT_OUTCOME_UNKNOWN,
    /// What comes behind a token of a feed is not kept any more, or not in this history.
    RESUME_TOKEN_EXPIRED,
    /// The token was not made for this feed of this log.
    RESUME_TOKEN_INVALID,
    /// A watcher reads more slowly than changes come.
    WATCHER_TOO_SLOW,
    /// Too many watchers of one caller.
    WATCHER_QUOTA,
}
