//! The handlers of directories and liens, and the three services together: caller, parse, use case, present (S11).

use std::sync::Arc;

use api::directory::v1::directory_service_server::{self, DirectoryService, DirectoryServiceServer};
use api::directory::v1::domain_service_server::{self, DomainServiceServer};
use api::directory::v1::lien_service_server::{self, LienService, LienServiceServer};
use api::directory::v1::{
    AbandonDirectoryRequest, AbandonDirectoryResponse, ActivateDirectoryRequest, ActivateDirectoryResponse,
    CreateDirectoryRequest, CreateDirectoryResponse, CreateLienRequest, CreateLienResponse,
    DeleteLienRequest, DeleteLienResponse, GetDirectoryRequest, GetDirectoryResponse, GetLienRequest,
    GetLienResponse, ListDirectoriesRequest, ListDirectoriesResponse, ListLiensRequest, ListLiensResponse,
    ListMyDirectoriesRequest, ListMyDirectoriesResponse,
};
use runtime::edge::Edge;
use runtime::server::{MOST_MESSAGE_BYTES, Routes};
use tonic::{Request, Response, Status};

use super::{parse, present};
use crate::domain::domain_name::DomainSuffix;
use crate::domain::refused::Refused;
use crate::use_cases::UseCases;

const CREATE_DIRECTORY: &str = "/tenure.directory.v1.DirectoryService/CreateDirectory";
const ACTIVATE_DIRECTORY: &str = "/tenure.directory.v1.DirectoryService/ActivateDirectory";
const ABANDON_DIRECTORY: &str = "/tenure.directory.v1.DirectoryService/AbandonDirectory";
const CREATE_LIEN: &str = "/tenure.directory.v1.LienService/CreateLien";
const DELETE_LIEN: &str = "/tenure.directory.v1.LienService/DeleteLien";

pub(super) type Answer<T> = Result<Response<T>, Status>;

/// What the handlers need.
pub(crate) struct Handler {
    /// The wire's half of every call.
    pub edge: Edge,
    /// The context's half.
    pub use_cases: UseCases,
    /// What all initial domains end with.
    pub suffix: DomainSuffix,
}

/// The three services of this context.
pub(crate) fn routes(handler: Handler) -> Routes {
    let handler = Arc::new(handler);
    macro_rules! limited {
        ($server:ident) => {
            $server::from_arc(Arc::clone(&handler))
                .max_decoding_message_size(MOST_MESSAGE_BYTES)
                .max_encoding_message_size(MOST_MESSAGE_BYTES)
        };
    }
    Routes::new(limited!(DirectoryServiceServer))
        .add_service(limited!(DomainServiceServer))
        .add_service(limited!(LienServiceServer))
}

/// The full names of the three services, for health.
pub(crate) fn service_names() -> Vec<&'static str> {
    vec![
        directory_service_server::SERVICE_NAME,
        domain_service_server::SERVICE_NAME,
        lien_service_server::SERVICE_NAME,
    ]
}

#[tonic::async_trait]
impl DirectoryService for Handler {
    async fn create_directory(
        &self,
        request: Request<CreateDirectoryRequest>,
    ) -> Answer<CreateDirectoryResponse> {
        let call = self.edge.call(&request, CREATE_DIRECTORY, &request.get_ref().request_id)?;
        let result = async {
            let command = parse::create_directory(request.into_inner(), &self.suffix)?;
            let directory = self.use_cases.create_directory(&call, &command).await?;
            Ok::<_, Refused>(CreateDirectoryResponse { directory: Some(present::directory(directory)) })
        };
        self.edge.answer_write(&call, "directories", result.await).await
    }

