//! Follows the directories of the directory context, for the state that every sign-in and check reads (K2, K14).
//!
//! States are pushed when they change; this repairs what was missed.

use access::Permit;
use access::permission::ListDirectories;
use api::directory::v1::directory::State;
use database::{StoreError, Tx};
use kernel::{DirectoryId, Timestamp};
use runtime::follower::{DirectoryEffects, DirectoryNews};
use uuid::Uuid;

use crate::domain::directory::DirectoryState;
use crate::store::directories;
use crate::use_cases::apply_directory_state::apply_directory_state;

/// The revision of a directory that the source does not have: whatever it says of it later is newer.
const GONE: i64 = 0;

/// What news of directories change here.
#[derive(Debug)]
pub(super) struct KnownDirectories;

impl DirectoryEffects for KnownDirectories {
    async fn apply(
        &self,
        tx: &mut Tx,
        news: &DirectoryNews,
        overrules: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (permit, state) = (permit(news.id, now), known(news.state));
        if overrules {
            return directories::overrule_state(tx, &permit, state, news.revision).await;
        }
        apply_directory_state(tx, &permit, state, news.revision).await
    }

    async fn known(
        &self,
        tx: &mut Tx,
        after: Option<Uuid>,
        through: Option<Uuid>,
        most: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        directories::known(tx, after, through, most).await
    }

    /// The row stays, for the people who hang on it: nobody signs in, and no right is left.
    async fn remove(&self, tx: &mut Tx, directory: DirectoryId, now: Timestamp) -> Result<(), StoreError> {
        directories::overrule_state(tx, &permit(directory, now), DirectoryState::Deleted, GONE).await
    }
}

fn permit(directory: DirectoryId, now: Timestamp) -> Permit<ListDirectories> {
    Permit::for_worker(directory, "follow directories", now)
}

/// As far as sign-ins and rights are concerned: on its way is as good as there (K2).
const fn known(state: State) -> DirectoryState {
    match state {
        State::Provisioning | State::Unspecified => DirectoryState::Provisioning,
        State::Active => DirectoryState::Active,
        State::Suspending | State::Suspended => DirectoryState::Suspended,
        State::Deleting | State::Deleted => DirectoryState::Deleted,
    }
}
