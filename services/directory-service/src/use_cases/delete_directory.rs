//! Deletes a directory, or tells what stands in the way (D-30, Q-10); whoever holds it clears that.

use access::permission::DeleteDirectory as MayDelete;
use access::{Call, Consistency, Permit, require};
use kernel::{DirectoryId, Etag};

use super::move_directory::MoveDirectory;
use super::{UseCases, caller_of};
use crate::domain::directory::Directory;
use crate::domain::lien::Lien;
use crate::domain::life_cycle::{SetOut, Turn};
use crate::domain::refused::Refused;
use crate::store;

/// The most liens that a preflight lists: an answer has to fit into a message.
const MOST_LIENS: i64 = 200;

/// `DeleteDirectory` as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeleteDirectory {
    /// Which.
    pub directory: DirectoryId,
    /// As it was read.
    pub etag: Option<Etag>,
    /// Whether it is fine if there is none.
    pub allow_missing: bool,
}

/// What a deletion would meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preflight {
    /// The directory, with the times that it would be given.
    pub directory: Directory,
    /// What stands in the way, as far as it is listed.
    pub liens: Vec<Lien>,
    /// How many liens stand in the way.
    pub count: i64,
}

impl UseCases {
    /// `DeleteDirectory`; nothing where there is none and that is fine.
    pub(crate) async fn delete_directory(
        &self,
        call: &Call,
        command: &DeleteDirectory,
    ) -> Result<Option<Directory>, Refused> {
        let asked =
            MoveDirectory { directory: command.directory, etag: command.etag.clone(), turn: Turn::Delete };
        match self.move_directory(call, &asked).await {
            Err(Refused::DirectoryNotFound(_)) if command.allow_missing => Ok(None),
            deleted => deleted.map(Some),
        }
    }

    /// `DeleteDirectory` with `validate_only`: every blocker at once, so that nobody clears one to meet the next.
    pub(crate) async fn would_delete_directory(
        &self,
        call: &Call,
        command: &DeleteDirectory,
    ) -> Result<Option<Preflight>, Refused> {
        self.require_deleting(call, command.directory).await?;
        let id = command.directory;
        let mut tx = self.db.read().await?;
        let Some(directory) = store::directories::find(&mut tx, id).await? else {
            return missing(command);
        };
        let begun = store::moves::find(&mut tx, id).await?;
        match directory.set_out(&Turn::Delete, begun.map(|begun| begun.goal), call.now) {
            Err(Refused::DirectoryNotFound(_)) => return missing(command),
            Err(refused) => return Err(refused),
            Ok(SetOut::Begun(..) | SetOut::UnderWay | SetOut::Arrived) => {}
        }
        Etag::guard(command.etag.as_ref(), directory.revision, format!("directories/{id}"))?;
        let (liens, count) = store::liens::keeping(&mut tx, id, MOST_LIENS).await?;
        let purge_time = Some(call.now.plus(self.deletion_retention));
        let directory = Directory { delete_time: Some(call.now), purge_time, ..directory };
        Ok(Some(Preflight { directory, liens, count }))
    }

    /// The right to delete (D-30).
    pub(super) async fn require_deleting(
        &self,
        call: &Call,
        directory: DirectoryId,
    ) -> Result<Permit<MayDelete>, Refused> {
        let (caller, now) = (caller_of(call)?, self.clock.now());
        Ok(require(&self.judge, caller, directory, Consistency::Fresh, now).await?)
    }
}

fn missing(command: &DeleteDirectory) -> Result<Option<Preflight>, Refused> {
    if command.allow_missing { Ok(None) } else { Err(Refused::DirectoryNotFound(command.directory)) }
}
