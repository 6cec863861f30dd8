//! The one writer of a SQLite database: a task that owns the writing connection and commits units in batches (K10).
//!
//! A batch is whatever queued while the one before was at work, and what comes during its turns, within bounds; none waits
//! for others to come. What a unit writes is not known here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kernel::DirectoryId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot, watch};
use tokio::time::timeout;

use crate::attempt::Lane;
use crate::commits::Commits;
use crate::deferred::Deferred;
use crate::error::{is_conflict, is_refused_by_sqlite};
use crate::fail_point::{self, FailPoint};
use crate::queue::RoundRobin;
use crate::unit::{Batch, Release, Settled, Unit, Writing, may_end_a_transaction};

/// Bounds of SQLite's batches (K10).
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// How long a unit may stand still while others wait. A statement under way is no standing still, however long: a
    /// sweep ends, a unit without a next statement may not.
    pub turn_limit: Duration,
    /// The most units of one COMMIT.
    pub most_units: usize,
    /// How old a batch may be when it gives a further turn: the first unit waits that long for others, and for the last
    /// of them to end.
    pub age: Duration,
}

impl Batching {
    /// The defaults.
    pub const DEFAULT: Self =
        Self { turn_limit: Duration::from_millis(50), most_units: 256, age: Duration::from_millis(50) };
}

/// The most who wait; whoever comes then is refused at once, since the wait would be longer than anybody's patience.
const MOST_WAITING: usize = 10_000;

/// The number of no unit.
const NOBODY: u64 = 0;

type Waiter = oneshot::Sender<Result<Unit, sqlx::Error>>;

/// Where units queue; dropped, the writer finishes what is queued, and ends.
pub(crate) struct Writer(Arc<Front>);

#[derive(Default)]
struct Front {
    queue: Mutex<Queue>,
    arrived: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: RoundRobin<Lane, Waiter>,
    is_closed: bool,
}

/// The task; to be spawned by whoever opens the database.
pub(crate) struct Worker {
    front: Arc<Front>,
    writing: Arc<AsyncMutex<Writing>>,
    options: SqliteConnectOptions,
    batching: Batching,
    commits: Commits,
    last_number: u64,
}

/// How a unit's turn ended.
enum End {
    /// It asked for the COMMIT.
    Released(Release),
    /// It was dropped, or stood still for too long.
    Dropped,
    /// Nobody took the turn any more.
    Untouched,
}

/// What a batch has come to.
struct Progress {
    begun: Instant,
    ended: usize,
    released: usize,
    directories: Vec<DirectoryId>,
}

impl Writer {
    /// A writer on this connection, and the task that does its work.
    pub(crate) fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        batching: Batching,
        commits: Commits,
    ) -> (Self, Worker) {
        let front = Arc::<Front>::default();
        let writing = Writing { connection, turn: NOBODY, last_used: Instant::now() };
        let writing = Arc::new(AsyncMutex::new(writing));
        (Self(Arc::clone(&front)), Worker { front, writing, options, batching, commits, last_number: 0 })
    }

    /// Waits for a turn.
    pub(crate) async fn unit(&self, lane: Lane, patience: Duration) -> Result<Unit, sqlx::Error> {
        let (waiter, turn) = oneshot::channel();
        self.0.push(lane, waiter)?;
        match timeout(patience, turn).await {
            Ok(turn) => turn.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// Lets nobody queue any more; the task ends after those who do.
    pub(crate) fn close(&self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.arrived.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Front {
    fn push(&self, lane: Lane, waiter: Waiter) -> Result<(), sqlx::Error> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed {
            return Err(sqlx::Error::PoolClosed);
        }
        if queue.waiting.len() >= MOST_WAITING {
            return Err(sqlx::Error::PoolTimedOut);
        }
        queue.waiting.push(lane, waiter);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next who still waits.
    fn pop(&self) -> Option<Waiter> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| queue.waiting.pop()).find(|waiter| !waiter.is_closed())
    }

    /// Waits for the next; `None` when the last has been served and nobody may queue any more.
    async fn next(&self) -> Option<Waiter> {
        loop {
            if let Some(waiter) = self.pop() {
                return Some(waiter);
            }
            if self.is_closed() {
                return None;
            }
            self.arrived.notified().await;
        }
    }

    fn is_closed(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_closed
    }

    /// Whether somebody loses by waiting: not those whose callers are gone.
    fn is_waited_for(&self) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_closed || queue.waiting.any(|waiter| !waiter.is_closed())
    }
}

