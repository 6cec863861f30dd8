//! identity-service and directory-service, scripted; they answer as the real ones would, or wrongly on demand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use access::{Service, roles};
use api::directory::v1 as directory;
use api::directory::v1::directory_service_server::{DirectoryService, DirectoryServiceServer};
use api::directory::v1::lien_service_server::{LienService, LienServiceServer};
use api::identity::v1 as identity;
use api::identity::v1::directory_role_service_server::{DirectoryRoleService, DirectoryRoleServiceServer};
use api::identity::v1::user_service_server::{UserService, UserServiceServer};
use kernel::{Reason, Refusal};
use runtime::feed::Answers;
use runtime::peer::Peer;
use runtime::status::status;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// How a scripted peer is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Unavailable,
    Late,
    Internal,
    Unspecified,
    OtherSubject,
    OtherDirectory,
}

impl Broken {
    pub(super) const ALL: [Self; 6] = [
        Self::Unavailable,
        Self::Late,
        Self::Internal,
        Self::Unspecified,
        Self::OtherSubject,
        Self::OtherDirectory,
    ];

    fn status(self) -> Option<Status> {
        match self {
            Self::Unavailable => Some(Status::unavailable("connection refused")),
            Self::Late => Some(Status::deadline_exceeded("too late")),
            Self::Internal => Some(Status::internal("defect")),
            Self::Unspecified | Self::OtherSubject | Self::OtherDirectory => None,
        }
    }
}

/// What is wrong with taking a lien.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LienTrouble {
    NotDone,
    AnswerLost,
}

/// What happens once, while a peer answers.
pub(super) type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What the scripted peers know, and what they were asked.
#[derive(Default)]
pub(super) struct Script {
    /// Role slugs by principal name; a principal that is not there is denied.
    pub(super) roles: HashMap<String, Vec<&'static str>>,
    pub(super) home_of_guest: HashMap<String, String>,
    pub(super) directories: HashMap<String, directory::Directory>,
    /// The revisions of the liens that stand, by name.
    pub(super) liens: HashMap<String, i64>,
    pub(super) liens_taken: u32,
    /// The highest revision that was removed, by directory.
    pub(super) removed_liens: HashMap<String, i64>,
    pub(super) lien_trouble: Option<LienTrouble>,
    /// What the feed of directories tells, one list for each time that it is watched.
    pub(super) feed: VecDeque<Vec<Result<directory::WatchDirectoriesResponse, Status>>>,
    pub(super) broken_identity: Option<Broken>,
    pub(super) broken_directory: Option<Broken>,
    /// Directories whose liens cannot be let go.
    pub(super) stuck: HashSet<String>,
    pub(super) while_directory_is_told: Option<Hook>,
    pub(super) while_lien_is_taken: Option<Hook>,
    /// What identity was asked, in order.
    pub(super) questions: Vec<identity::CheckDirectoryRoleRequest>,
}

#[derive(Clone)]
pub(super) struct Scripted(pub(super) Arc<Mutex<Script>>);

impl Scripted {
    pub(super) fn peer(&self) -> Peer {
        let (peer, slot) = Peer::later();
        let routes = Routes::new(DirectoryRoleServiceServer::new(self.clone()))
            .add_service(UserServiceServer::new(self.clone()))
            .add_service(DirectoryServiceServer::new(self.clone()))
            .add_service(LienServiceServer::new(self.clone()));
        slot.connect(routes);
        peer
    }
}

impl Script {
    /// As directory-service does: no lien comes back, and only an active directory gets one.
    fn take_lien(&mut self, request: directory::CreateLienRequest) -> Result<directory::Lien, Status> {
        let refused = |refusal: &Refusal| status(Service::Directory, refusal);
        let mut lien = request.lien.unwrap_or_default();
        let id = kernel::new_ids::derive(&[&request.parent, &lien.origin, &lien.revision.to_string()]);
        lien.name = format!("{}/liens/{id}", request.parent);
        if self.liens.contains_key(&lien.name) {
            return Ok(lien);
        }
        if let Some(removed) = self.removed_liens.get(&request.parent).filter(|one| lien.revision <= **one) {
            let refusal = Refusal::failed_precondition(Reason::new("LIEN_REMOVED"), "removed");
            return Err(refused(&refusal.with("removed_revision", removed)));
        }
        let state = self.directories.get(&request.parent).map(directory::Directory::state);
        if let Some(state) = state.filter(|state| *state != directory::directory::State::Active) {
            let refusal = Refusal::failed_precondition(Reason::new("DIRECTORY_NOT_ACTIVE"), "not active");
            return Err(refused(&refusal.with("state", state.as_str_name())));
        }
        self.liens.retain(|name, _| !name.starts_with(&request.parent));
        self.liens.insert(lien.name.clone(), lien.revision);
        self.liens_taken += 1;
        Ok(lien)
    }
}

