//! A refusal as every layer understands it; how it looks on the wire is `runtime::status`'s matter.

use std::fmt::Display;
use std::time::Duration;

use crate::reason::{self, Reason};

/// The canonical codes that this system answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Wrong in itself, whatever the state.
    InvalidArgument,
    /// The deadline passed first.
    DeadlineExceeded,
    /// Absent, and the caller may know.
    NotFound,
    /// A unique key is taken by a different thing.
    AlreadyExists,
    /// The caller may not.
    PermissionDenied,
    /// A quota or rate is used up; time heals it.
    ResourceExhausted,
    /// State must be changed first by somebody.
    FailedPrecondition,
    /// A race was lost; read again and retry.
    Aborted,
    /// A feed or retention edge was passed.
    OutOfRange,
    /// No such method.
    Unimplemented,
    /// A defect of the server.
    Internal,
    /// Nothing was executed; try again.
    Unavailable,
    /// Who calls is not known.
    Unauthenticated,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, as in the `.proto` file.
    pub field: String,
    /// What is wrong, for a person; never the value of a secret field.
    pub description: String,
    /// What is wrong, for a program.
    pub reason: Reason,
}

/// Why something was not done, with all that the caller is told about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.reason, .0.message)]
pub struct Refusal(Box<Told>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    code: Code,
    reason: Reason,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<FieldViolation>,
    subject: Option<String>,
    blockers: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with a code, a stable reason and a sentence for a person.
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Told {
            code,
            reason,
            message,
            metadata: Vec::new(),
            violations: Vec::new(),
            subject: None,
            blockers: Vec::new(),
            retry_after: None,
        }))
    }

    /// Adds one entry of the `ErrorInfo` metadata; keys are `snake_case` (K53).
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Display) -> Self {
        self.0.metadata.push((key, value.to_string()));
        self
    }

    /// Names the resource that the refusal is about, for `PreconditionFailure` or `ResourceInfo`.
    #[must_use]
    pub fn about(mut self, resource: impl Display) -> Self {
        self.0.subject = Some(resource.to_string());
        self
    }

    /// As [`Self::about`], where the refusal does not name its resource itself.
    #[must_use]
    pub fn about_unless_told(self, resource: impl Display) -> Self {
        if self.0.subject.is_some() { self } else { self.about(resource) }
    }

    /// Names one of the things that have to go first, with a sentence about it, for `PreconditionFailure`.
    #[must_use]
    pub fn blocked_by(mut self, resource: impl Display, why: impl Display) -> Self {
        self.0.blockers.push((resource.to_string(), why.to_string()));
        self
    }

    /// Says when a retry can succeed.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// All wrong fields of one request, at once.
    pub fn invalid_fields(violations: Vec<FieldViolation>) -> Self {
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        let message = format!("invalid: {}", fields.join(", "));
        let reason = match violations.as_slice() {
            [only] => only.reason,
            _ => reason::FIELD_INVALID,
        };
        let mut refusal = Self::new(Code::InvalidArgument, reason, message);
        refusal.0.violations = violations;
        refusal
    }

    /// The call carries no usable identity.
    pub fn unauthenticated(reason: Reason, message: &str) -> Self {
        Self::new(Code::Unauthenticated, reason, message)
    }

    /// The one answer for whatever a caller may not see or do: it tells nothing of what is there (P-11).
    pub fn permission_denied(permission: &str, resource: impl Display) -> Self {
        Self::new(Code::PermissionDenied, reason::PERMISSION_DENIED, format!("the caller lacks {permission}"))
            .with("permission", permission)
            .with("resource", resource)
    }

    /// State must change first.
    pub fn failed_precondition(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, reason, message)
    }

    /// Absent, and the caller may know.
    pub fn not_found(reason: Reason, resource: impl Display) -> Self {
        let resource = resource.to_string();
        Self::new(Code::NotFound, reason, format!("{resource} does not exist"))
            .with("resource", &resource)
            .about(resource)
    }

    /// A unique key is taken by a different thing.
    pub fn already_exists(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Code::AlreadyExists, reason, message)
    }

    /// A peer did not answer, or its answer does not fit: nothing happens (P-3).
    pub fn dependency_unavailable(dependency: &str) -> Self {
        Self::new(Code::Unavailable, reason::DEPENDENCY_UNAVAILABLE, format!("{dependency} is unavailable"))
            .with("dependency", dependency)
            .retry_after(Duration::from_secs(1))
    }

    /// A defect; what it was goes to the log, not to the caller.
    pub fn internal() -> Self {
        Self::new(Code::Internal, reason::INTERNAL, "internal error")
    }

    /// The canonical code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The stable reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The sentence for a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The `ErrorInfo` metadata.
    pub fn metadata(&self) -> &[(&'static str, String)] {
        &self.0.metadata
    }

    /// The wrong fields, for `BadRequest`.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// The resource that the refusal is about.
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What has to go first, each with a sentence about it.
    pub fn blockers(&self) -> &[(String, String)] {
        &self.0.blockers
    }

    /// When a retry can succeed.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }
}
