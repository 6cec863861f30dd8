//! One row a change: outbox, audit and feed in one (K13, P-10); written in the change's own transaction.
//!
//! Rows have a digest and no position; the `sequencer` positions and seals them after they are committed.

use access::{Call, Permission, Permit};
use aws_lc_rs::digest;
use kernel::{DirectoryId, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::defer;
use crate::error::StoreError;
use crate::tx::Tx;

/// What happened to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came into being.
    Created,
    /// Some of its fields changed.
    Updated,
    /// It ended.
    Deleted,
    /// Nothing of it can be had back any more.
    Purged,
}

impl ChangeKind {
    /// The kind as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
            Self::Purged => "PURGED",
        }
    }
}

/// One change to one resource.
#[derive(Debug)]
pub struct Change<'a, T> {
    /// The resource's name.
    pub resource: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The resource afterwards, as the context stores it; never with a secret.
    pub after: &'a T,
    /// Paths of the fields that changed; empty for a creation or an end.
    pub changed_fields: &'a [&'a str],
}

/// A row of the change log before it has a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) directory: Uuid,
    pub(crate) transaction_id: Uuid,
    pub(crate) event_time: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) kind: String,
    pub(crate) after: String,
    pub(crate) changed_fields: String,
    pub(crate) outcome: String,
    pub(crate) count: i64,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) trace_id: Option<String>,
}

/// The outcome of a change; refusals have their code and reason instead.
pub(crate) const OUTCOME_OK: &str = "OK";

/// Appends one change; the directory and the actor come from the permit (K9).
pub async fn append<P: Permission, T: Serialize + Sync>(
    tx: &mut Tx,
    permit: &Permit<P>,
    call: &Call,
    change: &Change<'_, T>,
) -> Result<(), StoreError> {
    let entry = Entry {
        directory: DirectoryId::uuid(permit.directory()),
        transaction_id: call.new_id,
        event_time: Timestamp::micros(call.now),
        actor: permit.actor().to_owned(),
        action: call.method.to_owned(),
        resource: change.resource.clone(),
        kind: change.kind.as_str().to_owned(),
        after: serde_json::to_string(change.after).map_err(|_| StoreError::Corrupt("change"))?,
        changed_fields: change.changed_fields.join(","),
        outcome: OUTCOME_OK.to_owned(),
        count: 1,
        request_id: call.request_id.map(kernel::RequestId::uuid),
        trace_id: call.trace_id.clone(),
    };
    insert(tx, &entry).await
}

pub(crate) async fn insert(tx: &mut Tx, entry: &Entry) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO change_log (directory, transaction_id, event_time, actor, action, resource, kind, after,
            changed_fields, outcome, count, request_id, trace_id, digest)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    defer!(
        tx,
        insert,
        entry.directory,
        entry.transaction_id,
        entry.event_time,
        &entry.actor,
        &entry.action,
        &entry.resource,
        &entry.kind,
        &entry.after,
        &entry.changed_fields,
        &entry.outcome,
        entry.count,
        entry.request_id,
        entry.trace_id.as_deref(),
        entry.digest().as_slice(),
    )?;
    Ok(())
}

impl Entry {
    /// The digest over every field but the position; each field is led by its length, so that none runs into the next.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut field = |bytes: &[u8]| {
            context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(bytes);
        };
        field(self.directory.as_bytes());
        field(self.transaction_id.as_bytes());
        field(&self.event_time.to_be_bytes());
        for text in [&self.actor, &self.action, &self.resource] {
            field(text.as_bytes());
        }
        field(self.kind.as_bytes());
        for text in [&self.after, &self.changed_fields, &self.outcome] {
            field(text.as_bytes());
        }
        field(&self.count.to_be_bytes());
        field(self.request_id.map(Uuid::into_bytes).as_ref().map_or(&[][..], <[u8; 16]>::as_slice));
        field(self.trace_id.as_deref().unwrap_or_default().as_bytes());
        context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}
