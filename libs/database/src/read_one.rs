//! One reading statement by itself: no BEGIN and no COMMIT, so one round trip in place of three.
//!
//! What takes more than one statement reads in a transaction, for one snapshot.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite};

use crate::error::connection_is_gone;

/// A pooled connection, for [`read_one!`](crate::read_one) alone.
#[doc(hidden)]
pub enum Reader {
    /// SQLite's, which can only read.
    Sqlite(PoolConnection<Sqlite>),
    /// PostgreSQL's.
    Postgres(PoolConnection<Postgres>),
}

/// How often a statement may still be repeated on another connection.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reads(pub(crate) u32);

impl Reads {
    /// Whether the statement met a pooled connection that had broken meanwhile: what only reads is safe to repeat (K7).
    pub fn again<T>(&mut self, read: &Result<T, sqlx::Error>) -> bool {
        let gone = read.as_ref().is_err_and(connection_is_gone) && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        gone
    }
}

/// Runs one reading query on whichever database it is, in no transaction; the same text serves both.
#[macro_export]
macro_rules! read_one {
    ($db:expr, |$connection:ident| $query:expr) => {{
        let mut reads = $db.reads();
        loop {
            let read = match $db.reader().await {
                Ok($crate::Reader::Sqlite(mut connection)) => {
                    let $connection = &mut *connection;
                    $query
                }
                Ok($crate::Reader::Postgres(mut connection)) => {
                    let $connection = &mut *connection;
                    $query
                }
                Err(error) => Err(error),
            };
            if !reads.again(&read) {
                break read;
            }
        }
    }};
}
