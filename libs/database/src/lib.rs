//! One SQL text, two databases: transactions, retry, idempotency, the change log and its feed, holds.
//!
//! Knows no business rule; which rows a use case writes is told in its service's `store/`.

mod attempt;
pub mod change_log;
mod commits;
mod connect;
mod deferred;
mod error;
pub mod fail_point;
pub mod feed;
pub mod follower;
pub mod hold;
pub mod idempotency;
mod migrate;
mod queue;
mod read_one;
pub mod refusals;
mod retry;
pub mod sequencer;
mod sqlite;
mod sweep;
mod tx;
mod unit;
mod url;
pub mod verify;
mod writer;

/// For [`defer!`], wherever it is used.
#[doc(hidden)]
pub use ::sqlx;
pub use commits::CommitObserver;
pub use connect::{Db, OpenError, Settings};
#[doc(hidden)]
pub use deferred::Deferred;
pub use error::StoreError;
pub use migrate::Migrations;
#[doc(hidden)]
pub use read_one::Reads;
pub use retry::{Failure, bookkeeping, retry, retry_in_lane_of, start_over};
pub use sweep::Sweep;
pub use tx::Tx;
#[doc(hidden)]
pub use tx::{PostgresTx, TxEngine};
#[doc(hidden)]
pub use unit::{Held, SqliteTx, Unit};
pub use url::{DatabaseUrl, UrlInvalid};
pub use writer::Batching;
