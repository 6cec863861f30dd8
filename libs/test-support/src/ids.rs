//! Ids that are the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};

use kernel::{Ids, new_ids};

/// A source of "random" ids that depend on the seed and the count alone.
pub fn seeded(seed: u64) -> Ids {
    let count = AtomicU64::new(0);
    Ids::new(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        new_ids::derive(&["test", &seed.to_string(), &number.to_string()])
    })
}