impl Worker {
    /// Serves until the writer is closed, then closes the connection.
    pub(crate) async fn run(mut self) {
        let mut left_over = None;
        while let Some(first) = self.next(left_over.take()).await {
            match self.begin().await {
                Ok(()) => left_over = self.batch(first).await,
                Err(error) => {
                    let _ = first.send(Err(error));
                }
            }
        }
        // Who still holds a unit holds the connection, too, which then ends with it.
        if let Ok(writing) = Arc::try_unwrap(self.writing) {
            // The last one to close folds the write-ahead log into the file; where that fails, the next start does.
            let _ = writing.into_inner().connection.close().await;
        }
    }

    async fn next(&self, left_over: Option<Waiter>) -> Option<Waiter> {
        if left_over.is_some() { left_over } else { self.front.next().await }
    }

    /// Begins the outer transaction, on a new connection where the present one is of no more use.
    async fn begin(&self) -> Result<(), sqlx::Error> {
        let begin = "BEGIN IMMEDIATE; SAVEPOINT unit";
        match self.control(begin).await {
            Err(error) if !is_conflict(&error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the writing connection is replaced"
                );
                let fresh = self.options.connect().await?;
                let stale = std::mem::replace(&mut self.writing.lock().await.connection, fresh);
                let _ = stale.close().await;
                self.control(begin).await
            }
            other => other,
        }
    }

    /// Gives turns until nobody waits or the batch is large or old enough; then commits, and answers everybody.
    ///
    /// Gives back who was to be next in a batch that failed.
    async fn batch(&mut self, first: Waiter) -> Option<Waiter> {
        let (settle, batch) = watch::channel(None);
        let batch = Batch(batch);
        let mut progress = Progress::new();
        let mut next = Some(first);
        let mut outcome = Ok(());
        while let Some(waiter) = next.take() {
            let end = self.turn(waiter, &batch, progress.is_waited_for()).await;
            next = if progress.is_full(&self.batching) { None } else { self.front.pop() };
            if next.is_none() && progress.released + usize::from(matches!(end, End::Released(_))) > 1 {
                fail_point::reached(FailPoint::InBatch);
            }
            outcome = self.end(end, &mut progress, next.is_some()).await;
            if outcome.is_err() {
                break;
            }
        }
        let settled = match outcome {
            Ok(()) => Settled::Committed,
            Err(error) => self.fail(error, next.is_none()).await,
        };
        if progress.released > 0 {
            self.commits.tell(&progress.directories());
        }
        settle.send_replace(Some(settled));
        next
    }

    /// Leads from a turn's end to another's turn, or to the end of the batch.
    async fn end(&self, end: End, progress: &mut Progress, another: bool) -> Result<(), sqlx::Error> {
        progress.ended += 1;
        let untouched = matches!(end, End::Untouched);
        if let End::Released(Release { directories, deferred, failed }) = end {
            let release = if another { "RELEASE unit; SAVEPOINT unit" } else { "RELEASE unit; COMMIT" };
            let outcome = if deferred.is_empty() {
                self.control(release).await
            } else {
                let mut writing = self.writing.lock().await;
                writing.turn = NOBODY;
                deferred.run_before(release, &mut writing.connection).await
            };
            match outcome {
                // Where there is no way back to before the unit, it was the COMMIT that failed.
                Err(error) if is_of_unit(&error) && self.control("ROLLBACK TO unit").await.is_ok() => {
                    let _ = failed.send(error);
                }
                outcome => {
                    progress.released += 1;
                    progress.directories.extend(directories);
                    return outcome;
                }
            }
        }
        match another {
            true if untouched => Ok(()),
            true => self.control("ROLLBACK TO unit").await,
            false if progress.released == 0 => self.control("ROLLBACK").await,
            false => self.control("ROLLBACK TO unit; RELEASE unit; COMMIT").await,
        }
    }

    /// Gives one turn and waits for its end.
    async fn turn(&mut self, waiter: Waiter, batch: &Batch, is_waited_for: bool) -> End {
        self.last_number += 1;
        let mut writing = self.writing.lock().await;
        writing.turn = self.last_number;
        writing.last_used = Instant::now();
        drop(writing);
        let (committed, mut commit) = oneshot::channel();
        let unit = Unit {
            writing: Arc::clone(&self.writing),
            number: self.last_number,
            is_broken: false,
            deferred: Deferred::default(),
            committed,
            batch: batch.clone(),
        };
        if waiter.send(Ok(unit)).is_err() {
            return End::Untouched;
        }
        loop {
            // A scheduler that is slow takes no turn away where nobody loses by it.
            let is_waited_for = is_waited_for || self.front.is_waited_for();
            match timeout(self.batching.turn_limit, &mut commit).await {
                Ok(Ok(release)) => return End::Released(release),
                Ok(Err(_)) => return End::Dropped,
                Err(_) if is_waited_for && self.ends_stalled_turn().await => {
                    commit.close();
                    // What was asked for until now is done.
                    return commit.try_recv().map_or(End::Dropped, End::Released);
                }
                Err(_) => {}
            }
        }
    }

    /// Ends the turn of a unit that has stood still for too long; waits for a statement under way.
    async fn ends_stalled_turn(&self) -> bool {
        let mut writing = self.writing.lock().await;
        let is_stalled = writing.last_used.elapsed() >= self.batching.turn_limit;
        if is_stalled {
            writing.turn = NOBODY;
        }
        is_stalled
    }

    /// Clears up after a batch that failed, and says what that means for its units.
    async fn fail(&self, error: sqlx::Error, at_commit: bool) -> Settled {
        // Fails where the database has ended the transaction by itself.
        let _ = self.control("ROLLBACK").await;
        let error = Arc::new(error);
        // Full, or not to be written: it has not happened. After an I/O error it may be in the log all the same.
        if at_commit && !is_refused_by_sqlite(&error) {
            Settled::Unknown(error)
        } else {
            Settled::Failed(error)
        }
    }

    /// Runs statements between turns, in one round trip to the driver's thread; stops at the first that fails.
    async fn control(&self, statements: &'static str) -> Result<(), sqlx::Error> {
        let mut writing = self.writing.lock().await;
        writing.turn = NOBODY;
        sqlx::query(statements).execute(&mut writing.connection).await.map(|_| ())
    }
}

impl Progress {
    fn new() -> Self {
        Self { begun: Instant::now(), ended: 0, released: 0, directories: Vec::new() }
    }

    fn is_full(&self, batching: &Batching) -> bool {
        self.ended + 1 >= batching.most_units || self.begun.elapsed() >= batching.age
    }

    /// Whether somebody waits for the outer COMMIT.
    fn is_waited_for(&self) -> bool {
        self.ended > 0
    }

    fn directories(&mut self) -> Vec<DirectoryId> {
        let mut directories = std::mem::take(&mut self.directories);
        directories.sort_unstable();
        directories.dedup();
        directories
    }
}

/// Whether a put-off statement failed by itself, as of a broken constraint: the unit's loss alone.
fn is_of_unit(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() && !may_end_a_transaction(error)
}
