//! A service whose only method does what a test says, behind the real layers; for the tests of this crate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{FetchKeys, KeySet, PublicKey, TokenVerifier, Trust};
use api::directory::v1::domain_service_client::DomainServiceClient;
use api::directory::v1::domain_service_server::{DomainService, DomainServiceServer};
use api::directory::v1::{
    CreateDomainRequest, CreateDomainResponse, DeleteDomainRequest, DeleteDomainResponse, GetDomainRequest,
    GetDomainResponse, ListDomainsRequest, ListDomainsResponse, ResolveDomainRequest, ResolveDomainResponse,
    RotateDomainChallengeRequest, RotateDomainChallengeResponse, SetPrimaryDomainRequest,
    SetPrimaryDomainResponse, VerifyDomainRequest, VerifyDomainResponse,
};
use kernel::{Clock, Refusal};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::clock::{system_clock, system_ids};
use crate::server::{Health, Layered, Limits, MOST_MESSAGE_BYTES, Routes, Server, ServiceParts, layered};
use crate::shutdown::Tasks;

/// The method of [`Scripted`]; identity may call it, subscription may not.
pub(crate) const RESOLVE: &str = "/tenure.directory.v1.DomainService/ResolveDomain";
pub(crate) const ISSUER: &str = "https://identity.test";

type Answer = Pin<Box<dyn Future<Output = Result<Response<ResolveDomainResponse>, Status>> + Send>>;

/// A service that answers as a test says.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<dyn Fn(Request<ResolveDomainRequest>) -> Answer + Send + Sync>);

impl Scripted {
    pub(crate) fn new<F, R>(script: F) -> Self
    where
        F: Fn(Request<ResolveDomainRequest>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, Status>> + Send + 'static,
    {
        Self(Arc::new(move |request| {
            let answer = script(request);
            Box::pin(async move {
                answer.await.map(|directory| Response::new(ResolveDomainResponse { directory, state: 0 }))
            })
        }))
    }

    /// Repeats the domain.
    pub(crate) fn echo() -> Self {
        Self::new(|request| async move { Ok(request.into_inner().domain) })
    }
}

#[tonic::async_trait]
impl DomainService for Scripted {
    async fn resolve_domain(
        &self,
        request: Request<ResolveDomainRequest>,
    ) -> Result<Response<ResolveDomainResponse>, Status> {
        (self.0)(request).await
    }

    async fn create_domain(
        &self,
        _: Request<CreateDomainRequest>,
    ) -> Result<Response<CreateDomainResponse>, Status> {
        unscripted()
    }

    async fn verify_domain(
        &self,
        _: Request<VerifyDomainRequest>,
    ) -> Result<Response<VerifyDomainResponse>, Status> {
        unscripted()
    }

    async fn rotate_domain_challenge(
        &self,
        _: Request<RotateDomainChallengeRequest>,
    ) -> Result<Response<RotateDomainChallengeResponse>, Status> {
        unscripted()
    }

    async fn set_primary_domain(
        &self,
        _: Request<SetPrimaryDomainRequest>,
    ) -> Result<Response<SetPrimaryDomainResponse>, Status> {
        unscripted()
    }

    async fn get_domain(&self, _: Request<GetDomainRequest>) -> Result<Response<GetDomainResponse>, Status> {
        unscripted()
    }

    async fn list_domains(
        &self,
        _: Request<ListDomainsRequest>,
    ) -> Result<Response<ListDomainsResponse>, Status> {
        unscripted()
    }

    async fn delete_domain(
        &self,
        _: Request<DeleteDomainRequest>,
    ) -> Result<Response<DeleteDomainResponse>, Status> {
        unscripted()
    }
}

fn unscripted<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not scripted"))
}

