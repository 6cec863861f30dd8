//! The handlers of domains: caller, parse, use case, present (S11).

use api::directory::v1::domain_service_server::DomainService;
use api::directory::v1::{
    CreateDomainRequest, CreateDomainResponse, DeleteDomainRequest, DeleteDomainResponse, DomainState,
    GetDomainRequest, GetDomainResponse, ListDomainsRequest, ListDomainsResponse, ResolveDomainRequest,
    ResolveDomainResponse, RotateDomainChallengeRequest, RotateDomainChallengeResponse,
    SetPrimaryDomainRequest, SetPrimaryDomainResponse, VerifyDomainRequest, VerifyDomainResponse,
};
use tonic::Request;

use super::service::{Answer, Handler};
use super::{parse, present};
use crate::domain::refused::Refused;

const CREATE_DOMAIN: &str = "/tenure.directory.v1.DomainService/CreateDomain";
const VERIFY_DOMAIN: &str = "/tenure.directory.v1.DomainService/VerifyDomain";
const ROTATE_DOMAIN_CHALLENGE: &str = "/tenure.directory.v1.DomainService/RotateDomainChallenge";
const SET_PRIMARY_DOMAIN: &str = "/tenure.directory.v1.DomainService/SetPrimaryDomain";
const DELETE_DOMAIN: &str = "/tenure.directory.v1.DomainService/DeleteDomain";

#[tonic::async_trait]
impl DomainService for Handler {
    async fn create_domain(&self, request: Request<CreateDomainRequest>) -> Answer<CreateDomainResponse> {
        let call = self.edge.call(&request, CREATE_DOMAIN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let command = parse::create_domain(&message, &self.suffix)?;
            let domain = self.use_cases.create_domain(&call, &command).await?;
            Ok::<_, Refused>(CreateDomainResponse { domain: Some(present::domain(domain)) })
        };
        self.edge.answer_write(&call, &message.parent, result.await).await
    }

    async fn verify_domain(&self, request: Request<VerifyDomainRequest>) -> Answer<VerifyDomainResponse> {
        let call = self.edge.call(&request, VERIFY_DOMAIN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let command = parse::domain_to_change(&message.name, &message.request_id)?;
            let domain = self.use_cases.verify_domain(&call, &command).await?;
            Ok::<_, Refused>(VerifyDomainResponse { domain: Some(present::domain(domain)) })
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }

    async fn rotate_domain_challenge(
        &self,
        request: Request<RotateDomainChallengeRequest>,
    ) -> Answer<RotateDomainChallengeResponse> {
        let call = self.edge.call(&request, ROTATE_DOMAIN_CHALLENGE, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let command = parse::domain_to_change(&message.name, &message.request_id)?;
            let domain = self.use_cases.rotate_domain_challenge(&call, &command).await?;
            Ok::<_, Refused>(RotateDomainChallengeResponse { domain: Some(present::domain(domain)) })
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }

    async fn set_primary_domain(
        &self,
        request: Request<SetPrimaryDomainRequest>,
    ) -> Answer<SetPrimaryDomainResponse> {
        let call = self.edge.call(&request, SET_PRIMARY_DOMAIN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let command = parse::domain_to_change(&message.name, &message.request_id)?;
            let domain = self.use_cases.set_primary_domain(&call, &command).await?;
            Ok::<_, Refused>(SetPrimaryDomainResponse { domain: Some(present::domain(domain)) })
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }

    async fn get_domain(&self, request: Request<GetDomainRequest>) -> Answer<GetDomainResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let named = parse::domain_name(&request.get_ref().name)?;
            let domain = self.use_cases.get_domain(&caller, &named).await?;
            Ok::<_, Refused>(GetDomainResponse { domain: Some(present::domain(domain)) })
        };
        self.edge.answer(result.await)
    }

    async fn list_domains(&self, request: Request<ListDomainsRequest>) -> Answer<ListDomainsResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let (directory, page) = parse::list_domains(request.into_inner())?;
            let (domains, next_page_token) = self.use_cases.list_domains(&caller, directory, &page).await?;
            let domains = domains.into_iter().map(present::domain).collect();
            Ok::<_, Refused>(ListDomainsResponse { domains, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn delete_domain(&self, request: Request<DeleteDomainRequest>) -> Answer<DeleteDomainResponse> {
        let call = self.edge.call(&request, DELETE_DOMAIN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let name = message.name.clone();
        let result = async {
            let command = parse::delete_domain(message)?;
            self.use_cases.delete_domain(&call, &command).await?;
            Ok::<_, Refused>(DeleteDomainResponse {})
        };
        self.edge.answer_write(&call, &name, result.await).await
    }

    async fn resolve_domain(&self, request: Request<ResolveDomainRequest>) -> Answer<ResolveDomainResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let domain = parse::domain(&request.get_ref().domain)?;
            let directory = self.use_cases.resolve_domain(&caller, &domain).await?;
            let directory = format!("directories/{directory}");
            Ok::<_, Refused>(ResolveDomainResponse { directory, state: DomainState::Verified.into() })
        };
        self.edge.answer(result.await)
    }
}