fn unscripted<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not scripted"))
}

#[tonic::async_trait]
impl DirectoryRoleService for Scripted {
    async fn check_directory_role(
        &self,
        request: Request<identity::CheckDirectoryRoleRequest>,
    ) -> Result<Response<identity::CheckDirectoryRoleResponse>, Status> {
        let question = request.into_inner();
        let mut script = self.0.lock().unwrap();
        script.questions.push(question.clone());
        if let Some(status) = script.broken_identity.and_then(Broken::status) {
            return Err(status);
        }
        let held = script.roles.get(&question.principal);
        let asked = &question.any_of_permissions;
        let allowed = held.is_some_and(|held| {
            asked.is_empty() || asked.iter().any(|one| held.iter().any(|slug| roles::contains(slug, one)))
        });
        let (decision, reason) = match (allowed, held) {
            (true, _) => (identity::Decision::Allowed, identity::DenialReason::Unspecified),
            (false, Some(_)) => (identity::Decision::Denied, identity::DenialReason::RoleMissing),
            (false, None) => (identity::Decision::Denied, identity::DenialReason::PrincipalDisabled),
        };
        let mut answer = identity::CheckDirectoryRoleResponse {
            directory: question.directory,
            principal: question.principal,
            decision: decision.into(),
            denial_reason: reason.into(),
            matched_roles: Vec::new(),
            revision: 1,
        };
        match script.broken_identity {
            Some(Broken::Unspecified) => answer.decision = 0,
            Some(Broken::OtherSubject) => answer.principal.push('0'),
            Some(Broken::OtherDirectory) => answer.directory.push('0'),
            _ => {}
        }
        Ok(Response::new(answer))
    }

    async fn list_directory_roles(
        &self,
        _: Request<identity::ListDirectoryRolesRequest>,
    ) -> Result<Response<identity::ListDirectoryRolesResponse>, Status> {
        unscripted()
    }

    async fn create_role_assignment(
        &self,
        _: Request<identity::CreateRoleAssignmentRequest>,
    ) -> Result<Response<identity::CreateRoleAssignmentResponse>, Status> {
        unscripted()
    }

    async fn delete_role_assignment(
        &self,
        _: Request<identity::DeleteRoleAssignmentRequest>,
    ) -> Result<Response<identity::DeleteRoleAssignmentResponse>, Status> {
        unscripted()
    }

    async fn list_role_assignments(
        &self,
        _: Request<identity::ListRoleAssignmentsRequest>,
    ) -> Result<Response<identity::ListRoleAssignmentsResponse>, Status> {
        unscripted()
    }
}

#[tonic::async_trait]
impl UserService for Scripted {
    async fn get_user(
        &self,
        request: Request<identity::GetUserRequest>,
    ) -> Result<Response<identity::GetUserResponse>, Status> {
        let name = request.into_inner().name;
        let script = self.0.lock().unwrap();
        let home = script.home_of_guest.get(&name).cloned();
        let user_type = if home.is_some() { identity::UserType::Guest } else { identity::UserType::Member };
        let user = identity::User {
            name,
            user_type: user_type.into(),
            home_user: home.unwrap_or_default(),
            ..identity::User::default()
        };
        Ok(Response::new(identity::GetUserResponse { user: Some(user) }))
    }

    async fn create_user(
        &self,
        _: Request<identity::CreateUserRequest>,
    ) -> Result<Response<identity::CreateUserResponse>, Status> {
        unscripted()
    }

    async fn list_users(
        &self,
        _: Request<identity::ListUsersRequest>,
    ) -> Result<Response<identity::ListUsersResponse>, Status> {
        unscripted()
    }

    async fn list_memberships(
        &self,
        _: Request<identity::ListMembershipsRequest>,
    ) -> Result<Response<identity::ListMembershipsResponse>, Status> {
        unscripted()
    }

    async fn get_me(
        &self,
        _: Request<identity::GetMeRequest>,
    ) -> Result<Response<identity::GetMeResponse>, Status> {
        unscripted()
    }
}

