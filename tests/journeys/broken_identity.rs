//! Journey 4, the part where identity cannot be asked (P-3): nothing happens, and the retry succeeds once it is back.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

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

use crate::world::{E3, FREE_TRIAL, World, reason};

/// The caller's deadline.
const DEADLINE: Duration = Duration::from_millis(1_500);
const ABSENT: &str = "00000000-0000-4000-8000-000000000001";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Healthy,
    RefusesTheConnection,
    AcceptsAndNeverAnswers,
    AnswersAfterTheDeadline,
    Unspecified,
    AllowedForAnotherPrincipal,
    AllowedForAnotherDirectory,
    Internal,
}

const BROKEN: [Mode; 7] = [
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
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().ends_with("/CheckDirectoryRole") {
            return Box::pin(tower::Service::call(&mut self.scripted, request));
        }
        let mut real = self.real.clone();
        Box::pin(async move {
            let answer = tower::Service::call(&mut real, request).await;
            Ok(answer.unwrap_or_else(|_| Status::unavailable("the real identity is gone").into_http()))
        })
    }
}

async fn world() -> (World, Arc<Mutex<Mode>>) {
    let mode = Arc::new(Mutex::new(Mode::Healthy));
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

/// The call is refused as UNAVAILABLE before the caller's deadline, and no row of any table has changed.
async fn unavailable_and_nothing_written<T: std::fmt::Debug>(
    world: &World,
    mode: Mode,
    call: impl Future<Output = Result<T, Status>>,
) {
    let before = world.row_counts().await;
    let started = Instant::now();
    let refused = call.await.expect_err("an unanswered question allows nothing");
    assert!(started.elapsed() < DEADLINE, "{mode:?} took {:?}", started.elapsed());
    assert_eq!(reason(&refused), "Unavailable/DEPENDENCY_UNAVAILABLE", "{mode:?}");
    assert_eq!(world.row_counts().await, before, "{mode:?}");
}

#[tokio::test]
async fn a_broken_identity_stops_attaches_and_the_retry_succeeds() {
    let (world, mode) = world().await;
    for (round, broken) in BROKEN.into_iter().enumerate() {
        let ada = world.sign_up(&format!("contoso-{round}")).await;
        let message = world.trial_request(&ada.directory, E3);
        let attach = async || {
            let mut request = ada.says(message.clone());
            request.set_timeout(DEADLINE);
            world.subscriptions().attach_office365_subscription(request).await
        };
        *mode.lock().unwrap() = broken;
        unavailable_and_nothing_written(&world, broken, attach()).await;
        *mode.lock().unwrap() = Mode::Healthy;
        let answer = attach().await.expect("identity is back").into_inner();
        assert_eq!(answer.subscription.unwrap().directory, ada.directory);
    }
}

#[tokio::test]
async fn a_broken_identity_stops_azure_sign_ups_and_the_retry_succeeds() {
    let (world, mode) = world().await;
    for (round, broken) in BROKEN.into_iter().enumerate() {
        let ada = world.sign_up(&format!("contoso-{round}")).await;
        let message = world.azure_request(FREE_TRIAL);
        let sign_up = async || {
            let mut request = ada.says(message.clone());
            request.set_timeout(DEADLINE);
            world.subscriptions().sign_up_azure_subscription(request).await
        };
        *mode.lock().unwrap() = broken;
        unavailable_and_nothing_written(&world, broken, sign_up()).await;
        *mode.lock().unwrap() = Mode::Healthy;
        let answer = sign_up().await.expect("identity is back").into_inner();
        assert_eq!(answer.subscription.unwrap().directory, ada.directory);
    }
}
