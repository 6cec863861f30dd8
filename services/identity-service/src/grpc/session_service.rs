//! `SessionService` on the wire.

use api::identity::v1::session_service_server::SessionService;
use api::identity::v1::{
    GetJsonWebKeySetRequest, GetJsonWebKeySetResponse, RefreshSessionRequest, RefreshSessionResponse,
    RevokeSessionRequest, RevokeSessionResponse, SignInRequest, SignInResponse,
};
use kernel::{Code, Refusal, reason};
use tonic::{Request, Response, Status};

use super::{Handlers, parse, present};

const SIGN_IN: &str = "/tenure.identity.v1.SessionService/SignIn";
const REFRESH_SESSION: &str = "/tenure.identity.v1.SessionService/RefreshSession";
const REVOKE_SESSION: &str = "/tenure.identity.v1.SessionService/RevokeSession";

#[tonic::async_trait]
impl SessionService for Handlers {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let call = self.edge.anonymous_call(&request, SIGN_IN);
        let source = self.edge.source(&request);
        let result = async {
            let command = parse::sign_in(request.into_inner())?;
            let signed_in = self.use_cases.sign_in(&call, &source, &command).await?;
            Ok::<_, Refusal>(present::signed_in(signed_in, call.now))
        };
        let result = Box::pin(result).await.map_err(without_request_id);
        self.edge.answer_write(&call, "sessions", result).await
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        let call = self.edge.anonymous_call(&request, REFRESH_SESSION);
        let result = async {
            let token = parse::refresh_token(request.into_inner())?;
            let token = self.use_cases.genuine(&token)?;
            self.edge.spend_of_session(token.directory, token.session)?;
            let refreshed = self.use_cases.refresh_session(&call, token).await?;
            Ok::<_, Refusal>(present::refreshed(refreshed, call.now))
        };
        let result = result.await.map_err(without_request_id);
        self.edge.answer_write(&call, "sessions", result).await
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let call = self.edge.call(&request, REVOKE_SESSION, "")?;
        let result = async {
            let command = parse::revoke_session(request.get_ref())?;
            let ended = self.use_cases.revoke_session(&call, &caller, command).await?;
            let session = present::session(command.principal.directory(), &ended, call.now);
            Ok::<_, Refusal>(RevokeSessionResponse { session: Some(session) })
        };
        let result = result.await.map_err(without_request_id);
        self.edge.answer_write(&call, &request.get_ref().name, result).await
    }

    async fn get_json_web_key_set(
        &self,
        _request: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        let keys = self.use_cases.keys.key_set(self.edge.now()).await;
        self.edge.answer(keys.map(present::key_set))
    }
}

/// A lost answer to a commit, where no `request_id` could settle what became of it.
///
/// A retry is safe all the same: an unseen session ends by itself, a refresh token gives the same successor, and a
/// session is revoked once.
pub(super) fn without_request_id(refusal: Refusal) -> Refusal {
    if refusal.reason() != reason::COMMIT_OUTCOME_UNKNOWN {
        return refusal;
    }
    let unavailable = Refusal::new(Code::Unavailable, reason::STORAGE_UNAVAILABLE, "storage is unavailable");
    unavailable.retry_after(refusal.retry_delay().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::StoreError;

    #[test]
    fn without_a_request_id_no_retry_is_told_to_settle_the_outcome() {
        let lost: Refusal = StoreError::OutcomeUnknown(sqlx::Error::WorkerCrashed).into();
        assert_eq!(lost.reason(), reason::COMMIT_OUTCOME_UNKNOWN);
        let told = without_request_id(lost);
        assert_eq!((told.code(), told.reason()), (Code::Unavailable, reason::STORAGE_UNAVAILABLE));
        assert!(told.retry_delay().is_some_and(|delay| !delay.is_zero()));
        assert_eq!(without_request_id(Refusal::internal()), Refusal::internal());
    }
}
