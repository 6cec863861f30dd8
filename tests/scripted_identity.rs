//! Identity with a script: its checks answer as a test wants, everything else is the real one.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use access::Service;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::directory_role_service_server::{DirectoryRoleService, DirectoryRoleServiceServer};
use api::identity::v1::{
    CheckDirectoryRoleRequest, CheckDirectoryRoleResponse, CreateRoleAssignmentRequest,
    CreateRoleAssignmentResponse, Decision, DeleteRoleAssignmentRequest, DeleteRoleAssignmentResponse,
    ListDirectoryRolesRequest, ListDirectoryRolesResponse, ListRoleAssignmentsRequest,
    ListRoleAssignmentsResponse,
};
use runtime::peer::Peer;
use tonic::body::Body;
use tonic::{Request, Response, Status};

use crate::world::World;

/// The deadline of a caller who is told in time that identity is broken.
pub(crate) const DEADLINE: Duration = Duration::from_millis(1_500);
const ABSENT: &str = "00000000-0000-4000-8000-000000000001";

/// What identity does when it is asked for a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Healthy,
    RefusesTheConnection,
    AcceptsAndNeverAnswers,
    AnswersAfterTheDeadline,
    Unspecified,
    AllowedForAnotherPrincipal,
    AllowedForAnotherDirectory,
    Internal,
    AllowsEverybody,
}

/// Every way in which identity is broken.
pub(crate) const BROKEN: [Mode; 7] = [
    Mode::RefusesTheConnection,
    Mode::AcceptsAndNeverAnswers,
    Mode::AnswersAfterTheDeadline,
    Mode::Unspecified,
    Mode::AllowedForAnotherPrincipal,
    Mode::AllowedForAnotherDirectory,
    Mode::Internal,
];

/// Identity's checks as the script says; everything else goes to the real one.
#[derive(Clone)]
struct Scripted {
    mode: Arc<Mutex<Mode>>,
    real: Peer,
    nowhere: Peer,
}

impl Scripted {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }
}

#[tonic::async_trait]
impl DirectoryRoleService for Scripted {
    async fn check_directory_role(
        &self,
        request: Request<CheckDirectoryRoleRequest>,
    ) -> Result<Response<CheckDirectoryRoleResponse>, Status> {
        let asked = request.get_ref().clone();
        let allowed = CheckDirectoryRoleResponse {
            directory: asked.directory.clone(),
            principal: asked.principal.clone(),
            decision: Decision::Allowed.into(),
            revision: 1,
            ..CheckDirectoryRoleResponse::default()
        };
        match self.mode() {
            Mode::Healthy => {
                DirectoryRoleServiceClient::new(self.real.clone()).check_directory_role(request).await
            }
            Mode::RefusesTheConnection => {
                DirectoryRoleServiceClient::new(self.nowhere.clone()).check_directory_role(request).await
            }
            Mode::AcceptsAndNeverAnswers => std::future::pending().await,
            Mode::AnswersAfterTheDeadline => {
                tokio::time::sleep(DEADLINE + Duration::from_millis(100)).await;
                Ok(Response::new(allowed))
            }
            Mode::Unspecified => Ok(Response::new(CheckDirectoryRoleResponse {
                decision: Decision::Unspecified.into(),
                ..allowed
            })),
            Mode::AllowedForAnotherPrincipal => {
                let principal = format!("{}/users/{ABSENT}", asked.directory);
                Ok(Response::new(CheckDirectoryRoleResponse { principal, ..allowed }))
            }
            Mode::AllowedForAnotherDirectory => {
                let directory = format!("directories/{ABSENT}");
                Ok(Response::new(CheckDirectoryRoleResponse { directory, ..allowed }))
            }
            Mode::AllowsEverybody => Ok(Response::new(allowed)),
            Mode::Internal => Err(Status::internal("a defect")),
        }
    }

    async fn list_directory_roles(
        &self,
        _: Request<ListDirectoryRolesRequest>,
    ) -> Result<Response<ListDirectoryRolesResponse>, Status> {
        Err(Status::unimplemented("not asked by services"))
    }
    async fn create_role_assignment(
        &self,
        _: Request<CreateRoleAssignmentRequest>,
    ) -> Result<Response<CreateRoleAssignmentResponse>, Status> {
        Err(Status::unimplemented("not asked by services"))
    }
    async fn delete_role_assignment(
        &self,
        _: Request<DeleteRoleAssignmentRequest>,
    ) -> Result<Response<DeleteRoleAssignmentResponse>, Status> {
        Err(Status::unimplemented("not asked by services"))
    }
    async fn list_role_assignments(
        &self,
        _: Request<ListRoleAssignmentsRequest>,
    ) -> Result<Response<ListRoleAssignmentsResponse>, Status> {
        Err(Status::unimplemented("not asked by services"))
    }
}

/// Sends checks to the script and the rest to the real identity.
#[derive(Clone)]
struct Between {
    scripted: DirectoryRoleServiceServer<Scripted>,
    real: Peer,
}

impl tower::Service<http::Request<Body>> for Between {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().ends_with("/CheckDirectoryRole") {
            let answer = tower::Service::call(&mut self.scripted, request);
            return Box::pin(async move { answer.await.map_err(|never| match never {}) });
        }
        tower::Service::call(&mut self.real, request)
    }
}

/// A world whose subscription-service asks a scripted identity; the script can be changed at any time.
pub(crate) async fn world_asking(mode: Mode) -> (World, Arc<Mutex<Mode>>) {
    let mode = Arc::new(Mutex::new(mode));
    let script = Arc::clone(&mode);
    let between = move |from: Service, to: Service, real: Peer| {
        if (from, to) != (Service::Subscription, Service::Identity) {
            return real;
        }
        let nowhere = Peer::remote(http::Uri::from_static("http://127.0.0.1:1"));
        let scripted = Scripted { mode: Arc::clone(&script), real: real.clone(), nowhere };
        Peer::of(Between { scripted: DirectoryRoleServiceServer::new(scripted), real })
    };
    (World::with(&between).await, mode)
}