#[tonic::async_trait]
impl DirectoryService for Scripted {
    async fn get_directory(
        &self,
        request: Request<directory::GetDirectoryRequest>,
    ) -> Result<Response<directory::GetDirectoryResponse>, Status> {
        let name = request.into_inner().name;
        let hook = self.0.lock().unwrap().while_directory_is_told.take();
        if let Some(hook) = hook {
            hook().await;
        }
        let script = self.0.lock().unwrap();
        if let Some(status) = script.broken_directory.and_then(Broken::status) {
            return Err(status);
        }
        let mut found =
            script.directories.get(&name).cloned().ok_or_else(|| Status::not_found("no directory"))?;
        match script.broken_directory {
            Some(Broken::Unspecified) => found.state = 0,
            Some(Broken::OtherSubject | Broken::OtherDirectory) => found.name.push('0'),
            _ => {}
        }
        Ok(Response::new(directory::GetDirectoryResponse { directory: Some(found) }))
    }

    async fn create_directory(
        &self,
        _: Request<directory::CreateDirectoryRequest>,
    ) -> Result<Response<directory::CreateDirectoryResponse>, Status> {
        unscripted()
    }

    async fn activate_directory(
        &self,
        _: Request<directory::ActivateDirectoryRequest>,
    ) -> Result<Response<directory::ActivateDirectoryResponse>, Status> {
        unscripted()
    }

    async fn abandon_directory(
        &self,
        _: Request<directory::AbandonDirectoryRequest>,
    ) -> Result<Response<directory::AbandonDirectoryResponse>, Status> {
        unscripted()
    }

    async fn list_directories(
        &self,
        _: Request<directory::ListDirectoriesRequest>,
    ) -> Result<Response<directory::ListDirectoriesResponse>, Status> {
        unscripted()
    }

    async fn list_my_directories(
        &self,
        _: Request<directory::ListMyDirectoriesRequest>,
    ) -> Result<Response<directory::ListMyDirectoriesResponse>, Status> {
        unscripted()
    }

    type WatchDirectoriesStream = Answers<directory::WatchDirectoriesResponse>;

    async fn watch_directories(
        &self,
        _: Request<directory::WatchDirectoriesRequest>,
    ) -> Result<Response<Self::WatchDirectoriesStream>, Status> {
        let mut script = self.0.lock().unwrap();
        let feed = script.feed.pop_front().ok_or_else(|| Status::unavailable("no more of the feed"))?;
        Ok(Response::new(Box::pin(tokio_stream::iter(feed))))
    }

    async fn list_directory_changes(
        &self,
        _: Request<directory::ListDirectoryChangesRequest>,
    ) -> Result<Response<directory::ListDirectoryChangesResponse>, Status> {
        unscripted()
    }
}

#[tonic::async_trait]
impl LienService for Scripted {
    async fn create_lien(
        &self,
        request: Request<directory::CreateLienRequest>,
    ) -> Result<Response<directory::CreateLienResponse>, Status> {
        let hook = self.0.lock().unwrap().while_lien_is_taken.take();
        if let Some(hook) = hook {
            hook().await;
        }
        let lost = || Err(Status::unavailable("scripted"));
        let mut script = self.0.lock().unwrap();
        if script.lien_trouble == Some(LienTrouble::NotDone) {
            return lost();
        }
        let lien = script.take_lien(request.into_inner())?;
        if script.lien_trouble == Some(LienTrouble::AnswerLost) {
            return lost();
        }
        Ok(Response::new(directory::CreateLienResponse { lien: Some(lien) }))
    }

    async fn delete_lien(
        &self,
        request: Request<directory::DeleteLienRequest>,
    ) -> Result<Response<directory::DeleteLienResponse>, Status> {
        let mut script = self.0.lock().unwrap();
        if let Some(status) = script.broken_directory.and_then(Broken::status) {
            return Err(status);
        }
        let name = request.into_inner().name;
        if script.stuck.iter().any(|directory| name.starts_with(directory)) {
            return Err(Status::internal("stuck"));
        }
        if let Some(revision) = script.liens.remove(&name) {
            let directory = name.split("/liens/").next().unwrap().to_owned();
            script.removed_liens.insert(directory, revision);
        }
        Ok(Response::new(directory::DeleteLienResponse {}))
    }

    async fn get_lien(
        &self,
        _: Request<directory::GetLienRequest>,
    ) -> Result<Response<directory::GetLienResponse>, Status> {
        unscripted()
    }

    async fn list_liens(
        &self,
        _: Request<directory::ListLiensRequest>,
    ) -> Result<Response<directory::ListLiensResponse>, Status> {
        unscripted()
    }
}
