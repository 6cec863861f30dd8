//! Following the directories of directory-service, for what a context keeps of them (K2, K12, K14).
//!
//! The feed only repairs: what must be known at once is pushed, or asked for. What a change means is told by its effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use access::Service;
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::watch_directories_request::Start;
use api::directory::v1::{DirectoryEvent, WatchDirectoriesRequest, WatchDirectoriesResponse};
use api::types::v1::EventType;
use database::follower::{self, Claim, Progress};
use database::{Db, StoreError, Tx, bookkeeping};
use kernel::{Clock, DirectoryId, Refusal, Timestamp, reason};
use opentelemetry::KeyValue;
use tonic::{Status, Streaming};
use uuid::Uuid;

use crate::peer::{Peer, PeerError};
use crate::wire::read_timestamp;
use crate::worker::Worker;

/// The feed's name in the rows and the metrics of those who follow it.
const FEED: &str = "directories";
/// How often a replica looks whether the one that follows is gone.
const EVERY: Duration = Duration::from_secs(2);
/// How often the source says that nothing has changed.
const CHECKPOINT_SECONDS: i64 = 5;
/// A source that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(15);
/// Directories of one transaction: SQLite's only writer is not kept from others for long.
const AT_ONCE: usize = 32;
/// Known directories that are compared with a snapshot at once.
const PAGE: i64 = 500;

/// What is told of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryNews {
    /// The directory.
    pub id: DirectoryId,
    /// Its state.
    pub state: State,
    /// The revision that it has this state in.
    pub revision: i64,
}

