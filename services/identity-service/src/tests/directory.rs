//! A directory context that does what a test tells it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use access::{Call, Caller, Service};
use api::directory::v1::directory_service_server::{DirectoryService, DirectoryServiceServer};
use api::directory::v1::domain_service_server::{DomainService, DomainServiceServer};
use api::directory::v1::lien_service_server::{LienService, LienServiceServer};
use api::directory::v1::*;
use kernel::{Clock, Reason, Refusal, RequestId, Timestamp, reason};
use runtime::peer::Peer;
use runtime::status::status;
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What is wrong with the directory context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    CreateNotDone,
    CreateAnswerLost,
    /// The next directory is made, and its answer waits until it is released.
    CreateAnswerHeld,
    /// The next label is told to be taken, once that answer is released.
    TakenAnswerHeld,
    /// Every label is told to be taken.
    Taken,
    ActivateNotDone,
    AbandonNotDone,
    LienAnswerLost,
    LienNotLetGo,
}

struct State {
    clock: Clock,
    troubles: Vec<Trouble>,
    /// What was made by a request, and when: answers are kept for a day.
    by_request: HashMap<String, (Timestamp, Directory)>,
    /// Directories by name, in their state; the labels of those that are not deleted are taken.
    directories: HashMap<String, Directory>,
    domains: HashMap<String, String>,
    /// What each lien that stands guards, and its revision, by name.
    liens: HashMap<String, (String, i64)>,
    /// The highest revision that was removed, by what it guarded.
    removed_liens: HashMap<String, i64>,
    while_lien_is_taken: Option<Hook>,
}

/// What happens once, while a peer answers.
pub(super) type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

#[derive(Clone)]
pub(super) struct FakeDirectory {
    state: Arc<Mutex<State>>,
    held: Arc<Notify>,
    pub(super) release: Arc<Notify>,
}

impl FakeDirectory {
    pub(super) fn new(clock: Clock) -> Self {
        let (troubles, by_request) = (Vec::new(), HashMap::new());
        let (directories, domains, liens) = (HashMap::new(), HashMap::new(), HashMap::new());
        let state = State {
            clock,
            troubles,
            by_request,
            directories,
            domains,
            liens,
            removed_liens: HashMap::new(),
            while_lien_is_taken: None,
        };
        Self { state: Arc::new(Mutex::new(state)), held: Arc::default(), release: Arc::default() }
    }

    /// Waits until an answer is held.
    pub(super) async fn holds(&self) {
        self.held.notified().await;
    }

    async fn hold(&self) {
        self.held.notify_one();
        self.release.notified().await;
    }

    fn create(&self, message: &CreateDirectoryRequest) -> Result<(Directory, bool), Status> {
        let mut state = self.state.lock().unwrap();
        state.has(Trouble::CreateNotDone)?;
        if let Some((at, made)) = state.by_request.get(&message.request_id) {
            return if state.clock.now().since(*at) < database::idempotency::RECORD_LIFETIME {
                Ok((made.clone(), false))
            } else {
                Err(refused(&Refusal::failed_precondition(reason::REQUEST_ID_REUSED, "too late")))
            };
        }
        let domain = format!("{}.tenure.internal", message.initial_domain_label);
        if state.taken(&domain) {
            return Err(taken(&domain));
        }
        let mut made = Directory {
            name: format!("directories/{}", made_by(&message.request_id)),
            initial_domain: domain,
            revision: 1,
            ..message.directory.clone().unwrap()
        };
        made.set_state(directory::State::Provisioning);
        let now = state.clock.now();
        state.by_request.insert(message.request_id.clone(), (now, made.clone()));
        state.directories.insert(made.name.clone(), made.clone());
        state.has(Trouble::CreateAnswerLost)?;
        Ok((made, state.once(Trouble::CreateAnswerHeld)))
    }

    pub(super) fn peer(&self) -> Peer {
        let (peer, slot) = Peer::later();
        let routes = Routes::new(DirectoryServiceServer::new(self.clone()))
            .add_service(DomainServiceServer::new(self.clone()))
            .add_service(LienServiceServer::new(self.clone()));
        slot.connect(routes.prepare());
        peer
    }

    pub(super) fn suffers(&self, troubles: &[Trouble]) {
        self.state.lock().unwrap().troubles = troubles.to_vec();
    }

    pub(super) fn states(&self) -> Vec<directory::State> {
        self.state.lock().unwrap().directories.values().map(Directory::state).collect()
    }

