//! One tail a process: reads each change once, and hands it to all who watch (K14).
//!
//! Commits wake it, which is a hint; it polls all the same, for what other replicas have sequenced.

use std::sync::Arc;
use std::time::Duration;

use database::feed::{self, Entry};
use database::{Db, StoreError};
use tokio::sync::{Mutex, Notify, broadcast};

use crate::worker::Worker;

/// How often it looks while somebody watches (F-9).
const EVERY: Duration = Duration::from_millis(50);
/// Changes read at once.
pub(super) const PAGE: i64 = 256;
/// Batches that a watcher may be behind before it counts as too slow.
const MOST_BEHIND: usize = 256;

/// Changes that follow one another.
pub(super) struct Batch {
    /// The position before the first.
    pub(super) after: i64,
    /// The changes, whole transactions; none where the tail has just begun here.
    pub(super) entries: Vec<Arc<Entry>>,
    /// The last position of the log.
    pub(super) head: i64,
}

/// The tail of one log.
pub(super) struct Tail {
    db: Db,
    batches: broadcast::Sender<Arc<Batch>>,
    changed: Arc<Notify>,
    arrived: Notify,
    /// How far it has read; nothing while nobody watches.
    position: Mutex<Option<i64>>,
}

impl Tail {
    pub(super) fn new(db: Db) -> Self {
        let changed = Arc::new(Notify::new());
        let hint = Arc::clone(&changed);
        // Also told of what the sequencer commits, which is what there is to read.
        db.on_commit(Arc::new(move |_| hint.notify_one()));
        let (batches, _) = broadcast::channel(MOST_BEHIND);
        Self { db, batches, changed, arrived: Notify::new(), position: Mutex::new(None) }
    }

    /// Everything that is read from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Batch>> {
        let batches = self.batches.subscribe();
        self.arrived.notify_one();
        batches
    }

    /// Reads and hands out one batch; says whether there is more.
    pub(super) async fn run_once(&self) -> Result<bool, StoreError> {
        let mut position = self.position.lock().await;
        if self.batches.receiver_count() == 0 {
            *position = None;
            return Ok(false);
        }
        let head = feed::last_position(&self.db).await?;
        let Some(after) = *position else {
            // Who came before this finds out by the empty batch that there may be something in between.
            *position = Some(head);
            self.hand_out(Batch { after: head, entries: Vec::new(), head });
            return Ok(true);
        };
        if head <= after {
            return Ok(false);
        }
        let Some(entries) = feed::after(&self.db, after, PAGE).await? else {
            // Whoever watches is told by the log itself what became of its place.
            *position = None;
            return Ok(true);
        };
        let Some(last) = entries.last().map(|entry| entry.position) else { return Ok(false) };
        *position = Some(last);
        let entries = entries.into_iter().map(Arc::new).collect();
        self.hand_out(Batch { after, entries, head: head.max(last) });
        Ok(last < head)
    }

    fn hand_out(&self, batch: Batch) {
        // Nobody left is no failure.
        let _ = self.batches.send(Arc::new(batch));
    }

    /// Reads for as long as somebody watches, and waits until somebody does.
    async fn stay(&self) -> Result<bool, StoreError> {
        loop {
            while self.run_once().await? {}
            if self.batches.receiver_count() == 0 {
                self.arrived.notified().await;
                continue;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// The tail's duty.
pub(super) fn worker(name: &'static str, tail: &Arc<Tail>) -> Worker {
    let (driven, staying) = (Arc::clone(tail), Arc::clone(tail));
    Worker::new(name, EVERY, move || {
        let tail = Arc::clone(&driven);
        async move { Ok(tail.run_once().await?) }
    })
    .staying(move || {
        let tail = Arc::clone(&staying);
        async move { Ok(tail.stay().await?) }
    })
}
