//! identity-service with a script: it signs tokens, and answers checks and memberships as a test wants.

use std::sync::{Arc, Mutex};

use access::service_key::PrivateKey;
use access::token::{AUDIENCE, Claims};
use api::identity::v1::directory_role_service_server::{DirectoryRoleService, DirectoryRoleServiceServer};
use api::identity::v1::directory_state_service_server::{DirectoryStateService, DirectoryStateServiceServer};
use api::identity::v1::session_service_server::{SessionService, SessionServiceServer};
use api::identity::v1::user_service_server::{UserService, UserServiceServer};
use api::identity::v1::{
    ApplyDirectoryStateRequest, ApplyDirectoryStateResponse, CheckDirectoryRoleRequest,
    CheckDirectoryRoleResponse, CreateRoleAssignmentRequest, CreateRoleAssignmentResponse, CreateUserRequest,
    CreateUserResponse, Decision, DeleteRoleAssignmentRequest, DeleteRoleAssignmentResponse, DenialReason,
    GetJsonWebKeySetRequest, GetJsonWebKeySetResponse, GetMeRequest, GetMeResponse, GetUserRequest,
    GetUserResponse, JsonWebKey, ListDirectoryRolesRequest, ListDirectoryRolesResponse,
    ListMembershipsRequest, ListMembershipsResponse, ListRoleAssignmentsRequest, ListRoleAssignmentsResponse,
    ListUsersRequest, ListUsersResponse, Membership, RefreshSessionRequest, RefreshSessionResponse,
    RevokeSessionRequest, RevokeSessionResponse, SignInRequest, SignInResponse,
};
use kernel::Timestamp;
use runtime::peer::Peer;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(crate) const ISSUER: &str = "https://tenure.test";
const KID: &str = "fake";

/// Spoils the answer to a check.
pub(crate) type Spoil = fn(&mut CheckDirectoryRoleResponse);

/// What identity answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Why every check is denied; allowed without one.
    pub(crate) denial: Option<DenialReason>,
    /// How a check's answer is spoilt.
    pub(crate) spoilt: Option<Spoil>,
    /// What was asked for in the last check.
    pub(crate) asked: Vec<String>,
    /// The directories of every user.
    pub(crate) memberships: Vec<String>,
    /// What it was told of directories.
    pub(crate) told: Vec<ApplyDirectoryStateRequest>,
    /// Whether it hears nothing of directories.
    pub(crate) deaf: bool,
}

/// The scripted identity.
#[derive(Clone)]
pub(crate) struct FakeIdentity {
    key: PrivateKey,
    script: Arc<Mutex<Script>>,
}

impl FakeIdentity {
    pub(crate) fn new() -> Self {
        Self { key: PrivateKey::generate().unwrap(), script: Arc::default() }
    }

    /// Changes the script.
    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    pub(crate) fn peer(&self) -> Peer {
        let routes = Routes::new(DirectoryRoleServiceServer::new(self.clone()))
            .add_service(DirectoryStateServiceServer::new(self.clone()))
            .add_service(SessionServiceServer::new(self.clone()))
            .add_service(UserServiceServer::new(self.clone()));
        let (peer, slot) = Peer::later();
        slot.connect(routes.prepare());
        peer
    }

    /// An access token of the principal.
    pub(crate) fn token(&self, principal: &str, session: &str, now: Timestamp) -> String {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal.to_owned(),
            sid: Some(session.to_owned()),
            iat: now.seconds(),
            exp: now.seconds() + 600,
            jti: None,
        };
        self.key.sign(Some(KID.to_owned()), &claims).unwrap()
    }
}

fn unasked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("directory-service does not ask this"))
}

