//! `DirectoryRoleService` on the wire.

use access::roles::{self, Role};
use access::{Consistency, require_active};
use api::identity::v1::directory_role_service_server::DirectoryRoleService;
use api::identity::v1::{
    CheckDirectoryRoleRequest, CheckDirectoryRoleResponse, CreateRoleAssignmentRequest,
    CreateRoleAssignmentResponse, DeleteRoleAssignmentRequest, DeleteRoleAssignmentResponse,
    ListDirectoryRolesRequest, ListDirectoryRolesResponse, ListRoleAssignmentsRequest,
    ListRoleAssignmentsResponse,
};
use kernel::{Refusal, Violations};
use runtime::page_token::{PageRequest, page_size};
use tonic::{Request, Response, Status};

use super::{Handlers, parse, present};
use crate::store::After;
use crate::use_cases::role_assignments::ListRoleAssignments;

const LIST_DIRECTORY_ROLES: &str = "/tenure.identity.v1.DirectoryRoleService/ListDirectoryRoles";
const CREATE_ROLE_ASSIGNMENT: &str = "/tenure.identity.v1.DirectoryRoleService/CreateRoleAssignment";
const DELETE_ROLE_ASSIGNMENT: &str = "/tenure.identity.v1.DirectoryRoleService/DeleteRoleAssignment";
const LIST_ROLE_ASSIGNMENTS: &str = "/tenure.identity.v1.DirectoryRoleService/ListRoleAssignments";

#[tonic::async_trait]
impl DirectoryRoleService for Handlers {
    async fn list_directory_roles(
        &self,
        request: Request<ListDirectoryRolesRequest>,
    ) -> Result<Response<ListDirectoryRolesResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let message = request.get_ref();
        let result = async {
            let mut violations = Violations::new();
            let size = page_size(&mut violations, message.page_size);
            violations.finish()?;
            let consistency = Consistency::AtMostFiveSeconds;
            require_active(&self.use_cases.judge, &caller, consistency, self.edge.now()).await?;
            let page = PageRequest {
                method: LIST_DIRECTORY_ROLES,
                actor: &caller.actor(),
                directory: caller.directory(),
                scope: &[],
            };
            let after: Option<String> = self.page_tokens.after_key(&page, &message.page_token)?;
            let size = size.unwrap_or_default();
            let later = |role: &&Role| after.as_ref().is_none_or(|after| role.slug > *after);
            let limit = usize::try_from(size + 1).unwrap_or(usize::MAX);
            let found: Vec<&Role> = roles::all().filter(later).take(limit).collect();
            let (found, next_page_token) = self.page_tokens.cut(&page, found, size, |role| role.slug.clone());
            let directory_roles = found.into_iter().map(present::role).collect();
            Ok::<_, Refusal>(ListDirectoryRolesResponse { directory_roles, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn create_role_assignment(
        &self,
        request: Request<CreateRoleAssignmentRequest>,
    ) -> Result<Response<CreateRoleAssignmentResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let call = self.edge.call(&request, CREATE_ROLE_ASSIGNMENT, &request.get_ref().request_id)?;
        let result = async {
            let command = parse::create_role_assignment(request.get_ref())?;
            let made = self.use_cases.create_role_assignment(&call, &caller, &command).await?;
            let role_assignment = Some(present::role_assignment(command.directory, &made));
            Ok::<_, Refusal>(CreateRoleAssignmentResponse { role_assignment })
        };
        let result = Box::pin(result).await;
        self.edge.answer_write(&call, &request.get_ref().parent, result).await
    }

    async fn delete_role_assignment(
        &self,
        request: Request<DeleteRoleAssignmentRequest>,
    ) -> Result<Response<DeleteRoleAssignmentResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let call = self.edge.call(&request, DELETE_ROLE_ASSIGNMENT, &request.get_ref().request_id)?;
        let result = async {
            let command = parse::delete_role_assignment(request.get_ref())?;
            self.use_cases.delete_role_assignment(&call, &caller, &command).await?;
            Ok::<_, Refusal>(DeleteRoleAssignmentResponse {})
        };
        let result = Box::pin(result).await;
        self.edge.answer_write(&call, &request.get_ref().name, result).await
    }

    async fn list_role_assignments(
        &self,
        request: Request<ListRoleAssignmentsRequest>,
    ) -> Result<Response<ListRoleAssignmentsResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let message = request.get_ref();
        let result = async {
            let asked = parse::list_role_assignments(message)?;
            let page = PageRequest {
                method: LIST_ROLE_ASSIGNMENTS,
                actor: &caller.actor(),
                directory: Some(asked.directory),
                scope: &[&message.parent, &message.filter],
            };
            let after: Option<After> = self.page_tokens.after_key(&page, &message.page_token)?;
            let query = ListRoleAssignments {
                directory: asked.directory,
                principal: asked.principal,
                role: asked.role,
                after: after.unwrap_or(After::BEGINNING),
                limit: asked.size + 1,
            };
            let found = self.use_cases.list_role_assignments(&caller, &query).await?;
            let (found, next_page_token) = self
                .page_tokens
                .cut(&page, found, asked.size, |held| After(held.create_time.micros(), held.id.uuid()));
            let shown = found.iter().map(|held| present::role_assignment(asked.directory, held));
            Ok::<_, Refusal>(ListRoleAssignmentsResponse {
                role_assignments: shown.collect(),
                next_page_token,
            })
        };
        self.edge.answer(result.await)
    }

    async fn check_directory_role(
        &self,
        request: Request<CheckDirectoryRoleRequest>,
    ) -> Result<Response<CheckDirectoryRoleResponse>, Status> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let question = parse::check_directory_role(request.get_ref())?;
            let answer = self.use_cases.check_directory_role(&caller, &question).await?;
            Ok::<_, Refusal>(present::judgement(&question, &answer))
        };
        self.edge.answer(result.await)
    }
}
