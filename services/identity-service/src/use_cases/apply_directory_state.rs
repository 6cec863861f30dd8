//! `ApplyDirectoryState`: what can be done in a directory, as the directory context tells it (K2). Called by a peer, so
//! it asks none (K1).
//!
//! What the directory itself is like is not kept here.

use access::permission::ApplyDirectoryState as MayApply;
use access::{Call, Caller, Permit, require_peer};
use database::{Tx, retry};
use kernel::DirectoryId;

use super::UseCases;
use crate::domain::directory::Told;
use crate::domain::refused::Refused;
use crate::store;

/// What is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplyDirectoryState {
    pub(crate) directory: DirectoryId,
    pub(crate) told: Told,
}

impl UseCases {
    /// Notes the state of a directory, and gives what is noted then.
    pub(crate) async fn apply_directory_state(
        &self,
        call: &Call,
        caller: &Caller,
        command: ApplyDirectoryState,
    ) -> Result<Told, Refused> {
        let permit = require_peer::<MayApply>(caller, command.directory, call.now)?;
        retry(call, || async {
            let mut tx = self.db.write().await?;
            let noted = apply(&mut tx, &permit, command.told).await?;
            tx.commit(&permit, &self.clock).await?;
            Ok(noted)
        })
        .await
    }
}

/// The effect, whoever tells of it: the higher revision wins, and what is remembered of the directory is forgotten with
/// the commit. A directory that is not known has nobody in it who could be let in: there is nothing to note.
pub(crate) async fn apply(tx: &mut Tx, permit: &Permit<MayApply>, told: Told) -> Result<Told, Refused> {
    let Some(known) = store::directories::lock_state(tx, permit).await? else { return Ok(told) };
    if told.revision <= known.revision {
        return Ok(known);
    }
    store::directories::apply_state(tx, permit, told).await?;
    Ok(told)
}