/// What becomes of news in a context.
pub trait DirectoryEffects: Send + Sync + 'static {
    /// Takes news in where they are newer than what is known, or in any case where they overrule it.
    fn apply(
        &self,
        tx: &mut Tx,
        news: &DirectoryNews,
        overrules: bool,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Directories that are known, in the order of their ids: behind one, and up to another one where there is one.
    fn known(
        &self,
        tx: &mut Tx,
        after: Option<Uuid>,
        through: Option<Uuid>,
        most: i64,
    ) -> impl Future<Output = Result<Vec<Uuid>, StoreError>> + Send;

    /// Takes in that the source does not have a directory.
    fn remove(
        &self,
        tx: &mut Tx,
        directory: DirectoryId,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How far behind the source this process is, while it is the one that follows.
#[derive(Debug, Default)]
struct Behind {
    positions: AtomicI64,
    /// The moment of which everything is known, in microseconds; 0 while another process follows.
    as_of: AtomicI64,
}

impl Behind {
    fn note(&self, message: &WatchDirectoriesResponse, now: Timestamp) {
        self.positions.store(message.backlog, Ordering::Relaxed);
        let last = message.events.last().and_then(|event| event.commit_time).and_then(read_timestamp);
        let as_of = if message.backlog == 0 { Some(now) } else { last };
        if let Some(as_of) = as_of {
            self.as_of.store(as_of.micros(), Ordering::Relaxed);
        }
    }

    fn rest(&self) {
        self.as_of.store(0, Ordering::Relaxed);
    }

    /// Positions and seconds; nothing while another process follows.
    fn read(&self, now: Timestamp) -> Option<(i64, f64)> {
        let as_of = Some(self.as_of.load(Ordering::Relaxed)).filter(|as_of| *as_of != 0)?;
        let seconds = now.since(Timestamp::from_micros(as_of)).as_secs_f64();
        Some((self.positions.load(Ordering::Relaxed), seconds))
    }
}

/// When following ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    UpToDate,
    Stopped,
}

struct Follower<E> {
    source: Peer,
    db: Db,
    clock: Clock,
    /// This process, among the replicas.
    holder: Uuid,
    effects: E,
    behind: Arc<Behind>,
}

/// The duty of following; after [`crate::telemetry::init`]. A run by itself ends when everything is known.
pub fn follow_directories<E: DirectoryEffects>(
    name: &'static str,
    source: Peer,
    db: Db,
    clock: Clock,
    holder: Uuid,
    effects: E,
) -> Worker {
    let behind = Arc::new(Behind::default());
    measure(name, &behind, &clock);
    let follower = Arc::new(Follower { source: source.streaming(), db, clock, holder, effects, behind });
    let staying = Arc::clone(&follower);
    Worker::new(name, EVERY, move || {
        let follower = Arc::clone(&follower);
        async move { follower.follow(Until::UpToDate).await }
    })
    .staying(move || {
        let follower = Arc::clone(&staying);
        async move { follower.follow(Until::Stopped).await }
    })
}

/// Tells how far behind it is whenever metrics are read, so that it also grows while nothing arrives.
fn measure(name: &'static str, behind: &Arc<Behind>, clock: &Clock) {
    let meter = opentelemetry::global::meter("tenure");
    let labels = [KeyValue::new("feed", FEED), KeyValue::new("follower", name)];
    let (read, now, label) = (Arc::clone(behind), clock.clone(), labels.clone());
    meter
        .f64_observable_gauge("tenure.follower.behind.time")
        .with_unit("s")
        .with_callback(move |gauge| {
            if let Some((_, seconds)) = read.read(now.now()) {
                gauge.observe(seconds, &label);
            }
        })
        .build();
    let (read, now) = (Arc::clone(behind), clock.clone());
    meter
        .i64_observable_gauge("tenure.follower.behind.positions")
        .with_callback(move |gauge| {
            if let Some((positions, _)) = read.read(now.now()) {
                gauge.observe(positions, &labels);
            }
        })
        .build();
}

impl<E: DirectoryEffects> Follower<E> {
    /// Follows while the claim holds; says whether to begin again at once.
    async fn follow(&self, until: Until) -> Result<bool, Refusal> {
        let claimed = follower::claim(&self.db, FEED, self.holder, self.clock.now()).await?;
        let Some((claim, mut progress)) = claimed else {
            self.behind.rest();
            return Ok(false);
        };
        let mut messages = match self.open(&progress).await {
            Ok(messages) => messages,
            Err(status) => return self.ended(&claim, &progress, status).await,
        };
        loop {
            let message = match tokio::time::timeout(SILENCE, messages.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Err(status)) => return self.ended(&claim, &progress, status).await,
                Ok(Ok(None)) | Err(_) => {
                    return Err(Refusal::dependency_unavailable(Service::Directory.as_str()));
                }
            };
            let Some(next) = self.take_in(&claim, &progress, &message).await? else {
                self.behind.rest();
                return Ok(false);
            };
            progress = next;
            self.behind.note(&message, self.clock.now());
            if until == Until::UpToDate && message.backlog == 0 && !progress.in_snapshot {
                return Ok(false);
            }
        }
    }

    async fn open(&self, progress: &Progress) -> Result<Streaming<WatchDirectoriesResponse>, Status> {
        let start = if progress.resume_token.is_empty() {
            Start::Snapshot(true)
        } else {
            Start::ResumeToken(progress.resume_token.clone())
        };
        let request = WatchDirectoriesRequest {
            start: Some(start),
            checkpoint_interval: Some(prost_types::Duration { seconds: CHECKPOINT_SECONDS, nanos: 0 }),
            ..WatchDirectoriesRequest::default()
        };
        let answer = DirectoryServiceClient::new(self.source.clone()).watch_directories(request).await?;
        Ok(answer.into_inner())
    }

    /// K14: a place that the source does not have any more is left for a snapshot.
    async fn ended(&self, claim: &Claim, progress: &Progress, status: Status) -> Result<bool, Refusal> {
        let error = PeerError::of(status);
        let expired = error.is(reason::RESUME_TOKEN_EXPIRED.as_str());
        let invalid = error.is(reason::RESUME_TOKEN_INVALID.as_str());
        if expired || invalid {
            let restored = error.metadata.get("cause").is_some_and(|cause| cause == "source_restored");
            tracing::warn!(feed = FEED, %error, "the place in a feed is gone; beginning with a snapshot");
            let snapshot = Progress::snapshot(invalid || restored || progress.overrules);
            return bookkeeping(|| async {
                let mut tx = self.db.write().await?;
                let held = follower::advance(&mut tx, claim, &snapshot, self.clock.now()).await?;
                tx.commit_bookkeeping().await?;
                Ok::<_, StoreError>(held)
            })
            .await
            .map_err(Refusal::from);
        }
        let again = [reason::TOKEN_EXPIRED, reason::WATCHER_TOO_SLOW];
        if again.iter().any(|reason| error.is(reason.as_str())) {
            return Ok(true);
        }
        Err(error.unavailable(Service::Directory))
    }

    /// Takes a message in, with its token in the transaction of the last of its effects; `None` when the claim is lost.
    ///
    /// What comes before the last may come twice: effects are the same then.
    async fn take_in(
        &self,
        claim: &Claim,
        progress: &Progress,
        message: &WatchDirectoriesResponse,
    ) -> Result<Option<Progress>, Refusal> {
        let taken = Taken::of(progress, message)?;
        let mut chunks = taken.news.chunks(AT_ONCE).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let last = chunks.peek().is_none();
            if !bookkeeping(|| self.take_in_once(claim, progress, &taken, chunk, last)).await? {
                return Ok(None);
            }
            if last {
                return Ok(Some(taken.next));
            }
        }
    }

    async fn take_in_once(
        &self,
        claim: &Claim,
        progress: &Progress,
        taken: &Taken,
        chunk: &[(DirectoryNews, bool)],
        last: bool,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let reached = if last { &taken.next } else { progress };
        if !follower::advance(&mut tx, claim, reached, now).await? {
            return Ok(false);
        }
        for (news, in_snapshot) in chunk {
            self.effects.apply(&mut tx, news, *in_snapshot && progress.overrules, now).await?;
        }
        if last && progress.in_snapshot {
            self.remove_absent(&mut tx, progress, taken, now).await?;
        }
        tx.commit_bookkeeping().await?;
        Ok(true)
    }

    /// K14: what the snapshot leaves out is not there.
    async fn remove_absent(
        &self,
        tx: &mut Tx,
        progress: &Progress,
        taken: &Taken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let through = taken.next.snapshot_after;
        if taken.next.in_snapshot && through == progress.snapshot_after {
            return Ok(());
        }
        let mut after = progress.snapshot_after;
        loop {
            let known = self.effects.known(tx, after, through, PAGE).await?;
            for id in &known {
                if !taken.news.iter().any(|(news, in_snapshot)| *in_snapshot && news.id.uuid() == *id) {
                    self.effects.remove(tx, DirectoryId::from_uuid(*id), now).await?;
                }
            }
            match known.last() {
                Some(last) if i64::try_from(known.len()).is_ok_and(|len| len >= PAGE) => after = Some(*last),
                _ => return Ok(()),
            }
        }
    }
}

