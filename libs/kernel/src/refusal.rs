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

impl Code {
    /// The code as gRPC names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
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

/// One of several things that have to change first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The resource.
    pub subject: String,
    /// What is to be done about it, for a person.
    pub description: String,
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
    preconditions: Vec<Precondition>,
    subject: Option<String>,
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
            preconditions: Vec::new(),
            subject: None,
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

    /// Names all that has to change first, where it is more than one thing, for `PreconditionFailure`.
    #[must_use]
    pub fn because_of(mut self, preconditions: Vec<Precondition>) -> Self {
        self.0.preconditions = preconditions;
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

    /// All that has to change first, where it is more than the subject.
    pub fn preconditions(&self) -> &[Precondition] {
        &self.0.preconditions
    }

    /// The resource that the refusal is about.
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// When a retry can succeed.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }
}
