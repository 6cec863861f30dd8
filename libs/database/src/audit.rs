//! Reading the change log as an audit log: one directory's entries that have a position, newest first (K13, K32).
//!
//! Who may read is judged by whoever asks; an entry comes without the resource as it was stored.

use std::fmt;
use std::str::FromStr;

use access::{Permission, Permit};
use kernel::{DirectoryId, RequestId, Timestamp, ids};
use uuid::Uuid;

use crate::change_log::OUTCOME_OK;
use crate::error::StoreError;
use crate::statement::Statement;
use crate::tx::Tx;

/// Bytes of the digest that stand in an id: a transaction writes a few entries, and no two alike.
const DIGEST_BYTES: usize = 8;
/// Letters of an id's last part from which on a beginning of a target finds few.
const LETTERS_OF_AN_ID: usize = 8;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// By which it is found again.
    pub id: EventId,
    /// When the call arrived.
    pub event_time: Timestamp,
    /// Orders entries of the same time; it tells how much others write, and leaves the process in page tokens alone.
    pub position: i64,
    /// Who called.
    pub actor: String,
    /// The full method.
    pub action: String,
    /// What was changed, or what a refused call was about.
    pub target: String,
    /// `CREATED`, `UPDATED`, `DELETED` or `REFUSED`.
    pub kind: String,
    /// Paths of fields.
    pub changed_fields: Vec<String>,
    /// `OK`, or the code of the refusal.
    pub code: String,
    /// The reason of the refusal.
    pub reason: String,
    /// How many calls it stands for.
    pub count: i64,
    /// The call's `request_id`.
    pub request_id: Option<RequestId>,
    /// The call's trace.
    pub trace_id: Option<String>,
    /// Over the whole entry.
    pub digest: Vec<u8>,
    /// The seal of its batch.
    pub seal: Vec<u8>,
}

/// What an entry is called: its transaction, and the beginning of its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    transaction: Uuid,
    digest: [u8; DIGEST_BYTES],
}

impl EventId {
    fn of(transaction: Uuid, digest: &[u8]) -> Option<Self> {
        Some(Self { transaction, digest: digest.get(..DIGEST_BYTES)?.try_into().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.transaction.hyphenated(), u64::from_be_bytes(self.digest))
    }
}

impl FromStr for EventId {
    type Err = ids::IdInvalid;

    fn from_str(text: &str) -> Result<Self, ids::IdInvalid> {
        let (transaction, digest) = text.rsplit_once('-').ok_or(ids::IdInvalid)?;
        let digest = u64::from_str_radix(digest, 16).map_err(|_| ids::IdInvalid)?;
        let id = Self { transaction: ids::parse_uuid(transaction)?, digest: digest.to_be_bytes() };
        // One entry has one name.
        if id.to_string() == text { Ok(id) } else { Err(ids::IdInvalid) }
    }
}

/// What a list is narrowed to; all narrowings hold.
#[derive(Debug, Clone)]
pub struct Narrowing {
    /// By what.
    pub by: By,
    /// Whether it is everything else that is listed.
    pub negated: bool,
}

/// What a list can be narrowed by.
#[derive(Debug, Clone)]
pub enum By {
    /// Who called.
    Actor(String),
    /// The full method.
    Action(String),
    /// What was changed.
    Target(String),
    /// How the name of what was changed begins.
    TargetPrefix(String),
    /// What was done.
    Done,
    /// What was refused with this code.
    Refused(&'static str),
}

/// Where the next page begins: before this time and position.
pub type Before = (i64, i64);

/// Which page is asked for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Not before this time.
    pub from: Timestamp,
    /// Before this time and position.
    pub before: Before,
    /// What it is narrowed to.
    pub narrowings: &'a [Narrowing],
    /// The most entries.
    pub most: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    transaction_id: Uuid,
    event_time: i64,
    position: i64,
    actor: String,
    action: String,
    resource: String,
    kind: String,
    changed_fields: String,
    outcome: String,
    count: i64,
    request_id: Option<Uuid>,
    trace_id: Option<String>,
    digest: Vec<u8>,
    seal: Option<Vec<u8>>,
}

/// Entries of the permit's directory, to be continued by `AND` and an order.
const SELECT: &str =
    "SELECT transaction_id, event_time, position, actor, action, resource, kind, changed_fields, outcome,
        count, request_id, trace_id, digest, (SELECT seal FROM change_seals
            WHERE change_seals.last_position >= change_log.position ORDER BY last_position LIMIT 1) AS seal
    FROM change_log WHERE position IS NOT NULL AND directory = $1";

/// A page of the permit's directory, newest first.
pub async fn page<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    asked: &Asked<'_>,
) -> Result<Vec<Event>, StoreError> {
    let rows: Vec<Row> = statement(permit.directory(), asked).fetch_all(tx).await?;
    rows.into_iter().map(Row::event).collect()
}

