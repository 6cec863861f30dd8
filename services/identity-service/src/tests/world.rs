//! The context as a test meets it: served in this process, on a fresh database, with a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::{AUDIENCE, Trust};
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::*;
use database::on;
use kernel::new_ids;
use runtime::edge::WriteLimits;
use runtime::peer::{Peer, PeerError};
use runtime::server::{Limits, layered};
use runtime::worker::Worker;
use sqlx::AssertSqlSafe;
use test_support::clock::ManualClock;
use test_support::database::{Engine, TestDatabase, engine, fresh};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use super::directory::FakeDirectory;
use crate::use_cases::UseCases;
use crate::{Decisions, Deps, Settings, assemble, migrations};

pub(super) const PASSWORD: &str = "Passw0rd of a test";

pub(super) struct World {
    pub(super) database: TestDatabase,
    pub(super) clock: ManualClock,
    pub(super) directory: FakeDirectory,
    pub(super) workers: Vec<Worker>,
    pub(super) use_cases: Arc<UseCases>,
    pub(super) peer: Peer,
    peer_key: PrivateKey,
    operator_key: PrivateKey,
}

/// Somebody who signed in.
#[derive(Clone)]
pub(super) struct Persona {
    pub(super) user: User,
    pub(super) session: Session,
    pub(super) token: String,
    pub(super) refresh_token: String,
}

impl Persona {
    pub(super) fn directory(&self) -> String {
        self.user.name.split("/users/").next().unwrap().to_owned()
    }
}

pub(super) fn reason(status: &Status) -> String {
    PeerError::of(status.clone()).reason.unwrap_or_default()
}

/// When the caller may come back.
pub(super) fn retry_delay(status: &Status) -> Duration {
    status.get_details_retry_info().unwrap().retry_delay.unwrap()
}

pub(super) fn request_id(name: &str) -> String {
    new_ids::derive(&["test request", name]).to_string()
}

