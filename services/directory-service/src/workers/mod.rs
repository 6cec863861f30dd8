//! Background duties of this context: those that every context has, and the tail of its feed.

use database::Db;
use kernel::Clock;
use runtime::duties;
use runtime::feed::Feed;
use runtime::worker::Worker;

use crate::grpc::events::Directories;

/// All of them.
pub(crate) fn all(db: &Db, clock: &Clock, feed: &Feed<Directories>) -> Vec<Worker> {
    vec![
        duties::sequence_changes("directory: sequence changes", db, clock),
        duties::sweep_answers("directory: sweep answered requests", db, clock),
        duties::sweep_changes("directory: sweep changes", db, clock),
        feed.worker("directory: tail changes"),
    ]
}
