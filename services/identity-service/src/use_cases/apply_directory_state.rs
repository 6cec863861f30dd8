//! What identity does when it hears of a directory's state, be it pushed or followed: the higher revision wins (K2).
//!
//! It asks nobody; who may tell is judged before.

use access::{Permission, Permit};
use database::{StoreError, Tx};

use crate::domain::directory::DirectoryState;
use crate::store;

/// Takes in the state that the permit's directory has in a revision, and has what is remembered of it forgotten (P-12).
pub(crate) async fn apply_directory_state<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    state: DirectoryState,
    revision: i64,
) -> Result<(), StoreError> {
    store::directories::apply_state(tx, permit, state, revision).await
}