/// One entry of the permit's directory.
pub async fn find<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    id: EventId,
) -> Result<Option<Event>, StoreError> {
    let mut statement = Statement::new(SELECT);
    statement.bind(permit.directory().uuid());
    let transaction = statement.bind(id.transaction);
    statement.push(&format!(" AND transaction_id = {transaction} ORDER BY position"));
    let rows: Vec<Row> = statement.fetch_all(tx).await?;
    rows.into_iter().find(|row| row.digest.starts_with(&id.digest)).map(Row::event).transpose()
}

/// The statement of a page: each way to narrow it has its index, in the order of the list. A test reads its plan.
#[doc(hidden)]
pub fn statement(directory: DirectoryId, asked: &Asked<'_>) -> Statement {
    let finds_few =
        |narrowing: &Narrowing| matches!(&narrowing.by, By::TargetPrefix(prefix) if finds_few(prefix));
    // A few are found by their target, and then ordered: the sum keeps the indexes in the list's order out of the plan.
    let time = if asked.narrowings.iter().any(finds_few) { "event_time + 0" } else { "event_time" };
    let mut statement = Statement::new(SELECT);
    statement.bind(directory.uuid());
    // Only where it bounds anything: SQLite prefers a range of times to a narrower index.
    if asked.from > Timestamp::from_micros(i64::MIN) {
        let from = statement.bind(asked.from.micros());
        statement.push(&format!(" AND {time} >= {from}"));
    }
    let (before_time, before_position) = (statement.bind(asked.before.0), statement.bind(asked.before.1));
    statement.push(&format!(" AND ({time}, position) < ({before_time}, {before_position})"));
    for Narrowing { by, negated } in asked.narrowings {
        let condition = condition(&mut statement, by, *negated);
        statement.push(&format!(" AND {condition}"));
    }
    let most = statement.bind(asked.most);
    statement.push(&format!(" ORDER BY {time} DESC, position DESC LIMIT {most}"));
    statement
}

/// `outcome <> 'OK'` stands there as the index of refusals has it: they are few among all entries.
fn condition(statement: &mut Statement, by: &By, negated: bool) -> String {
    let condition = match by {
        By::Actor(actor) => format!("actor = {}", statement.bind(actor.as_str())),
        By::Action(action) => format!("action = {}", statement.bind(action.as_str())),
        By::Target(target) => format!("resource = {}", statement.bind(target.as_str())),
        By::TargetPrefix(prefix) if finds_few(prefix) => statement.begins_with("resource", prefix),
        // Much begins with it: it is looked for in the list's order, until the page is full.
        By::TargetPrefix(prefix) => statement.begins_with("resource || ''", prefix),
        By::Done if negated => return format!("outcome <> '{OUTCOME_OK}'"),
        By::Done => format!("outcome = '{OUTCOME_OK}'"),
        By::Refused(code) => {
            let condition = statement.begins_with("outcome", &format!("{code}/"));
            if negated { condition } else { format!("outcome <> '{OUTCOME_OK}' AND {condition}") }
        }
    };
    if negated { format!("NOT ({condition})") } else { condition }
}

/// Whether what begins with it is one thing, or what belongs to one: it goes into an id below its directory.
fn finds_few(prefix: &str) -> bool {
    let mut parts = prefix.split('/').peekable();
    if parts.next_if_eq(&"directories").is_some() {
        parts.next();
    }
    parts.nth(1).is_some_and(|id| id.len() >= LETTERS_OF_AN_ID)
}

impl Row {
    fn event(self) -> Result<Event, StoreError> {
        let (code, reason) = self.outcome.split_once('/').unwrap_or((&self.outcome, ""));
        let (code, reason) = (code.to_owned(), reason.to_owned());
        let fields = self.changed_fields.split(',').filter(|field| !field.is_empty());
        Ok(Event {
            id: EventId::of(self.transaction_id, &self.digest).ok_or(StoreError::Corrupt("digest"))?,
            event_time: Timestamp::from_micros(self.event_time),
            position: self.position,
            changed_fields: fields.map(ToOwned::to_owned).collect(),
            actor: self.actor,
            action: self.action,
            target: self.resource,
            kind: self.kind,
            code,
            reason,
            count: self.count,
            request_id: self.request_id.map(RequestId::derived),
            trace_id: self.trace_id,
            digest: self.digest,
            seal: self.seal.ok_or(StoreError::Corrupt("seal"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;

    use super::*;

    #[test]
    fn a_beginning_that_goes_into_an_id_finds_few() {
        for few in
            ["directories/1/users/1d7e1f2a", "subscriptions/1d7e1f2a-3b", "directories/1/users/1d7e1f2a/s"]
        {
            assert!(finds_few(few), "{few}");
        }
        for many in ["", "d", "directories/1d7e1f2a-3b4c", "directories/1/users/", "directories/1/users/1d7"]
        {
            assert!(!finds_few(many), "{many}");
        }
    }

    #[test]
    fn one_entry_has_one_name() {
        let id = EventId::of(new_ids::derive(&["a transaction"]), &[0xab; 32]).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in
            [id.to_string().to_uppercase(), format!("{id}0"), id.to_string().replace('-', ""), String::new()]
        {
            assert_eq!(other.parse::<EventId>(), Err(ids::IdInvalid), "{other}");
        }
    }
}