    pub(super) fn verify_domain(&self, domain: &str, directory: &str) {
        self.state.lock().unwrap().domains.insert(domain.into(), directory.into());
    }

    /// Removes a domain, unless a lien guards it; says whether it did.
    pub(super) fn delete_domain(&self, domain: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        let guarded =
            state.liens.values().any(|(resource, _)| resource.ends_with(&format!("/domains/{domain}")));
        if !guarded {
            state.domains.remove(domain);
        }
        !guarded
    }

    /// What the liens that stand guard.
    pub(super) fn guarded(&self) -> Vec<String> {
        self.state.lock().unwrap().liens.values().map(|(resource, _)| resource.clone()).collect()
    }

    pub(super) fn while_lien_is_taken(&self, hook: Hook) {
        self.state.lock().unwrap().while_lien_is_taken = Some(hook);
    }
}

impl State {
    fn has(&self, trouble: Trouble) -> Result<(), Status> {
        if self.troubles.contains(&trouble) { Err(Status::unavailable("scripted")) } else { Ok(()) }
    }

    /// Whether a trouble was set, which passes with this.
    fn once(&mut self, trouble: Trouble) -> bool {
        let before = self.troubles.len();
        self.troubles.retain(|other| *other != trouble);
        self.troubles.len() < before
    }

    fn taken(&self, domain: &str) -> bool {
        self.directories
            .values()
            .any(|other| other.initial_domain == domain && other.state() != directory::State::Deleted)
    }

    fn set(&mut self, name: &str, state: directory::State) -> Result<Directory, Status> {
        let not_found = Refusal::not_found(Reason::new("DIRECTORY_NOT_FOUND"), name);
        let found = self.directories.get_mut(name).ok_or_else(|| refused(&not_found))?;
        found.set_state(state);
        found.revision += 1;
        Ok(found.clone())
    }
}

fn refused(refusal: &Refusal) -> Status {
    status(Service::Directory, refusal)
}

fn taken(domain: &str) -> Status {
    refused(&Refusal::already_exists(Reason::new("INITIAL_DOMAIN_TAKEN"), "taken").with("domain", domain))
}

/// The id that directory-service gives to what a request of identity-service makes.
fn made_by(request_id: &str) -> uuid::Uuid {
    let identity = Caller::Service(Service::Identity);
    let method = "/tenure.directory.v1.DirectoryService/CreateDirectory";
    let request_id = RequestId::derived(request_id.parse().unwrap());
    Call::derive_id(Some(&identity), method, Some(request_id), &test_support::ids::seeded(1))
}

#[tonic::async_trait]
impl DirectoryService for FakeDirectory {
    async fn create_directory(
        &self,
        request: Request<CreateDirectoryRequest>,
    ) -> Result<Response<CreateDirectoryResponse>, Status> {
        let message = request.into_inner();
        let (taken_now, taken_late) = {
            let mut state = self.state.lock().unwrap();
            (state.troubles.contains(&Trouble::Taken), state.once(Trouble::TakenAnswerHeld))
        };
        if taken_late {
            self.hold().await;
        }
        if taken_now || taken_late {
            return Err(taken(&message.initial_domain_label));
        }
        let (directory, held) = self.create(&message)?;
        if held {
            self.hold().await;
        }
        Ok(Response::new(CreateDirectoryResponse { directory: Some(directory) }))
    }

    async fn activate_directory(
        &self,
        request: Request<ActivateDirectoryRequest>,
    ) -> Result<Response<ActivateDirectoryResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        state.has(Trouble::ActivateNotDone)?;
        let directory = state.set(&request.get_ref().name, directory::State::Active)?;
        Ok(Response::new(ActivateDirectoryResponse { directory: Some(directory) }))
    }

    async fn abandon_directory(
        &self,
        request: Request<AbandonDirectoryRequest>,
    ) -> Result<Response<AbandonDirectoryResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        state.has(Trouble::AbandonNotDone)?;
        let directory = state.set(&request.get_ref().name, directory::State::Deleted)?;
        Ok(Response::new(AbandonDirectoryResponse { directory: Some(directory) }))
    }

    async fn get_directory(
        &self,
        _: Request<GetDirectoryRequest>,
    ) -> Result<Response<GetDirectoryResponse>, Status> {
        Err(Status::unimplemented("not asked by identity"))
    }

    async fn list_directories(
        &self,
        _: Request<ListDirectoriesRequest>,
    ) -> Result<Response<ListDirectoriesResponse>, Status> {
        Err(Status::unimplemented("not asked by identity"))
    }

    async fn list_my_directories(
        &self,
        _: Request<ListMyDirectoriesRequest>,
    ) -> Result<Response<ListMyDirectoriesResponse>, Status> {
        Err(Status::unimplemented("not asked by identity"))
    }
}

