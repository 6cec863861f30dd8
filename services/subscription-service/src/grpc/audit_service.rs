//! `AuditService` on the wire; what an audit log is, is told in `runtime::audit`.

use api::subscription::v1::audit_service_server::AuditService;
use api::subscription::v1::{
    GetAuditEventRequest, GetAuditEventResponse, ListAuditEventsRequest, ListAuditEventsResponse,
};
use runtime::audit::ListAuditEvents;
use tonic::{Request, Response, Status};

use super::Handler;

const LIST_AUDIT_EVENTS: &str = "/tenure.subscription.v1.AuditService/ListAuditEvents";

#[tonic::async_trait]
impl AuditService for Handler {
    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let ListAuditEventsRequest { parent, page_size, page_token, start_time, end_time, filter } =
            request.into_inner();
        let asked = ListAuditEvents { parent, page_size, page_token, start_time, end_time, filter };
        let page = self.audit.list(&caller, LIST_AUDIT_EVENTS, &asked).await;
        self.edge.answer(
            page.map(|(audit_events, next_page_token)| ListAuditEventsResponse {
                audit_events,
                next_page_token,
            }),
        )
    }

    async fn get_audit_event(
        &self,
        request: Request<GetAuditEventRequest>,
    ) -> Result<Response<GetAuditEventResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let event = self.audit.get(&caller, &request.get_ref().name).await;
        self.edge.answer(event.map(|event| GetAuditEventResponse { audit_event: Some(event) }))
    }
}
