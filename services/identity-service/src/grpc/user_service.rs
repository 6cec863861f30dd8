//! `UserService` on the wire.

use api::identity::v1::user_service_server::UserService;
use api::identity::v1::{
    CreateUserRequest, CreateUserResponse, GetMeRequest, GetMeResponse, GetUserRequest, GetUserResponse,
    ListMembershipsRequest, ListMembershipsResponse, ListUsersRequest, ListUsersResponse,
};
use kernel::Refusal;
use runtime::page_token::PageRequest;
use tonic::{Request, Response, Status};

use super::{Handlers, parse_user, present};
use crate::store::After;
use crate::use_cases::users::{ListUsers, SeenUser, place};

const CREATE_USER: &str = "/tenure.identity.v1.UserService/CreateUser";
const LIST_USERS: &str = "/tenure.identity.v1.UserService/ListUsers";
const LIST_MEMBERSHIPS: &str = "/tenure.identity.v1.UserService/ListMemberships";

#[tonic::async_trait]
impl UserService for Handlers {
    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<CreateUserResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let call = self.edge.call(&request, CREATE_USER, &request.get_ref().request_id)?;
        let result = async {
            let command = parse_user::create_user(request.get_ref())?;
            let (directory, validate_only) = (command.directory, command.validate_only);
            let user = self.use_cases.create_user(&call, &caller, &command).await?;
            let shown = if validate_only {
                present::unmade_user(directory, user)
            } else {
                present::user(SeenUser { directory, user, roles: None })
            };
            Ok::<_, Refusal>(CreateUserResponse { user: Some(shown) })
        };
        self.edge.answer_write(&call, &request.get_ref().parent, Box::pin(result).await).await
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let own = caller.signed_in().map(|own| own.principal);
            let name = parse_user::get_user(&request.get_ref().name, own)?;
            let seen = self.use_cases.get_user(&caller, name).await?;
            Ok::<_, Refusal>(GetUserResponse { user: Some(present::user(seen)) })
        };
        self.edge.answer(result.await)
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let message = request.get_ref();
        let result = async {
            let asked = parse_user::list_users(message)?;
            let page = PageRequest {
                method: LIST_USERS,
                actor: &caller.actor(),
                directory: Some(asked.directory),
                scope: &[&message.parent, &message.filter],
            };
            let after: Option<After> = self.page_tokens.after_key(&page, &message.page_token)?;
            let query = ListUsers {
                directory: asked.directory,
                filter: asked.filter,
                after: after.unwrap_or(After::BEGINNING),
                limit: asked.size + 1,
            };
            let users = self.use_cases.list_users(&caller, &query).await?;
            let (users, next_page_token) =
                self.page_tokens.cut(&page, users, asked.size, |seen| place(&seen.user));
            let users = users.into_iter().map(present::user).collect();
            Ok::<_, Refusal>(ListUsersResponse { users, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn list_memberships(
        &self,
        request: Request<ListMembershipsRequest>,
    ) -> Result<Response<ListMembershipsResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let message = request.get_ref();
        let result = async {
            let (name, size) = parse_user::list_memberships(message)?;
            let page = PageRequest {
                method: LIST_MEMBERSHIPS,
                actor: &caller.actor(),
                directory: Some(name.directory()),
                scope: &[&message.user],
            };
            let after: Option<After> = self.page_tokens.after_key(&page, &message.page_token)?;
            let after = after.unwrap_or(After::BEGINNING);
            let found = self.use_cases.list_memberships(&caller, name, after, size + 1).await?;
            let (found, next_page_token) = self.page_tokens.cut(&page, found, size, |membership| {
                After(membership.create_time.micros(), membership.user.uuid())
            });
            let memberships = found.iter().map(present::membership).collect();
            Ok::<_, Refusal>(ListMembershipsResponse { memberships, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn get_me(&self, request: Request<GetMeRequest>) -> Result<Response<GetMeResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let me = self.use_cases.get_me(&caller).await;
        self.edge.answer(me.map(|me| present::me(me, self.edge.now())))
    }
}
