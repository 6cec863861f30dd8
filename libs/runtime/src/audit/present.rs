//! Entries as the contract has them; nothing is decided here.

use api::types::v1::audit_event::Kind;
use api::types::v1::{AuditEvent, AuditOutcome};
use database::audit::Event;
use kernel::DirectoryId;

use crate::wire::timestamp;

/// The code of what was done.
pub(super) const OK: &str = "OK";

pub(super) fn event(directory: DirectoryId, event: Event) -> AuditEvent {
    AuditEvent {
        name: format!("directories/{directory}/auditEvents/{}", event.id),
        event_time: Some(timestamp(event.event_time)),
        actor: event.actor,
        action: event.action,
        targets: vec![event.target],
        kind: kind(&event.kind).into(),
        outcome: Some(AuditOutcome { code: event.code, reason: event.reason }),
        changed_fields: event.changed_fields,
        request_id: event.request_id.map(|id| id.to_string()).unwrap_or_default(),
        trace_id: event.trace_id.unwrap_or_default(),
        count: event.count,
        digest: event.digest,
        seal: event.seal,
    }
}

fn kind(stored: &str) -> Kind {
    match stored {
        "CREATED" => Kind::Created,
        "UPDATED" => Kind::Updated,
        "DELETED" => Kind::Deleted,
        "REFUSED" => Kind::Refused,
        _ => Kind::Unspecified,
    }
}
