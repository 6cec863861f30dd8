//! What a failed call to a peer means; which of a peer's refusals matter, each caller knows.

use std::collections::HashMap;

use access::Service;
use kernel::Refusal;
use tonic::Status;
use tonic_types::StatusExt as _;

/// A peer's refusal, or its silence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code:?} {}: {message}", reason.as_deref().unwrap_or("without a reason"))]
pub struct PeerError {
    /// The canonical code.
    pub code: tonic::Code,
    /// The reason in the `ErrorInfo`, if there was one.
    pub reason: Option<String>,
    /// The metadata in the `ErrorInfo`.
    pub metadata: HashMap<String, String>,
    /// The sentence for a person.
    pub message: String,
}

impl PeerError {
    /// Reads a status as a peer sent it.
    #[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
    pub fn of(status: tonic::Status) -> Self {
        let (reason, metadata) = match status.get_details_error_info() {
            Some(info) => (Some(info.reason), info.metadata),
            None => (None, HashMap::new()),
        };
        Self { code: status.code(), reason, metadata, message: status.message().to_owned() }
    }

    /// Whether the peer refused for this reason.
    pub fn is(&self, reason: &str) -> bool {
        self.reason.as_deref() == Some(reason)
    }

    /// The answer to our own caller when the refusal is none that he should know: nothing happened (P-3).
    pub fn unavailable(&self, dependency: Service) -> Refusal {
        tracing::warn!(%dependency, code = ?self.code, reason = self.reason, "a peer did not serve a call");
        Refusal::dependency_unavailable(dependency.as_str())
    }
}

impl From<Status> for PeerError {
    fn from(status: Status) -> Self {
        Self::of(status)
    }
}
