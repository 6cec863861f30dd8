//! One watcher: a snapshot where one was asked for, then the log from the database until it is reached, then the tail.
//!
//! It is driven by whoever reads its messages, so that a client that does not read costs no memory but its place.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use database::feed::Entry;
use kernel::{Code, Refusal, Timestamp, reason};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_stream::Stream;

use super::seats::Seat;
use super::tail::Batch;
use super::token::Cursor;
use super::{Feed, Selection, Subject, Update};

/// How often it is asked whether the caller still may (P-12).
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Asks once more whether the caller may watch.
pub type Right = Box<dyn Fn() -> Asked + Send + Sync>;
/// The answer, once it is there.
pub type Asked = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// How long a stream may last, and how often it is heard of.
pub struct Terms {
    /// The longest time without a message.
    pub interval: Duration,
    /// When the caller's token is over, where it was called with one.
    pub token_end: Option<Timestamp>,
    /// Whether the caller still may.
    pub right: Right,
}

pub(super) struct Watcher<S: Subject> {
    pub(super) feed: Feed<S>,
    pub(super) selection: Selection,
    pub(super) terms: Terms,
    pub(super) cursor: Cursor,
    /// Read and not told yet; whole transactions.
    pub(super) pending: VecDeque<Arc<Entry>>,
    /// The tail, once the log's end was reached.
    pub(super) live: Option<Receiver<Arc<Batch>>>,
    /// The log's end when it was last heard of.
    pub(super) head: i64,
    pub(super) told_at: Option<Instant>,
    /// The position of the last message: what is behind it and not wanted is skipped in silence.
    pub(super) told: i64,
    pub(super) look_at: Instant,
    pub(super) _seat: Seat,
}

impl<S: Subject> Watcher<S> {
    pub(super) fn new(feed: Feed<S>, selection: Selection, terms: Terms, cursor: Cursor, seat: Seat) -> Self {
        let (pending, look_at) = (VecDeque::new(), Instant::now() + LOOK_EVERY);
        Self {
            feed,
            selection,
            terms,
            cursor,
            pending,
            live: None,
            head: 0,
            told_at: None,
            told: 0,
            look_at,
            _seat: seat,
        }
    }

    /// The next message.
    async fn next(&mut self) -> Result<Update<S::Event>, Refusal> {
        loop {
            self.look().await?;
            if self.is_due() {
                return self.checkpoint().await;
            }
            if let Cursor::Snapshot(place, after) = self.cursor {
                let update = self.feed.snapshot_page(&self.selection, place, after, &mut self.cursor).await?;
                return Ok(self.told(update));
            }
            if !self.pending.is_empty() {
                let update =
                    self.feed.take(&self.selection, &mut self.cursor, &mut self.pending, self.head)?;
                if update.events.is_empty() {
                    continue;
                }
                return Ok(self.told(update));
            }
            match self.live.take() {
                None => {
                    self.catch_up().await?;
                    // Who waits to be up to date hears of it at once, also where the last changes were not wanted.
                    if self.live.is_some() && self.cursor.place().point.position > self.told {
                        return self.checkpoint().await;
                    }
                }
                Some(mut live) => self.wait(&mut live).await.map(|kept| self.live = kept.then_some(live))?,
            }
        }
    }

    fn told(&mut self, update: Update<S::Event>) -> Update<S::Event> {
        self.told_at = Some(Instant::now());
        self.told = self.cursor.place().point.position;
        update
    }

    /// The first message comes at once, so that headers flow through proxies; later ones at least so often.
    fn is_due(&self) -> bool {
        self.told_at.is_none_or(|told_at| told_at.elapsed() >= self.terms.interval)
    }

    async fn checkpoint(&mut self) -> Result<Update<S::Event>, Refusal> {
        self.head = self.head.max(self.feed.last_position().await?);
        let update = Update { checkpoint: true, ..self.feed.update(&self.cursor, Vec::new(), self.head) };
        Ok(self.told(update))
    }

    /// P-12: a right that was lost, or a token whose time is over, ends the stream.
    async fn look(&mut self) -> Result<(), Refusal> {
        let now = self.feed.now();
        if self.terms.token_end.is_some_and(|end| now >= end) {
            return Err(access::token::expired());
        }
        if Instant::now() < self.look_at {
            return Ok(());
        }
        (self.terms.right)().await?;
        self.look_at = Instant::now() + LOOK_EVERY;
        Ok(())
    }

    /// Reads on in the database; at its end it takes the tail first and looks once more, so that nothing lies between.
    async fn catch_up(&mut self) -> Result<(), Refusal> {
        self.pending = self.feed.read_on(&self.cursor).await?;
        if self.pending.is_empty() {
            let live = self.feed.subscribe();
            self.pending = self.feed.read_on(&self.cursor).await?;
            self.live = self.pending.is_empty().then_some(live);
        }
        self.head = self.head.max(self.feed.last_position().await?);
        Ok(())
    }

    /// Waits for the tail, a checkpoint or a look; says whether the tail is still followed.
    async fn wait(&mut self, live: &mut Receiver<Arc<Batch>>) -> Result<bool, Refusal> {
        let due = self.told_at.map_or_else(Instant::now, |told_at| told_at + self.terms.interval);
        let batch = tokio::select! {
            batch = live.recv() => batch,
            () = tokio::time::sleep_until(due.min(self.look_at)) => return Ok(true),
        };
        match batch {
            Ok(batch) => Ok(self.take_in(&batch)),
            Err(RecvError::Lagged(_)) => Err(Refusal::new(
                Code::ResourceExhausted,
                reason::WATCHER_TOO_SLOW,
                "changes come faster than they are read; go on from the last resume_token",
            )),
            Err(RecvError::Closed) => {
                Err(Refusal::new(Code::Unavailable, reason::SERVER_DRAINING, "the server is stopping"))
            }
        }
    }

    /// Whether the batch follows what was told; what was told already is left out.
    fn take_in(&mut self, batch: &Batch) -> bool {
        let position = self.cursor.place().point.position;
        self.head = self.head.max(batch.head);
        if batch.after > position {
            return false;
        }
        self.pending =
            batch.entries.iter().filter(|entry| entry.position > position).map(Arc::clone).collect();
        true
    }
}

type Step<S> = (Watcher<S>, Result<Update<<S as Subject>::Event>, Refusal>);

/// The messages of one watcher, until it is refused or dropped.
pub struct Updates<S: Subject> {
    step: Option<Pin<Box<dyn Future<Output = Step<S>> + Send>>>,
}

impl<S: Subject> Updates<S> {
    pub(super) fn of(watcher: Watcher<S>) -> Self {
        Self { step: Some(Box::pin(step(watcher))) }
    }
}

async fn step<S: Subject>(mut watcher: Watcher<S>) -> Step<S> {
    let update = watcher.next().await;
    (watcher, update)
}

impl<S: Subject> Stream for Updates<S> {
    type Item = Result<Update<S::Event>, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(running) = &mut self.step else { return Poll::Ready(None) };
        let (watcher, update) = ready!(running.as_mut().poll(context));
        // A refusal is the end.
        self.step = update.is_ok().then(|| Box::pin(step(watcher)) as _);
        Poll::Ready(Some(update))
    }
}
