//! `SessionService` on the wire.

use api::identity::v1::session_service_server::SessionService;
use api::identity::v1::{
    GetJsonWebKeySetRequest, GetJsonWebKeySetResponse, RefreshSessionRequest, RefreshSessionResponse,
    RevokeSessionRequest, RevokeSessionResponse, SignInRequest, SignInResponse,
};
use kernel::Refusal;
use tonic::{Request, Response, Status};

use super::{Handlers, parse, present};

const SIGN_IN: &str = "/tenure.identity.v1.SessionService/SignIn";
const REFRESH_SESSION: &str = "/tenure.identity.v1.SessionService/RefreshSession";
const REVOKE_SESSION: &str = "/tenure.identity.v1.SessionService/RevokeSession";

#[tonic::async_trait]
impl SessionService for Handlers {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let call = self.edge.public_call(&request, SIGN_IN, "")?;
        let source = self.edge.source(&request);
        let result = async {
            let command = parse::sign_in(request.into_inner())?;
            let signed_in = self.use_cases.sign_in(&call, &source, &command).await?;
            Ok::<_, Refusal>(present::signed_in(signed_in, call.now))
        };
        let result = Box::pin(result).await;
        self.edge.answer_write(&call, "sessions", result).await
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        let call = self.edge.public_call(&request, REFRESH_SESSION, "")?;
        let result = async {
            let token = parse::refresh_token(request.into_inner())?;
            let refreshed = self.use_cases.refresh_session(&call, &token).await?;
            Ok::<_, Refusal>(present::refreshed(refreshed, call.now))
        };
        let result = result.await;
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
        self.edge.answer_write(&call, &request.get_ref().name, result.await).await
    }

    async fn get_json_web_key_set(
        &self,
        _request: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        let keys = self.use_cases.keys.key_set(self.edge.now()).await;
        self.edge.answer(keys.map(present::key_set))
    }
}
