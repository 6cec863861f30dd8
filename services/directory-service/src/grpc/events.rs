//! What the feed of directories tells: one event for each change of a directory, none for what else the log holds.

use api::directory::v1::{
    DirectoryEvent, ListDirectoryChangesResponse, WatchDirectoriesResponse, list_directory_changes_request,
    watch_directories_request,
};
use api::types::v1::EventType;
use database::feed::Entry;
use database::{StoreError, Tx};
use kernel::{DirectoryId, Timestamp};
use prost_types::FieldMask;
use runtime::feed::{Start, Subject, Update};
use runtime::wire::timestamp;
use uuid::Uuid;

use super::present;
use crate::domain::directory::Directory;
use crate::store;

/// The directories of this context, as its feed tells of them.
#[derive(Debug)]
pub(crate) struct Directories;

impl Subject for Directories {
    const NAME: &'static str = "directories";
    type Event = DirectoryEvent;

    fn event(&self, event_type: EventType, entry: &Entry) -> Result<Option<DirectoryEvent>, StoreError> {
        let id = entry.resource.strip_prefix("directories/");
        // Below a directory lie its liens and domains.
        if id.is_none_or(|id| id.contains('/')) {
            return Ok(None);
        }
        let directory: Directory =
            serde_json::from_str(&entry.after).map_err(|_| StoreError::Corrupt("change of a directory"))?;
        let paths: Vec<_> =
            entry.changed_fields.split(',').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        Ok(Some(DirectoryEvent {
            changed_fields: (event_type == EventType::Updated).then_some(FieldMask { paths }),
            actor: entry.actor.clone(),
            request_id: entry.request_id.map(|id| id.to_string()).unwrap_or_default(),
            commit_time: Some(timestamp(Timestamp::from_micros(entry.event_time))),
            ..event_of(event_type, directory)
        }))
    }

    async fn snapshot(
        &self,
        tx: &mut Tx,
        only: Option<DirectoryId>,
        after: Option<Uuid>,
        most: i64,
    ) -> Result<Vec<(Uuid, DirectoryEvent)>, StoreError> {
        let directories = match only {
            Some(id) => store::directories::find(tx, id).await?.into_iter().collect(),
            None => store::directories::snapshot(tx, after, most).await?,
        };
        let behind = |directory: &Directory| Some(directory.id.uuid()) > after;
        let events = directories.into_iter().filter(behind).map(|directory| {
            let commit_time = Some(timestamp(directory.update_time));
            let id = directory.id.uuid();
            (id, DirectoryEvent { commit_time, ..event_of(EventType::Snapshot, directory) })
        });
        Ok(events.collect())
    }
}

fn event_of(event_type: EventType, directory: Directory) -> DirectoryEvent {
    DirectoryEvent {
        r#type: event_type.into(),
        revision: directory.revision,
        directory: Some(present::directory(directory)),
        ..DirectoryEvent::default()
    }
}

/// A message of the stream.
pub(super) fn watched(update: Update<DirectoryEvent>) -> WatchDirectoriesResponse {
    WatchDirectoriesResponse {
        events: update.events,
        resume_token: update.resume_token,
        checkpoint: update.checkpoint,
        snapshot_complete: update.snapshot_complete,
        backlog: update.backlog,
    }
}

/// A page.
pub(super) fn listed(update: Update<DirectoryEvent>) -> ListDirectoryChangesResponse {
    ListDirectoryChangesResponse {
        events: update.events,
        resume_token: update.resume_token,
        snapshot_complete: update.snapshot_complete,
        backlog: update.backlog,
    }
}

/// Where to begin; nothing where nothing is said, or a `false`.
macro_rules! start {
    ($function:ident, $package:ident) => {
        pub(super) fn $function(start: Option<$package::Start>) -> Option<Start> {
            match start? {
                $package::Start::ResumeToken(token) => Some(Start::Token(token)),
                $package::Start::Snapshot(true) => Some(Start::Snapshot),
                $package::Start::Earliest(true) => Some(Start::Earliest),
                $package::Start::Now(true) => Some(Start::Now),
                $package::Start::Snapshot(false)
                | $package::Start::Earliest(false)
                | $package::Start::Now(false) => None,
            }
        }
    };
}

start!(start_of_watch, watch_directories_request);
start!(start_of_list, list_directory_changes_request);
