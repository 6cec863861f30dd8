//! Feeds of changes: one log read in order by any number of watchers, as a stream or in pages (P-13, K14).
//!
//! What an event looks like is told by the service; who may watch is asked by it, too.

mod seats;
mod tail;
mod token;
mod watcher;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use access::Caller;
use access::service_key::PrivateKey;
use api::types::v1::EventType;
use database::feed::{self, Entry, Place, Standing};
use database::{Db, StoreError, Tx};
use kernel::{Clock, Code, DirectoryId, Refusal, Timestamp, Violations, reason};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::edge::Edge;
use crate::wire::timestamp;
use crate::worker::Worker;
use seats::Seats;
use tail::{Batch, Tail};
use token::{Cursor, ResumeTokens};
use watcher::Watcher;

pub use watcher::{Asked, Right, Terms, Updates};

/// The most bytes of events in one message, unless one transaction alone is larger.
const MOST_BYTES: usize = 1024 * 1024;
/// The most resources of one page of a snapshot.
const SNAPSHOT_PAGE: i64 = 200;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);
const INTERVALS: std::ops::RangeInclusive<i64> = 5..=60;

/// What a feed tells of, and how.
pub trait Subject: Send + Sync + 'static {
    /// The feed's name, which its tokens are bound to.
    const NAME: &'static str;
    /// An event as it stands in messages.
    type Event: prost::Message + Clone;

    /// The event of a change; none where the change is of something else.
    fn event(&self, event_type: EventType, entry: &Entry) -> Result<Option<Self::Event>, StoreError>;

    /// Resources as they stand, in the order of their ids, behind one; each as an event with its id.
    fn snapshot(
        &self,
        tx: &mut Tx,
        only: Option<DirectoryId>,
        after: Option<Uuid>,
        most: i64,
    ) -> impl Future<Output = Result<Vec<(Uuid, Self::Event)>, StoreError>> + Send;
}

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Behind a message.
    Token(String),
    /// With everything as it stands.
    Snapshot,
    /// With the earliest change that is kept.
    Earliest,
    /// With the next change.
    Now,
}

/// Which changes a reader wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of these kinds; all where there are none.
    pub types: Vec<EventType>,
    /// Of this directory.
    pub directory: Option<DirectoryId>,
}

impl Selection {
    /// Reads the kinds of a request.
    pub fn types(violations: &mut Violations, numbers: &[i32]) -> Vec<EventType> {
        let mut types = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            match EventType::try_from(*number) {
                Ok(EventType::Unspecified) | Err(_) => {
                    violations.add(&format!("types[{index}]"), "is not a value of EventType");
                }
                Ok(event_type) => types.push(event_type),
            }
        }
        types
    }

    fn wants(&self, event_type: EventType, entry: &Entry) -> bool {
        (self.types.is_empty() || self.types.contains(&event_type))
            && self.directory.is_none_or(|directory| directory.uuid() == entry.directory)
    }
}

/// Reads the interval of checkpoints of a request.
pub fn interval(violations: &mut Violations, asked: Option<prost_types::Duration>) -> Duration {
    let Some(asked) = asked else { return DEFAULT_INTERVAL };
    let exceeds = asked.seconds == *INTERVALS.end() && asked.nanos > 0;
    if !INTERVALS.contains(&asked.seconds) || !(0..1_000_000_000).contains(&asked.nanos) || exceeds {
        violations.add("checkpoint_interval", "must be from 5 to 60 seconds");
    }
    Duration::from_secs(asked.seconds.unsigned_abs())
        + Duration::from_nanos(asked.nanos.unsigned_abs().into())
}

/// A message of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Update<E> {
    /// Whole transactions, in order.
    pub events: Vec<E>,
    /// Where to go on behind it.
    pub resume_token: String,
    /// Whether it was sent for its token alone.
    pub checkpoint: bool,
    /// Whether a snapshot ends with it.
    pub snapshot_complete: bool,
    /// How many changes the log has behind it.
    pub backlog: i64,
}

/// A stream of answers, as generated servers take it.
pub type Answers<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// One feed of a context.
pub struct Feed<S: Subject>(Arc<Inner<S>>);

struct Inner<S> {
    subject: S,
    db: Db,
    clock: Clock,
    tokens: ResumeTokens,
    tail: Arc<Tail>,
    seats: Seats,
}

