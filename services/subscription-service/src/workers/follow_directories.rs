//! Follows the directories of directory-service, so that no decision rests on an answer that was overtaken (K12, K14).
//!
//! It decides nothing: what a directory is, is asked at each decision.

use access::Permit;
use access::permission::ListDirectories;
use database::{StoreError, Tx};
use kernel::{DirectoryId, Timestamp};
use runtime::follower::{self, DirectoryEffects, DirectoryNews};
use runtime::worker::Worker;
use uuid::Uuid;

use crate::store::directory_states;
use crate::use_cases::UseCases;

/// The duty; `holder` is this process among the replicas.
pub(super) fn worker(use_cases: &UseCases, holder: Uuid) -> Worker {
    follower::follow_directories(
        "subscription: follow directories",
        use_cases.directory.peer(),
        use_cases.db.clone(),
        use_cases.clock.clone(),
        holder,
        KnownDirectories,
    )
}

/// What news of directories change here.
#[derive(Debug)]
struct KnownDirectories;

impl DirectoryEffects for KnownDirectories {
    async fn apply(
        &self,
        tx: &mut Tx,
        news: &DirectoryNews,
        overrules: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (permit, state) = (permit(news.id, now), news.state.as_str_name());
        if overrules {
            return directory_states::overrule(tx, &permit, state, news.revision).await;
        }
        directory_states::apply(tx, &permit, state, news.revision).await
    }

    async fn known(
        &self,
        tx: &mut Tx,
        after: Option<Uuid>,
        through: Option<Uuid>,
        most: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        directory_states::known(tx, after, through, most).await
    }

    async fn remove(&self, tx: &mut Tx, directory: DirectoryId, now: Timestamp) -> Result<(), StoreError> {
        directory_states::remove(tx, &permit(directory, now)).await
    }
}

fn permit(directory: DirectoryId, now: Timestamp) -> Permit<ListDirectories> {
    Permit::for_worker(directory, "follow directories", now)
}
