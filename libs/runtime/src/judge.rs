//! The judge of every service but identity: it asks identity-service, and believes only an answer that fits (K3).
//!
//! Whatever is not a fitting answer is UNAVAILABLE, so that nothing happens (P-3).

use access::{Consistency, Denial, Judge, Judgement, Question};
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::{CheckDirectoryRoleRequest, CheckDirectoryRoleResponse, Decision, DenialReason};
use api::types::v1::ReadConsistency;
use api::types::v1::read_consistency::Level;
use kernel::{Clock, Refusal, Timestamp};

use crate::peer::Peer;

const IDENTITY: &str = "identity-service";

/// Asks identity-service on every question; keeps nothing.
#[derive(Debug, Clone)]
pub struct RemoteJudge {
    identity: Peer,
    clock: Clock,
}

impl RemoteJudge {
    /// A judge that speaks through `identity`.
    pub const fn new(identity: Peer, clock: Clock) -> Self {
        Self { identity, clock }
    }
}

impl Judge for RemoteJudge {
    async fn judge(&self, question: &Question) -> Result<Judgement, Refusal> {
        // Before asking: the answer is at least as young as this.
        let judged_at = self.clock.now();
        let response = DirectoryRoleServiceClient::new(self.identity.clone())
            .check_directory_role(request(question))
            .await
            .map_err(|status| {
                tracing::warn!(code = ?status.code(), "identity-service did not answer a check");
                Refusal::dependency_unavailable(IDENTITY)
            })?;
        fitting(question, response.into_inner(), judged_at).ok_or_else(|| {
            tracing::error!("identity-service's answer does not fit the question");
            Refusal::dependency_unavailable(IDENTITY)
        })
    }
}

fn request(question: &Question) -> CheckDirectoryRoleRequest {
    let level = match question.consistency {
        Consistency::Fresh => Level::FullyConsistent(true),
        Consistency::AtMostFiveSeconds => Level::MinimizeLatency(true),
    };
    CheckDirectoryRoleRequest {
        directory: format!("directories/{}", question.directory),
        principal: question.principal.to_string(),
        session: question
            .session
            .map(|session| format!("{}/sessions/{session}", question.principal))
            .unwrap_or_default(),
        any_of_roles: question.any_of_roles.iter().map(|role| format!("directoryRoles/{role}")).collect(),
        any_of_permissions: question.any_of_permissions.clone(),
        consistency: Some(ReadConsistency { level: Some(level) }),
    }
}

/// The judgement in an answer, if the answer is about this question and says yes or no.
fn fitting(
    question: &Question,
    answer: CheckDirectoryRoleResponse,
    judged_at: Timestamp,
) -> Option<Judgement> {
    let same_directory = answer.directory == format!("directories/{}", question.directory);
    if !same_directory || answer.principal != question.principal.to_string() {
        return None;
    }
    let denied = match answer.decision() {
        Decision::Allowed if answer.denial_reason == 0 => None,
        Decision::Unspecified | Decision::Allowed => return None,
        Decision::Denied => Some(denial(answer.denial_reason())?),
    };
    let matched_roles = answer.matched_roles;
    Some(Judgement { denied, matched_roles, revision: answer.revision, judged_at })
}

const fn denial(reason: DenialReason) -> Option<Denial> {
    match reason {
        DenialReason::Unspecified => None,
        DenialReason::PrincipalNotFound => Some(Denial::PrincipalNotFound),
        DenialReason::PrincipalDisabled => Some(Denial::PrincipalDisabled),
        DenialReason::PrincipalDeleted => Some(Denial::PrincipalDeleted),
        DenialReason::SessionRevoked => Some(Denial::SessionRevoked),
        DenialReason::OtherDirectory => Some(Denial::OtherDirectory),
        DenialReason::DirectoryNotActive => Some(Denial::DirectoryNotActive),
        DenialReason::RoleMissing => Some(Denial::RoleMissing),
    }
}