/// A message that was understood, and where it leads.
struct Taken {
    /// What it tells, and whether as part of a snapshot.
    news: Vec<(DirectoryNews, bool)>,
    next: Progress,
}

impl Taken {
    fn of(progress: &Progress, message: &WatchDirectoriesResponse) -> Result<Self, Refusal> {
        let news: Option<Vec<_>> = message.events.iter().map(read).collect();
        let news = news.filter(|_| !message.resume_token.is_empty()).ok_or_else(|| {
            tracing::error!("directory-service's feed cannot be read");
            Refusal::dependency_unavailable(Service::Directory.as_str())
        })?;
        let in_snapshot = progress.in_snapshot && !message.snapshot_complete;
        let last = news.iter().rev().find(|(_, in_snapshot)| *in_snapshot).map(|(news, _)| news.id.uuid());
        let next = Progress {
            resume_token: message.resume_token.clone(),
            in_snapshot,
            overrules: in_snapshot && progress.overrules,
            snapshot_after: last.or(progress.snapshot_after).filter(|_| in_snapshot),
        };
        Ok(Self { news, next })
    }
}

/// The news of an event; what is gone for good has ended, whatever else it says.
fn read(event: &DirectoryEvent) -> Option<(DirectoryNews, bool)> {
    let directory = event.directory.as_ref()?;
    let id = directory.name.strip_prefix("directories/")?.parse().ok()?;
    let event_type = Some(event.r#type()).filter(|event_type| *event_type != EventType::Unspecified)?;
    let state = match event_type {
        EventType::Purged => State::Deleted,
        EventType::Unspecified
        | EventType::Created
        | EventType::Updated
        | EventType::Deleted
        | EventType::Snapshot => Some(directory.state()).filter(|state| *state != State::Unspecified)?,
    };
    let news = DirectoryNews { id, state, revision: event.revision };
    Some((news, event_type == EventType::Snapshot))
}
