//! The wire side of the context: requests parsed, use cases called, answers presented.
//!
//! Nothing is decided here.

mod audit_service;
mod directory_role_service;
mod directory_state_service;
mod parse;
mod parse_user;
mod present;
mod session_service;
mod sign_up_service;
mod status;
mod user_service;

use std::sync::Arc;

use api::identity::v1::audit_service_server::AuditServiceServer;
use api::identity::v1::directory_role_service_server::DirectoryRoleServiceServer;
use api::identity::v1::directory_state_service_server::DirectoryStateServiceServer;
use api::identity::v1::session_service_server::SessionServiceServer;
use api::identity::v1::sign_up_service_server::SignUpServiceServer;
use api::identity::v1::user_service_server::UserServiceServer;
use runtime::audit::AuditLog;
use runtime::edge::Edge;
use runtime::page_token::PageTokens;
use runtime::server::{MOST_MESSAGE_BYTES, Routes};

use crate::judge::LocalJudge;
use crate::use_cases::UseCases;

/// Full names of the services, for health.
pub(crate) const NAMES: &[&str] = &[
    "tenure.identity.v1.SignUpService",
    "tenure.identity.v1.DirectoryStateService",
    "tenure.identity.v1.UserService",
    "tenure.identity.v1.SessionService",
    "tenure.identity.v1.DirectoryRoleService",
    "tenure.identity.v1.AuditService",
];

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) edge: Arc<Edge>,
    pub(crate) use_cases: Arc<UseCases>,
    pub(crate) page_tokens: Arc<PageTokens>,
    pub(crate) audit: Arc<AuditLog<LocalJudge>>,
}

macro_rules! sized {
    ($server:ident, $handlers:expr) => {
        $server::new($handlers)
            .max_decoding_message_size(MOST_MESSAGE_BYTES)
            .max_encoding_message_size(MOST_MESSAGE_BYTES)
    };
}

impl Handlers {
    /// The routes of all services.
    pub(crate) fn routes(&self) -> Routes {
        Routes::new(sized!(SignUpServiceServer, self.clone()))
            .add_service(sized!(UserServiceServer, self.clone()))
            .add_service(sized!(SessionServiceServer, self.clone()))
            .add_service(sized!(DirectoryRoleServiceServer, self.clone()))
            .add_service(sized!(DirectoryStateServiceServer, self.clone()))
            .add_service(sized!(AuditServiceServer, self.clone()))
    }
}