#[tonic::async_trait]
impl DirectoryRoleService for FakeIdentity {
    async fn check_directory_role(
        &self,
        request: Request<CheckDirectoryRoleRequest>,
    ) -> Result<Response<CheckDirectoryRoleResponse>, Status> {
        let question = request.into_inner();
        let script = self.script(|script| {
            script.asked = question.any_of_permissions;
            script.clone()
        });
        let mut answer = CheckDirectoryRoleResponse {
            directory: question.directory,
            principal: question.principal,
            decision: Decision::Allowed.into(),
            revision: 1,
            ..CheckDirectoryRoleResponse::default()
        };
        if let Some(denial) = script.denial {
            answer.set_decision(Decision::Denied);
            answer.set_denial_reason(denial);
        }
        if let Some(spoil) = script.spoilt {
            spoil(&mut answer);
        }
        Ok(Response::new(answer))
    }

    async fn list_directory_roles(
        &self,
        _: Request<ListDirectoryRolesRequest>,
    ) -> Result<Response<ListDirectoryRolesResponse>, Status> {
        unasked()
    }

    async fn create_role_assignment(
        &self,
        _: Request<CreateRoleAssignmentRequest>,
    ) -> Result<Response<CreateRoleAssignmentResponse>, Status> {
        unasked()
    }

    async fn delete_role_assignment(
        &self,
        _: Request<DeleteRoleAssignmentRequest>,
    ) -> Result<Response<DeleteRoleAssignmentResponse>, Status> {
        unasked()
    }

    async fn list_role_assignments(
        &self,
        _: Request<ListRoleAssignmentsRequest>,
    ) -> Result<Response<ListRoleAssignmentsResponse>, Status> {
        unasked()
    }
}

#[tonic::async_trait]
impl DirectoryStateService for FakeIdentity {
    async fn apply_directory_state(
        &self,
        request: Request<ApplyDirectoryStateRequest>,
    ) -> Result<Response<ApplyDirectoryStateResponse>, Status> {
        let told = request.into_inner();
        if self.script(|script| script.deaf) {
            return Err(Status::unavailable("scripted"));
        }
        self.script(|script| script.told.push(told.clone()));
        let ApplyDirectoryStateRequest { directory, state, revision } = told;
        Ok(Response::new(ApplyDirectoryStateResponse { directory, state, revision }))
    }
}

#[tonic::async_trait]
impl UserService for FakeIdentity {
    /// Two memberships a page, so that what asks has to read on.
    async fn list_memberships(
        &self,
        request: Request<ListMembershipsRequest>,
    ) -> Result<Response<ListMembershipsResponse>, Status> {
        let message = request.into_inner();
        let skipped: usize = message.page_token.parse().unwrap_or_default();
        let all = self.script(|script| script.memberships.clone());
        let page = all.iter().skip(skipped).take(2).cloned();
        let memberships = page.map(|directory| Membership { directory, ..Membership::default() }).collect();
        let more = all.len() > skipped + 2;
        let next_page_token = if more { (skipped + 2).to_string() } else { String::new() };
        Ok(Response::new(ListMembershipsResponse { memberships, next_page_token }))
    }

    async fn create_user(
        &self,
        _: Request<CreateUserRequest>,
    ) -> Result<Response<CreateUserResponse>, Status> {
        unasked()
    }

    async fn get_user(&self, _: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        unasked()
    }

    async fn list_users(&self, _: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        unasked()
    }

    async fn get_me(&self, _: Request<GetMeRequest>) -> Result<Response<GetMeResponse>, Status> {
        unasked()
    }
}

#[tonic::async_trait]
impl SessionService for FakeIdentity {
    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        let key = JsonWebKey {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: KID.to_owned(),
            alg: "EdDSA".to_owned(),
            r#use: "sig".to_owned(),
            x: self.key.public_x(),
        };
        let max_age = prost_types::Duration { seconds: 300, nanos: 0 };
        Ok(Response::new(GetJsonWebKeySetResponse { keys: vec![key], max_age: Some(max_age) }))
    }

    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        unasked()
    }

    async fn refresh_session(
        &self,
        _: Request<RefreshSessionRequest>,
    ) -> Result<Response<RefreshSessionResponse>, Status> {
        unasked()
    }

    async fn revoke_session(
        &self,
        _: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        unasked()
    }
}
