//! Removes what is left of a directory whose purge time is over, but its id and its initial label (D-36, K37).
//!
//! That nothing of it can be had back is judged by the clock, whether or not this has run (P-14).

use access::permission::DeleteDirectory;
use access::{Call, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{StoreError, bookkeeping};
use kernel::new_ids;

use super::UseCases;
use crate::store;

/// The method whose last consequence a purge is.
const METHOD: &str = "/tenure.directory.v1.DirectoryService/DeleteDirectory";

impl UseCases {
    /// Purges one directory that is due; says whether there was one.
    pub(crate) async fn purge_a_directory(&self) -> Result<bool, StoreError> {
        bookkeeping(|| self.purge_once()).await
    }

    async fn purge_once(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let Some(id) = store::directories::due_for_purge(&mut tx, now).await? else { return Ok(false) };
        let permit = Permit::<DeleteDirectory>::for_worker(id, "purge", now);
        let Some(locked) = store::directories::lock(&mut tx, &permit).await? else { return Ok(false) };
        // Taken back in the moment before it was locked: the next turn finds another.
        if !locked.directory().is_purged_at(now) {
            return Ok(true);
        }
        let left = locked.directory().purge(now);
        store::directories::update(&mut tx, &permit, &locked, &left).await?;
        store::domains::free_all(&mut tx, &permit, &locked).await?;
        store::liens::delete_all(&mut tx, &permit, &locked).await?;
        let call = Call {
            caller: None,
            method: METHOD,
            request_id: None,
            fingerprint: [0; 32],
            now,
            trace_id: None,
            new_id: new_ids::derive(&["purge", &id.to_string()]),
        };
        let resource = format!("directories/{id}");
        let change = Change { resource, kind: ChangeKind::Purged, after: &left, changed_fields: &[] };
        change_log::append(&mut tx, &permit, &call, &change).await?;
        tx.commit(&permit, &self.clock).await?;
        Ok(true)
    }
}