    async fn activate_directory(
        &self,
        request: Request<ActivateDirectoryRequest>,
    ) -> Answer<ActivateDirectoryResponse> {
        let call = self.edge.call(&request, ACTIVATE_DIRECTORY, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let id = parse::directory_to_change(&message.name, &message.request_id)?;
            let directory = self.use_cases.activate_directory(&call, id).await?;
            Ok::<_, Refused>(ActivateDirectoryResponse { directory: Some(present::directory(directory)) })
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }

    async fn abandon_directory(
        &self,
        request: Request<AbandonDirectoryRequest>,
    ) -> Answer<AbandonDirectoryResponse> {
        let call = self.edge.call(&request, ABANDON_DIRECTORY, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let id = parse::directory_to_change(&message.name, &message.request_id)?;
            let directory = self.use_cases.abandon_directory(&call, id).await?;
            Ok::<_, Refused>(AbandonDirectoryResponse { directory: Some(present::directory(directory)) })
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }

    async fn get_directory(&self, request: Request<GetDirectoryRequest>) -> Answer<GetDirectoryResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let id = parse::directory_name("name", &request.get_ref().name)?;
            let directory = self.use_cases.get_directory(&caller, id).await?;
            Ok::<_, Refused>(GetDirectoryResponse { directory: Some(present::directory(directory)) })
        };
        self.edge.answer(result.await)
    }

    async fn list_directories(
        &self,
        request: Request<ListDirectoriesRequest>,
    ) -> Answer<ListDirectoriesResponse> {
        let caller = self.edge.caller(&request)?;
        let message = request.into_inner();
        let result = async {
            let page = parse::page(message.page_size, message.page_token)?;
            let (directories, next_page_token) = self.use_cases.list_directories(&caller, &page).await?;
            let directories = directories.into_iter().map(present::directory).collect();
            Ok::<_, Refused>(ListDirectoriesResponse { directories, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn list_my_directories(
        &self,
        request: Request<ListMyDirectoriesRequest>,
    ) -> Answer<ListMyDirectoriesResponse> {
        let caller = self.edge.caller(&request)?;
        let message = request.into_inner();
        let result = async {
            let page = parse::page(message.page_size, message.page_token)?;
            let (directories, next_page_token) = self.use_cases.list_my_directories(&caller, &page).await?;
            let directories = directories.into_iter().map(present::directory).collect();
            Ok::<_, Refused>(ListMyDirectoriesResponse { directories, next_page_token })
        };
        self.edge.answer(result.await)
    }
}

#[tonic::async_trait]
impl LienService for Handler {
    async fn create_lien(&self, request: Request<CreateLienRequest>) -> Answer<CreateLienResponse> {
        let call = self.edge.call(&request, CREATE_LIEN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let parent = message.parent.clone();
        let result = async {
            let command = parse::create_lien(message)?;
            let lien = self.use_cases.create_lien(&call, &command).await?;
            Ok::<_, Refused>(CreateLienResponse { lien: Some(present::lien(command.directory, lien)) })
        };
        self.edge.answer_write(&call, &parent, result.await).await
    }

    async fn get_lien(&self, request: Request<GetLienRequest>) -> Answer<GetLienResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let (directory, lien) = parse::lien_name(&request.get_ref().name)?;
            let lien = self.use_cases.get_lien(&caller, directory, lien).await?;
            Ok::<_, Refused>(GetLienResponse { lien: Some(present::lien(directory, lien)) })
        };
        self.edge.answer(result.await)
    }

    async fn list_liens(&self, request: Request<ListLiensRequest>) -> Answer<ListLiensResponse> {
        let caller = self.edge.caller(&request)?;
        let result = async {
            let (directory, page) = parse::list_liens(request.into_inner())?;
            let (liens, next_page_token) = self.use_cases.list_liens(&caller, directory, &page).await?;
            let liens = liens.into_iter().map(|lien| present::lien(directory, lien)).collect();
            Ok::<_, Refused>(ListLiensResponse { liens, next_page_token })
        };
        self.edge.answer(result.await)
    }

    async fn delete_lien(&self, request: Request<DeleteLienRequest>) -> Answer<DeleteLienResponse> {
        let call = self.edge.call(&request, DELETE_LIEN, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let result = async {
            let command = parse::delete_lien(&message)?;
            self.use_cases.delete_lien(&call, command).await?;
            Ok::<_, Refused>(DeleteLienResponse {})
        };
        self.edge.answer_write(&call, &message.name, result.await).await
    }
}
