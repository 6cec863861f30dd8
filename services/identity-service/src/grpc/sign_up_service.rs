//! `SignUpService` on the wire.

use api::identity::v1::sign_up_service_server::SignUpService;
use api::identity::v1::{SignUpRequest, SignUpResponse};
use kernel::Refusal;
use tonic::{Request, Response, Status};

use super::{Handlers, parse_user, present};

const SIGN_UP: &str = "/tenure.identity.v1.SignUpService/SignUp";

#[tonic::async_trait]
impl SignUpService for Handlers {
    async fn sign_up(&self, request: Request<SignUpRequest>) -> Result<Response<SignUpResponse>, Status> {
        let call = self.edge.public_call(&request, SIGN_UP, &request.get_ref().request_id)?;
        let source = self.edge.source(&request);
        let result = async {
            let command = parse_user::sign_up(request.get_ref())?;
            let made = self.use_cases.sign_up(&call, &source, &command).await?;
            Ok::<_, Refusal>(present::signed_up(made))
        };
        self.edge.answer_write(&call, "directories", Box::pin(result).await).await
    }
}