#[tonic::async_trait]
impl DomainService for FakeDirectory {
    async fn resolve_domain(
        &self,
        request: Request<ResolveDomainRequest>,
    ) -> Result<Response<ResolveDomainResponse>, Status> {
        let state = self.state.lock().unwrap();
        let Some(directory) = state.domains.get(&request.get_ref().domain) else {
            let unknown = Refusal::not_found(Reason::new("DOMAIN_NOT_FOUND"), "domain");
            return Err(refused(&unknown));
        };
        let mut answer = ResolveDomainResponse { directory: directory.clone(), ..Default::default() };
        answer.set_state(DomainState::Verified);
        Ok(Response::new(answer))
    }

    async fn create_domain(
        &self,
        _: Request<CreateDomainRequest>,
    ) -> Result<Response<CreateDomainResponse>, Status> {
        unasked()
    }

    async fn verify_domain(
        &self,
        _: Request<VerifyDomainRequest>,
    ) -> Result<Response<VerifyDomainResponse>, Status> {
        unasked()
    }

    async fn rotate_domain_challenge(
        &self,
        _: Request<RotateDomainChallengeRequest>,
    ) -> Result<Response<RotateDomainChallengeResponse>, Status> {
        unasked()
    }

    async fn set_primary_domain(
        &self,
        _: Request<SetPrimaryDomainRequest>,
    ) -> Result<Response<SetPrimaryDomainResponse>, Status> {
        unasked()
    }

    async fn get_domain(&self, _: Request<GetDomainRequest>) -> Result<Response<GetDomainResponse>, Status> {
        unasked()
    }

    async fn list_domains(
        &self,
        _: Request<ListDomainsRequest>,
    ) -> Result<Response<ListDomainsResponse>, Status> {
        unasked()
    }

    async fn delete_domain(
        &self,
        _: Request<DeleteDomainRequest>,
    ) -> Result<Response<DeleteDomainResponse>, Status> {
        unasked()
    }
}

fn unasked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not asked by identity"))
}

#[tonic::async_trait]
impl LienService for FakeDirectory {
    async fn create_lien(
        &self,
        request: Request<CreateLienRequest>,
    ) -> Result<Response<CreateLienResponse>, Status> {
        let hook = self.state.lock().unwrap().while_lien_is_taken.take();
        if let Some(hook) = hook {
            hook().await;
        }
        let CreateLienRequest { parent, lien, .. } = request.into_inner();
        let mut lien = lien.unwrap();
        let mut state = self.state.lock().unwrap();
        let domain = lien.resource.rsplit('/').next().unwrap();
        if !state.domains.contains_key(domain) {
            return Err(refused(&Refusal::not_found(Reason::new("DOMAIN_NOT_FOUND"), domain)));
        }
        assert_eq!(lien.restrictions, ["directory.domains.delete"]);
        let id = kernel::new_ids::derive(&[&lien.resource, &lien.origin, &lien.revision.to_string()]);
        lien.name = format!("{parent}/liens/{id}");
        if let Some(removed) = state.removed_liens.get(&lien.resource).filter(|one| lien.revision <= **one) {
            let refusal = Refusal::failed_precondition(Reason::new("LIEN_REMOVED"), "removed");
            return Err(refused(&refusal.with("removed_revision", removed)));
        }
        state.liens.insert(lien.name.clone(), (lien.resource.clone(), lien.revision));
        state.has(Trouble::LienAnswerLost)?;
        Ok(Response::new(CreateLienResponse { lien: Some(lien) }))
    }

    async fn delete_lien(
        &self,
        request: Request<DeleteLienRequest>,
    ) -> Result<Response<DeleteLienResponse>, Status> {
        let mut state = self.state.lock().unwrap();
        state.has(Trouble::LienNotLetGo)?;
        if let Some((resource, revision)) = state.liens.remove(&request.get_ref().name) {
            state.removed_liens.insert(resource, revision);
        }
        Ok(Response::new(DeleteLienResponse {}))
    }

    async fn get_lien(&self, _: Request<GetLienRequest>) -> Result<Response<GetLienResponse>, Status> {
        unasked()
    }

    async fn list_liens(&self, _: Request<ListLiensRequest>) -> Result<Response<ListLiensResponse>, Status> {
        unasked()
    }
}