impl<S: Subject> Clone for Feed<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Subject> Feed<S> {
    /// The feed of a context's log, its tokens under a secret that is derived from the service's key.
    pub fn new(subject: S, db: Db, key: &PrivateKey, clock: Clock) -> Self {
        let (tokens, tail) = (ResumeTokens::new(key, S::NAME), Arc::new(Tail::new(db.clone())));
        Self(Arc::new(Inner { subject, db, clock, tokens, tail, seats: Seats::default() }))
    }

    /// The duty of its tail, without which a watcher hears of nothing new.
    pub fn worker(&self, name: &'static str) -> Worker {
        tail::worker(name, &self.0.tail)
    }

    /// The token of a place in the log: of [`database::feed::head`] as of the snapshot in which a list is read, so that
    /// who watches from there misses nothing.
    pub fn token_of(&self, place: Place) -> String {
        self.0.tokens.make(&Cursor::Log(place))
    }

    /// Watches; refuses at once what cannot begin.
    pub async fn watch(
        &self,
        caller: &Caller,
        start: &Start,
        selection: Selection,
        terms: Terms,
    ) -> Result<Updates<S>, Refusal> {
        let cursor = self.begin(start).await?;
        let seat = self.0.seats.take(caller)?;
        Ok(Updates::of(Watcher::new(self.clone(), selection, terms, cursor, seat)))
    }

    /// One page of changes; the events of some `most` of them, as far as they are wanted.
    pub async fn page(
        &self,
        start: &Start,
        selection: &Selection,
        most: i64,
    ) -> Result<Update<S::Event>, Refusal> {
        let mut cursor = self.begin(start).await?;
        if let Cursor::Snapshot(place, after) = cursor {
            return self.snapshot_of(selection, place, after, &mut cursor, most).await;
        }
        let mut pending = self.read(&cursor, most).await?;
        let head = self.last_position().await?;
        self.take(selection, &mut cursor, &mut pending, head)
    }

