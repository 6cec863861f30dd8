//! `DirectoryStateService` on the wire.

use api::identity::v1::directory_state_service_server::DirectoryStateService;
use api::identity::v1::{ApplyDirectoryStateRequest, ApplyDirectoryStateResponse};
use kernel::Refusal;
use tonic::{Request, Response, Status};

use super::session_service::without_request_id;
use super::{Handlers, parse, present};

const APPLY_DIRECTORY_STATE: &str = "/tenure.identity.v1.DirectoryStateService/ApplyDirectoryState";

#[tonic::async_trait]
impl DirectoryStateService for Handlers {
    async fn apply_directory_state(
        &self,
        request: Request<ApplyDirectoryStateRequest>,
    ) -> Result<Response<ApplyDirectoryStateResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let call = self.edge.call(&request, APPLY_DIRECTORY_STATE, "")?;
        let result = async {
            let command = parse::apply_directory_state(request.get_ref())?;
            let noted = self.use_cases.apply_directory_state(&call, &caller, command).await?;
            Ok::<_, Refusal>(present::directory_state(command.directory, noted))
        };
        let result = result.await.map_err(without_request_id);
        self.edge.answer_write(&call, &request.get_ref().directory, result).await
    }
}