pub(super) fn as_bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !token.is_empty() {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

pub(super) fn sign_up_request(label: &str, request: &str) -> SignUpRequest {
    SignUpRequest {
        organization_display_name: format!("The {label} company"),
        domain_label: label.into(),
        admin_user: Some(User {
            user_principal_name: "ada".into(),
            display_name: "Ada".into(),
            ..Default::default()
        }),
        password: PASSWORD.into(),
        request_id: request_id(request),
        ..Default::default()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        // As in a process: PostgreSQL may have other writers.
        let decisions = match engine() {
            Engine::Sqlite => Decisions::Authoritative,
            Engine::Postgres => Decisions::Aged,
        };
        Self::deciding(decisions, settings).await
    }

    pub(super) async fn deciding(decisions: Decisions, settings: Settings) -> Self {
        let database = fresh("identity", &migrations()).await;
        let clock = ManualClock::default();
        let directory = FakeDirectory::new(clock.clock());
        let key = || PrivateKey::generate().unwrap();
        let (peer_key, operator_key) = (key(), key());
        let (built, use_cases) = assemble(Deps {
            db: database.db.clone(),
            clock: clock.clock(),
            ids: test_support::ids::seeded(7),
            key: key(),
            trust: Trust {
                services: [Service::Directory, Service::Subscription]
                    .map(|peer| (peer, peer_key.public().to_vec()))
                    .into(),
                operator: Some(operator_key.public().to_vec()),
            },
            issuer: "https://identity.test".into(),
            directory: directory.peer(),
            decisions,
            settings,
            write_limits: WriteLimits::default(),
        });
        let peer = Peer::in_process(layered(built.parts, &Limits::default()));
        let workers = built.workers;
        Self { database, clock, directory, workers, use_cases, peer, peer_key, operator_key }
    }

    /// The peer as another service speaks to it.
    pub(super) fn as_service(&self, service: Service) -> Peer {
        let (key, clock) = (self.peer_key.clone(), self.clock.clock());
        self.peer.clone().as_service(service, key, Service::Identity, clock)
    }

    pub(super) fn operator(&self) -> String {
        let id = new_ids::derive(&["operator"]);
        self.operator_key.operator_token(AUDIENCE, id, self.clock.now(), Duration::from_mins(5)).unwrap()
    }

    pub(super) async fn sign_up(&self, request: SignUpRequest) -> Result<SignUpResponse, Status> {
        self.sign_up_as("", request).await
    }

    pub(super) async fn sign_up_as(
        &self,
        token: &str,
        request: SignUpRequest,
    ) -> Result<SignUpResponse, Status> {
        let mut client = SignUpServiceClient::new(self.peer.clone());
        client.sign_up(as_bearer(token, request)).await.map(tonic::Response::into_inner)
    }

    pub(super) async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignInResponse, Status> {
        let message = SignInRequest {
            user_principal_name: name.into(),
            password: password.into(),
            client_description: "a test".into(),
        };
        self.sessions().sign_in(message).await.map(tonic::Response::into_inner)
    }

    pub(super) async fn sign_in(&self, name: &str) -> Persona {
        let answer = self.try_sign_in(name, PASSWORD).await.unwrap();
        Persona {
            user: answer.user.unwrap(),
            session: answer.session.unwrap(),
            token: answer.access_token,
            refresh_token: answer.refresh_token,
        }
    }

    /// Signs a directory up and its administrator in.
    pub(super) async fn founded(&self, label: &str) -> Persona {
        let made = self.sign_up(sign_up_request(label, label)).await.unwrap();
        self.sign_in(&made.user.unwrap().user_principal_name).await
    }

    pub(super) fn new_user(admin: &Persona, local: &str) -> CreateUserRequest {
        let (_, domain) = admin.user.user_principal_name.split_once('@').unwrap();
        CreateUserRequest {
            parent: admin.directory(),
            user: Some(User {
                user_principal_name: format!("{local}@{domain}"),
                display_name: local.to_owned(),
                password_profile: Some(PasswordProfile { password: PASSWORD.into(), change_required: false }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Creates a member and signs them in.
    pub(super) async fn member(&self, admin: &Persona, local: &str) -> Persona {
        let made =
            self.users().create_user(as_bearer(&admin.token, Self::new_user(admin, local))).await.unwrap();
        self.sign_in(&made.into_inner().user.unwrap().user_principal_name).await
    }

    pub(super) async fn assign(
        &self,
        by: &Persona,
        to: &User,
        role: &str,
    ) -> Result<DirectoryRoleAssignment, Status> {
        let message = CreateRoleAssignmentRequest {
            parent: by.directory(),
            role_assignment: Some(DirectoryRoleAssignment {
                role: format!("directoryRoles/{role}"),
                principal: to.name.clone(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answer = self.roles().create_role_assignment(as_bearer(&by.token, message)).await?;
        Ok(answer.into_inner().role_assignment.unwrap())
    }

    pub(super) async fn unassign(&self, token: &str, name: &str) -> Result<(), Status> {
        let message = DeleteRoleAssignmentRequest { name: name.into(), ..Default::default() };
        self.roles().delete_role_assignment(as_bearer(token, message)).await.map(|_| ())
    }

    /// The assignments of a directory that an administrator sees.
    pub(super) async fn assignments(&self, admin: &Persona, filter: &str) -> Vec<DirectoryRoleAssignment> {
        let message = ListRoleAssignmentsRequest {
            parent: admin.directory(),
            filter: filter.into(),
            ..Default::default()
        };
        let answer = self.roles().list_role_assignments(as_bearer(&admin.token, message)).await;
        answer.unwrap().into_inner().role_assignments
    }

    pub(super) fn users(&self) -> UserServiceClient<Peer> {
        UserServiceClient::new(self.peer.clone())
    }

    pub(super) fn sessions(&self) -> SessionServiceClient<Peer> {
        SessionServiceClient::new(self.peer.clone())
    }

    pub(super) fn roles(&self) -> DirectoryRoleServiceClient<Peer> {
        DirectoryRoleServiceClient::new(self.peer.clone())
    }

    pub(super) async fn count(&self, from: &str) -> i64 {
        let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {from}");
        let mut tx = self.database.db.read().await.unwrap();
        on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select.as_str())).fetch_one(c).await).unwrap()
    }

    /// A statement past the stores, of which the judge is told as a store would.
    pub(super) async fn execute(&self, statement: &str) {
        self.execute_untold(statement).await;
        self.use_cases.judge.forget();
    }

    /// As another process writes.
    pub(super) async fn execute_untold(&self, statement: &str) {
        let mut tx = self.database.db.write().await.unwrap();
        on!(&mut tx, |c| sqlx::query(AssertSqlSafe(statement)).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }

    pub(super) async fn work(&self, duty: &str) -> Result<bool, kernel::Refusal> {
        let found = self.workers.iter().find(|worker| worker.name.contains(duty)).unwrap();
        found.run_once().await
    }
}