/// The keys of all services and of the operator.
pub(crate) struct Keys {
    pub(crate) services: HashMap<Service, PrivateKey>,
    pub(crate) operator: PrivateKey,
    pub(crate) tokens: PrivateKey,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let key = || PrivateKey::generate().unwrap();
        Self {
            services: Service::ALL.into_iter().map(|service| (service, key())).collect(),
            operator: key(),
            tokens: key(),
        }
    }

    /// Verifies for one service; the key set of access tokens can be had.
    pub(crate) fn verifier(&self, own: Service, clock: Clock) -> Arc<TokenVerifier> {
        let keys = vec![PublicKey { kid: "k1".to_owned(), x: self.tokens.public_x() }];
        let fetch = FetchKeys::new(move || {
            let keys = keys.clone();
            async move { Ok(KeySet { keys, max_age: Duration::from_mins(5) }) }
        });
        Arc::new(TokenVerifier::new(own, ISSUER.to_owned(), self.trust(), fetch, clock))
    }

    /// Verifies for one service while identity cannot be asked for its keys.
    pub(crate) fn verifier_without_key_set(&self, own: Service) -> Arc<TokenVerifier> {
        let fetch = FetchKeys::new(|| async { Err(Refusal::dependency_unavailable("identity-service")) });
        Arc::new(TokenVerifier::new(own, ISSUER.to_owned(), self.trust(), fetch, system_clock()))
    }

    /// A service's token for another.
    pub(crate) fn service_token(&self, service: Service, audience: Service) -> String {
        self.services[&service].service_token(service, audience, system_clock().now()).unwrap()
    }

    /// An operator's token.
    pub(crate) fn operator_token(&self) -> String {
        let id = Uuid::from_u128(7);
        let now = system_clock().now();
        self.operator.operator_token("tenure", id, now, Duration::from_mins(5)).unwrap()
    }

    fn trust(&self) -> Trust {
        let public = |(service, key): (&Service, &PrivateKey)| (*service, key.public().to_vec());
        Trust {
            services: self.services.iter().map(public).collect(),
            operator: Some(self.operator.public().to_vec()),
        }
    }
}

/// The scripted service behind its layers, as directory-service.
pub(crate) fn directory(scripted: Scripted, keys: &Keys, limits: &Limits) -> Layered {
    directory_with(scripted, keys.verifier(Service::Directory, system_clock()), limits)
}

pub(crate) fn directory_with(scripted: Scripted, verifier: Arc<TokenVerifier>, limits: &Limits) -> Layered {
    let server = DomainServiceServer::new(scripted).max_encoding_message_size(MOST_MESSAGE_BYTES);
    let parts = ServiceParts {
        service: Service::Directory,
        routes: Routes::new(server),
        names: vec!["tenure.directory.v1.DomainService"],
        verifier,
    };
    layered(parts, limits)
}

/// A server on a port of its own; it is cut off when this is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    pub(crate) hard_stop: CancellationToken,
    pub(crate) tasks: Tasks,
}

impl Running {
    pub(crate) async fn start(services: Vec<Layered>, limits: Limits) -> Self {
        Self::start_with(services, limits, None).await
    }

    pub(crate) async fn start_with(
        services: Vec<Layered>,
        limits: Limits,
        tls: Option<crate::tls::ServerTls>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, hard_stop, tasks) = (CancellationToken::new(), CancellationToken::new(), Tasks::new());
        let server = Server::new(services, limits).with_tls(tls);
        let health = server.health();
        let (soft, hard) = (stop.clone().cancelled_owned(), hard_stop.clone().cancelled_owned());
        tasks.spawn("server", async move { server.serve(listener, soft, hard).await.unwrap() });
        Self { address, health, stop, hard_stop, tasks }
    }

    /// A server of the scripted service.
    pub(crate) async fn directory(scripted: Scripted, keys: &Keys) -> Self {
        let limits = Limits::default();
        Self::start(vec![directory(scripted, keys, &limits)], limits).await
    }

    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    /// Calls the scripted method.
    pub(crate) async fn resolve(
        &self,
        request: Request<ResolveDomainRequest>,
    ) -> Result<Response<ResolveDomainResponse>, Status> {
        let client = DomainServiceClient::new(self.channel());
        client.max_decoding_message_size(2 * MOST_MESSAGE_BYTES).resolve_domain(request).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hard_stop.cancel();
    }
}

/// A call of the scripted method with a token that may make it.
pub(crate) fn request(keys: &Keys, domain: &str) -> Request<ResolveDomainRequest> {
    let mut request = Request::new(ResolveDomainRequest { domain: domain.to_owned() });
    authorise(&mut request, &keys.service_token(Service::Identity, Service::Directory));
    request
}

pub(crate) fn authorise<T>(request: &mut Request<T>, token: &str) {
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
}

/// The reason and the domain in a status, which must have an `ErrorInfo`.
pub(crate) fn told(status: &Status) -> (tonic::Code, String, String) {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    (status.code(), info.reason, info.domain)
}

/// Ids for whoever needs some.
pub(crate) fn ids() -> kernel::Ids {
    system_ids()
}