    async fn begin(&self, start: &Start) -> Result<Cursor, Refusal> {
        let cursor = match start {
            Start::Token(token) => Some(self.0.tokens.read(token)?),
            Start::Snapshot | Start::Earliest | Start::Now => None,
        };
        let mut tx = self.0.db.read().await?;
        match (start, cursor) {
            (Start::Earliest, _) => Ok(Cursor::Log(feed::earliest(&mut tx).await?)),
            (Start::Snapshot, _) => Ok(Cursor::Snapshot(feed::head(&mut tx).await?, None)),
            (Start::Now, _) | (_, None) => Ok(Cursor::Log(feed::head(&mut tx).await?)),
            (Start::Token(_), Some(cursor)) => {
                refuse_unless_good(&mut tx, cursor.place()).await?;
                Ok(cursor)
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Arc<Batch>> {
        self.0.tail.subscribe()
    }

    async fn last_position(&self) -> Result<i64, Refusal> {
        Ok(feed::last_position(&self.0.db).await?)
    }

    async fn read_on(&self, cursor: &Cursor) -> Result<VecDeque<Arc<Entry>>, Refusal> {
        self.read(cursor, tail::PAGE).await
    }

    async fn read(&self, cursor: &Cursor, most: i64) -> Result<VecDeque<Arc<Entry>>, Refusal> {
        let place = cursor.place();
        if let Some(entries) = feed::after(&self.0.db, place.point.position, most).await? {
            return Ok(entries.into_iter().map(Arc::new).collect());
        }
        let mut tx = self.0.db.read().await?;
        refuse_unless_good(&mut tx, place).await?;
        // Swept between the two.
        Err(expired(&mut tx, TOO_OLD).await?)
    }

    fn update(&self, cursor: &Cursor, events: Vec<S::Event>, head: i64) -> Update<S::Event> {
        Update {
            events,
            resume_token: self.0.tokens.make(cursor),
            checkpoint: false,
            snapshot_complete: false,
            backlog: head.saturating_sub(cursor.place().point.position).max(0),
        }
    }

    /// Takes whole transactions off the front, as many as fit one message, and moves the cursor behind them.
    fn take(
        &self,
        selection: &Selection,
        cursor: &mut Cursor,
        pending: &mut VecDeque<Arc<Entry>>,
        head: i64,
    ) -> Result<Update<S::Event>, Refusal> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut point = cursor.place().point;
        while let Some(first) = pending.front() {
            let transaction = first.transaction_id;
            let rows = pending.iter().take_while(|entry| entry.transaction_id == transaction).count();
            let mut told = Vec::new();
            for entry in pending.iter().take(rows) {
                told.extend(self.event(selection, entry)?);
            }
            let size: usize = told.iter().map(prost::Message::encoded_len).sum();
            if !events.is_empty() && bytes + size > MOST_BYTES {
                break;
            }
            bytes += size;
            events.extend(told);
            point = pending.drain(..rows).next_back().map_or(point, |last| last.point());
        }
        *cursor = Cursor::Log(Place { log: cursor.place().log, point });
        Ok(self.update(cursor, events, head))
    }

    fn event(&self, selection: &Selection, entry: &Entry) -> Result<Option<S::Event>, StoreError> {
        match event_type(&entry.kind).filter(|event_type| selection.wants(*event_type, entry)) {
            Some(event_type) => self.0.subject.event(event_type, entry),
            None => Ok(None),
        }
    }

    async fn snapshot_page(
        &self,
        selection: &Selection,
        place: Place,
        after: Option<Uuid>,
        cursor: &mut Cursor,
    ) -> Result<Update<S::Event>, Refusal> {
        self.snapshot_of(selection, place, after, cursor, SNAPSHOT_PAGE).await
    }

    /// A page of a snapshot. Each page is read by itself: what changes between two is told behind the place.
    async fn snapshot_of(
        &self,
        selection: &Selection,
        place: Place,
        after: Option<Uuid>,
        cursor: &mut Cursor,
        most: i64,
    ) -> Result<Update<S::Event>, Refusal> {
        let mut tx = self.0.db.read().await?;
        let rows = self.0.subject.snapshot(&mut tx, selection.directory, after, most).await?;
        drop(tx);
        let mut complete = i64::try_from(rows.len()).is_ok_and(|len| len < most);
        let (mut events, mut bytes, mut last) = (Vec::new(), 0, after);
        for (id, event) in rows {
            bytes += prost::Message::encoded_len(&event);
            if bytes > MOST_BYTES && !events.is_empty() {
                complete = false;
                break;
            }
            last = Some(id);
            events.push(event);
        }
        *cursor = if complete { Cursor::Log(place) } else { Cursor::Snapshot(place, last) };
        let head = self.last_position().await?;
        Ok(Update { snapshot_complete: complete, ..self.update(cursor, events, head) })
    }
}

impl<S: Subject> Updates<S> {
    /// The messages as a generated server sends them.
    pub fn answers<M: Send + 'static>(self, edge: Edge, present: fn(Update<S::Event>) -> M) -> Answers<M> {
        Box::pin(self.map(move |update| edge.answer(update.map(present)).map(Response::into_inner)))
    }
}

/// What happened, where a feed tells of it: refusals are the audit's alone.
fn event_type(kind: &str) -> Option<EventType> {
    match kind {
        "CREATED" => Some(EventType::Created),
        "UPDATED" => Some(EventType::Updated),
        "DELETED" => Some(EventType::Deleted),
        "PURGED" => Some(EventType::Purged),
        _ => None,
    }
}

const TOO_OLD: &str = "too_old";
const SOURCE_RESTORED: &str = "source_restored";

async fn refuse_unless_good(tx: &mut Tx, place: &Place) -> Result<(), Refusal> {
    match feed::standing(tx, place).await? {
        Standing::Good => Ok(()),
        Standing::TooOld => Err(expired(tx, TOO_OLD).await?),
        Standing::OtherHistory => Err(expired(tx, SOURCE_RESTORED).await?),
        Standing::OtherLog => Err(token::invalid()),
    }
}

async fn expired(tx: &mut Tx, cause: &'static str) -> Result<Refusal, StoreError> {
    let earliest = feed::earliest_time(tx).await?.map(|time| timestamp(time).to_string());
    let message = "the changes behind this token are not there any more; begin with a snapshot";
    Ok(Refusal::new(Code::OutOfRange, reason::RESUME_TOKEN_EXPIRED, message)
        .with("earliest_time", earliest.unwrap_or_default())
        .with("cause", cause))
}
