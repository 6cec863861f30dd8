//! Messages in and out; what a call does is its use case's matter.

mod audit_service;
mod parse;
mod present;
mod service;
mod status;

use api::subscription::v1::audit_service_server::{AuditServiceServer, SERVICE_NAME as AUDIT};
use api::subscription::v1::catalog_service_server::{CatalogServiceServer, SERVICE_NAME as CATALOG};
use api::subscription::v1::order_service_server::{OrderServiceServer, SERVICE_NAME as ORDER};
use api::subscription::v1::subscription_service_server::{
    SERVICE_NAME as SUBSCRIPTION, SubscriptionServiceServer,
};
use runtime::audit::AuditLog;
use runtime::edge::Edge;
use runtime::judge::RemoteJudge;
use runtime::server::{MOST_MESSAGE_BYTES, Routes};

use crate::use_cases::UseCases;

/// What every rpc needs.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) edge: Edge,
    pub(crate) use_cases: UseCases,
    pub(crate) audit: AuditLog<RemoteJudge>,
}

macro_rules! limited {
    ($server:ident, $handler:expr) => {
        $server::new($handler)
            .max_decoding_message_size(MOST_MESSAGE_BYTES)
            .max_encoding_message_size(MOST_MESSAGE_BYTES)
    };
}

/// The generated servers over one handler.
pub(crate) fn routes(handler: &Handler) -> Routes {
    Routes::new(limited!(CatalogServiceServer, handler.clone()))
        .add_service(limited!(OrderServiceServer, handler.clone()))
        .add_service(limited!(SubscriptionServiceServer, handler.clone()))
        .add_service(limited!(AuditServiceServer, handler.clone()))
}

/// The full names of the served services.
pub(crate) fn service_names() -> Vec<&'static str> {
    vec![CATALOG, ORDER, SUBSCRIPTION, AUDIT]
}
