//! A directory context that does what a test tells it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use access::Service;
use api::directory::v1::directory_service_server::{DirectoryService, DirectoryServiceServer};
use api::directory::v1::domain_service_server::{DomainService, DomainServiceServer};
use api::directory::v1::*;
use kernel::{Reason, Refusal, new_ids};
use runtime::peer::Peer;
use runtime::status::status;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What is wrong with the directory context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    CreateNotDone,
    CreateAnswerLost,
    ActivateNotDone,
    AbandonNotDone,
}

#[derive(Default)]
struct State {
    troubles: Vec<Trouble>,
    by_request: HashMap<String, Directory>,
    /// Directories by name, in their state; the labels of those that are not deleted are taken.
    directories: HashMap<String, Directory>,
    domains: HashMap<String, String>,
}

#[derive(Clone, Default)]
pub(super) struct FakeDirectory(Arc<Mutex<State>>);

impl FakeDirectory {
    pub(super) fn peer(&self) -> Peer {
        let (peer, slot) = Peer::later();
        let routes = Routes::new(DirectoryServiceServer::new(self.clone()))
            .add_service(DomainServiceServer::new(self.clone()));
        slot.connect(routes.prepare());
        peer
    }

    pub(super) fn suffers(&self, troubles: &[Trouble]) {
        self.0.lock().unwrap().troubles = troubles.to_vec();
    }

    pub(super) fn states(&self) -> Vec<directory::State> {
        self.0.lock().unwrap().directories.values().map(Directory::state).collect()
    }

    pub(super) fn verify_domain(&self, domain: &str, directory: &str) {
        self.0.lock().unwrap().domains.insert(domain.into(), directory.into());
    }
}

impl State {
    fn has(&self, trouble: Trouble) -> Result<(), Status> {
        if self.troubles.contains(&trouble) { Err(Status::unavailable("scripted")) } else { Ok(()) }
    }

    fn taken(&self, domain: &str) -> bool {
        self.directories
            .values()
            .any(|other| other.initial_domain == domain && other.state() != directory::State::Deleted)
    }

    fn set(&mut self, name: &str, state: directory::State) -> Result<Directory, Status> {
        let not_found = Refusal::not_found(Reason::new("DIRECTORY_NOT_FOUND"), name);
        let found = self.directories.get_mut(name).ok_or_else(|| status(Service::Directory, &not_found))?;
        found.set_state(state);
        found.revision += 1;
        Ok(found.clone())
    }
}

#[tonic::async_trait]
impl DirectoryService for FakeDirectory {
    async fn create_directory(
        &self,
        request: Request<CreateDirectoryRequest>,
    ) -> Result<Response<CreateDirectoryResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        let message = request.into_inner();
        state.has(Trouble::CreateNotDone)?;
        if let Some(made) = state.by_request.get(&message.request_id) {
            return Ok(Response::new(CreateDirectoryResponse { directory: Some(made.clone()) }));
        }
        let domain = format!("{}.tenure.internal", message.initial_domain_label);
        if state.taken(&domain) {
            let taken = Refusal::already_exists(Reason::new("INITIAL_DOMAIN_TAKEN"), "taken");
            return Err(status(Service::Directory, &taken.with("domain", domain)));
        }
        let mut made = Directory {
            name: format!("directories/{}", new_ids::derive(&[&message.request_id])),
            initial_domain: domain,
            revision: 1,
            ..message.directory.unwrap()
        };
        made.set_state(directory::State::Provisioning);
        state.by_request.insert(message.request_id, made.clone());
        state.directories.insert(made.name.clone(), made.clone());
        state.has(Trouble::CreateAnswerLost)?;
        Ok(Response::new(CreateDirectoryResponse { directory: Some(made) }))
    }

    async fn activate_directory(
        &self,
        request: Request<ActivateDirectoryRequest>,
    ) -> Result<Response<ActivateDirectoryResponse>, Status> {
        let mut state = self.0.lock().unwrap();
        state.has(Trouble::ActivateNotDone)?;
        let directory = state.set(&request.get_ref().name, directory::State::Active)?;
        Ok(Response::new(ActivateDirectoryResponse { directory: Some(directory) }))
    }

    async fn abandon_directory(
        &self,
        request: Request<AbandonDirectoryRequest>,
    ) -> Result<Response<AbandonDirectoryResponse>, Status> {
        let mut state = self.0.lock().unwrap();
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
        let state = self.0.lock().unwrap();
        let Some(directory) = state.domains.get(&request.get_ref().domain) else {
            let unknown = Refusal::not_found(Reason::new("DOMAIN_NOT_FOUND"), "domain");
            return Err(status(Service::Directory, &unknown));
        };
        let mut answer = ResolveDomainResponse { directory: directory.clone(), ..Default::default() };
        answer.set_state(DomainState::Verified);
        Ok(Response::new(answer))
    }
}
