//! Suspends, resumes, deletes and takes back, each in three steps: the directory sets out, identity is told, the
//! directory arrives (K2, K38). What was left between them, a worker finishes.
//!
//! Whoever finishes does so by what the first step has written down, in the name of the call that was allowed it; so it is
//! all the same who that is, and how often a step is taken.

use access::permission::{Permission, SuspendDirectory, UndeleteDirectory};
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::fail_point::{self, FailPoint};
use database::{StoreError, Tx, bookkeeping, idempotency, read_one, retry};
use kernel::{Code, DirectoryId, Etag, Refusal, reason};

use super::{UseCases, caller_of, require_provider};
use crate::domain::directory::Directory;
use crate::domain::life_cycle::{Goal, SetOut, Turn};
use crate::domain::refused::Refused;
use crate::store;
use crate::store::directories::Locked;
use crate::store::moves::Move;

/// The most liens that a refusal names.
const MOST_LIENS_TOLD: i64 = 20;

/// What is asked of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveDirectory {
    /// Which.
    pub directory: DirectoryId,
    /// As it was read.
    pub etag: Option<Etag>,
    /// Where to.
    pub turn: Turn,
}

/// Where a directory is after its first step.
enum Way {
    /// It is as asked for.
    Arrived(Goal),
    /// It is between two states.
    Open(Box<Move>),
}

impl UseCases {
    /// `SuspendDirectory`, `ResumeDirectory`, `UndeleteDirectory`, and what `DeleteDirectory` does: all three steps.
    pub(crate) async fn move_directory(
        &self,
        call: &Call,
        command: &MoveDirectory,
    ) -> Result<Directory, Refused> {
        idempotency::once(&self.db, call, || async {
            let way = match self.begun_by(call, command.directory).await? {
                Some(begun) => Way::Open(Box::new(begun)),
                None => self.begin(call, command).await?,
            };
            fail_point::reached(FailPoint::AfterSetOut);
            if let Way::Open(begun) = &way {
                self.tell(begun).await?;
            }
            retry(call, || self.arrive(call, command.directory, &way)).await
        })
        .await
    }

    /// The first step, for whoever may take it.
    async fn begin(&self, call: &Call, command: &MoveDirectory) -> Result<Way, Refused> {
        let directory = command.directory;
        match &command.turn {
            Turn::Suspend(_) | Turn::Resume(_) => {
                let permit = require_provider::<SuspendDirectory>(call, directory)?;
                retry(call, || self.set_out(call, command, &permit)).await
            }
            Turn::Delete => {
                let permit = self.require_deleting(call, directory).await?;
                retry(call, || self.set_out(call, command, &permit)).await
            }
            Turn::Undelete => {
                let permit = require_provider::<UndeleteDirectory>(call, directory)?;
                retry(call, || self.set_out(call, command, &permit)).await
            }
        }
    }

    /// What a worker does: takes up a move that was left alone, and finishes it; says whether there was one.
    pub(crate) async fn finish_a_move(&self) -> Result<bool, Refused> {
        let now = self.clock.now();
        let taken_up = bookkeeping(|| async {
            let mut tx = self.db.write().await?;
            let taken_up = store::moves::take_up(&mut tx, now).await?;
            tx.commit_bookkeeping().await?;
            Ok::<_, StoreError>(taken_up)
        })
        .await?;
        let Some(begun) = taken_up else { return Ok(false) };
        self.tell(&begun).await?;
        let (call, directory) = (begun.call.clone(), begun.directory);
        let way = Way::Open(Box::new(begun));
        match retry(&call, || self.arrive(&call, directory, &way)).await {
            Ok(_) => Ok(true),
            // Somebody else was faster, or has turned it round: nothing is left to do here.
            Err(Refused::Common(refusal)) if refusal.reason() == reason::WRITE_CONFLICT => Ok(true),
            Err(refused) => Err(refused),
        }
    }

    /// The move that this very call began before its answer got lost: it was allowed then, and goes on now, though its
    /// caller may be nobody by now.
    async fn begun_by(&self, call: &Call, directory: DirectoryId) -> Result<Option<Move>, Refused> {
        if call.request_id.is_none() {
            return Ok(None);
        }
        let begun = read_one!(self.db, |tx| store::moves::find(tx, directory).await)?;
        Ok(begun.filter(|begun| begun.is_of(call)))
    }

