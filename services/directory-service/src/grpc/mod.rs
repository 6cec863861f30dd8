//! The wire: messages in and out, and what a refusal looks like; no rule stands here.

mod domain_service;
mod parse;
mod present;
mod service;
mod status;

pub(crate) use service::{Handler, routes, service_names};
