//! One reading statement by itself: no BEGIN and no COMMIT, so one round trip in place of three.
//!
//! What takes more than one statement reads in a transaction, for one snapshot.

use crate::error::{StoreError, connection_is_gone};

/// How often a statement may still be repeated on another connection.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reads(pub(crate) u32);

impl Reads {
    /// Whether the statement met a pooled connection that had broken meanwhile: what only reads is safe to repeat (K7).
    pub fn again<T>(&mut self, read: &Result<T, StoreError>) -> bool {
        let gone =
            matches!(read, Err(StoreError::Unavailable(error)) if connection_is_gone(error)) && self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        gone
    }
}

/// Runs what reads with one statement, in no transaction: `read_one!(db, |tx| store::users::find(tx, ..).await)`.
#[macro_export]
macro_rules! read_one {
    ($db:expr, |$tx:ident| $read:expr) => {{
        let mut reads = $db.reads();
        loop {
            let read = match $db.single().await {
                Ok(mut single) => {
                    let $tx = &mut single;
                    $read
                }
                Err(error) => Err(error),
            };
            if !reads.again(&read) {
                break read;
            }
        }
    }};
}