    /// The first step. The record of the request comes with the last one (K38): what is written here is taken back by
    /// nobody, and finished by whoever comes by.
    async fn set_out<P: Permission>(
        &self,
        call: &Call,
        command: &MoveDirectory,
        permit: &Permit<P>,
    ) -> Result<Way, Refused> {
        let mut tx = self.db.write().await?;
        let locked = store::directories::lock(&mut tx, permit)
            .await?
            .ok_or_else(|| Refused::DirectoryNotFound(permit.directory()))?;
        let before = locked.directory();
        let begun = store::moves::find(&mut tx, before.id).await?;
        let goal = begun.as_ref().map(|begun| begun.goal);
        let set_out = before.set_out(&command.turn, goal, call.now)?;
        let (directory, goal) = match (set_out, begun) {
            (SetOut::Begun(directory, goal), _) => (directory, goal),
            // The etag guards what is begun; this is what somebody has begun before.
            (SetOut::UnderWay, Some(begun)) => return Ok(Way::Open(Box::new(begun))),
            (SetOut::Arrived | SetOut::UnderWay, _) => {
                let state = before.state;
                let goal = Goal::ALL.into_iter().find(|goal| goal.state() == state);
                return goal.map(Way::Arrived).ok_or(Refused::Store(StoreError::Corrupt("goal")));
            }
        };
        Etag::guard(command.etag.as_ref(), before.revision, format!("directories/{}", before.id))?;
        if goal == Goal::Deleted {
            require_free(&mut tx, &locked).await?;
        }
        store::directories::update(&mut tx, permit, &locked, &directory).await?;
        // Another transaction than this one, in the change log too (K39).
        let second = Call { new_id: call.further_id("arrival"), ..call.clone() };
        let begun = Move { directory: directory.id, revision: directory.revision, goal, call: second };
        store::moves::put(&mut tx, permit, &locked, &begun).await?;
        let change = Change {
            resource: format!("directories/{}", directory.id),
            kind: ChangeKind::Updated,
            after: &directory,
            changed_fields: &["state"],
        };
        change_log::append(&mut tx, permit, call, &change).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(Way::Open(Box::new(begun)))
    }

    /// The second step: from its answer on, identity lets nobody in, or lets everybody in again (K2).
    async fn tell(&self, begun: &Move) -> Result<(), Refused> {
        self.identity.apply_directory_state(begun.directory, begun.goal, begun.revision).await?;
        fail_point::reached(FailPoint::AfterApplyDirectoryState);
        Ok(())
    }

    /// The last step, with the records of this call and of the one that began the move.
    ///
    /// The directory's lock comes first, so that the records are always claimed in the same order.
    async fn arrive(&self, call: &Call, directory: DirectoryId, way: &Way) -> Result<Directory, Refused> {
        let allowed = match way {
            Way::Arrived(_) => caller_of(call)?,
            Way::Open(begun) => caller_of(&begun.call)?,
        };
        let permit = Permit::<SuspendDirectory>::for_completion(directory, allowed, call.now);
        let mut tx = self.db.write().await?;
        let locked =
            store::directories::lock(&mut tx, &permit).await?.ok_or(Refused::DirectoryNotFound(directory))?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        let directory = match way {
            Way::Arrived(goal) => as_asked(&locked, *goal)?,
            Way::Open(begun) => match store::moves::find(&mut tx, directory).await? {
                Some(open) if open.revision == begun.revision => {
                    let arrived = self.arrive_now(&mut tx, &permit, &locked, begun).await?;
                    record_for_beginner(&mut tx, call, begun, &arrived).await?;
                    arrived
                }
                _ => as_asked(&locked, begun.goal)?,
            },
        };
        idempotency::complete(&mut tx, call, &directory).await?;
        tx.commit(&permit, &self.clock).await?;
        Ok(directory)
    }

    async fn arrive_now(
        &self,
        tx: &mut Tx,
        permit: &Permit<SuspendDirectory>,
        locked: &Locked,
        begun: &Move,
    ) -> Result<Directory, Refused> {
        let now = self.clock.now();
        let directory = locked.directory().arrive(begun.goal, self.deletion_retention, now);
        store::directories::update(tx, permit, locked, &directory).await?;
        store::moves::delete(tx, permit, locked).await?;
        let (kind, changed_fields): (_, &[&str]) = match begun.goal {
            Goal::Deleted => (ChangeKind::Deleted, &[]),
            Goal::Active | Goal::Suspended => (ChangeKind::Updated, &["state"]),
        };
        let resource = format!("directories/{}", directory.id);
        let change = Change { resource, kind, after: &directory, changed_fields };
        let call = Call { now, ..begun.call.clone() };
        change_log::append(tx, permit, &call, &change).await?;
        Ok(directory)
    }
}

/// K11: what holds the directory is looked at under the lock that is taken to place it.
async fn require_free(tx: &mut Tx, locked: &Locked) -> Result<(), Refused> {
    let directory = locked.directory().id;
    let (liens, count) = store::liens::keeping(tx, directory, MOST_LIENS_TOLD).await?;
    if count == 0 { Ok(()) } else { Err(Refused::LienPresent { directory, liens, count }) }
}

/// The directory, where somebody else has brought it where it was to go; it may have gone on since.
fn as_asked(locked: &Locked, goal: Goal) -> Result<Directory, Refused> {
    let directory = locked.directory();
    if directory.state == goal.state() {
        return Ok(directory.clone());
    }
    let text = "somebody else has changed the directory's state at once; read it and decide again";
    let conflict = Refusal::new(Code::Aborted, reason::WRITE_CONFLICT, text);
    Err(conflict.about(format!("directories/{}", directory.id)).into())
}

/// The answer of whoever began the move, where it is another who finishes it: a retry of theirs finds it (P-9).
async fn record_for_beginner(
    tx: &mut Tx,
    call: &Call,
    begun: &Move,
    directory: &Directory,
) -> Result<(), Refused> {
    if begun.is_of(call) {
        return Ok(());
    }
    match idempotency::claim::<Directory>(tx, &begun.call).await {
        Ok(None) => Ok(idempotency::complete(tx, &begun.call, directory).await?),
        // Answered already; or the same id with other content, which is told so when it is used again.
        Ok(Some(_)) | Err(StoreError::RequestIdReused) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
