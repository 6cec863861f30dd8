//! The audit logs of the three services, asked alike: their messages are the same on the wire.

use std::time::Duration;

use api::directory::v1::{ListAuditEventsRequest, ListAuditEventsResponse};
use api::types::v1::AuditEvent;
use database::sequencer;
use kernel::Timestamp;
use prost::Message as _;
use tonic::Status;

use crate::raw;
use crate::world::{Person, World, with_token};

/// The contexts, as their packages are named.
pub(crate) const CONTEXTS: [&str; 3] = ["directory", "identity", "subscription"];

/// One page.
pub(crate) async fn page(
    world: &World,
    context: &str,
    token: &str,
    request: &ListAuditEventsRequest,
) -> Result<ListAuditEventsResponse, Status> {
    let peer = match context {
        "directory" => world.directory_peer(),
        "identity" => world.identity_peer(),
        _ => world.subscription_peer(),
    };
    let path = format!("/tenure.{context}.v1.AuditService/ListAuditEvents");
    let answer = raw::call(peer, &path, with_token(request.encode_to_vec(), token)).await?;
    Ok(ListAuditEventsResponse::decode(answer.into_inner().as_slice()).unwrap())
}

/// A request for a person's directory.
pub(crate) fn of(person: &Person, filter: &str) -> ListAuditEventsRequest {
    ListAuditEventsRequest {
        parent: person.directory.clone(),
        filter: filter.to_owned(),
        ..ListAuditEventsRequest::default()
    }
}

/// All that one context has of a directory, newest first, in pages of three.
pub(crate) async fn all(world: &World, context: &str, person: &Person, filter: &str) -> Vec<AuditEvent> {
    let mut request = ListAuditEventsRequest { page_size: 3, ..of(person, filter) };
    let mut events = Vec::new();
    loop {
        let answer = page(world, context, &person.token, &request).await.unwrap();
        events.extend(answer.audit_events);
        if answer.next_page_token.is_empty() {
            return events;
        }
        request.page_token = answer.next_page_token;
    }
}

/// Has everything that was written listed; past minutes alone are listed of refusals.
pub(crate) async fn settle(world: &World) {
    settle_at(world, world.clock.now()).await;
}

/// As [`settle`], with the refusals of this minute.
pub(crate) async fn settle_with_refusals(world: &World) {
    settle_at(world, world.clock.now().plus(Duration::from_mins(3))).await;
}

async fn settle_at(world: &World, now: Timestamp) {
    for (_, db) in world.stores() {
        while sequencer::run_once(db, now).await.unwrap() {}
    }
}
