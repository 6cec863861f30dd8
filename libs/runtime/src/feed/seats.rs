//! How many watch at once: each caller has so many seats, and a stream that ends gives its own back.
//!
//! Counted in this process alone; who may watch is asked elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::Caller;
use kernel::{Code, Refusal, reason};

/// The most streams of one directory, of one service, or of all operators.
const MOST: usize = 100;

/// The seats that are taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats(Arc<Mutex<HashMap<String, usize>>>);

/// A seat that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    whose: String,
}

impl Seats {
    /// Takes a seat, or refuses.
    pub(super) fn take(&self, caller: &Caller) -> Result<Seat, Refusal> {
        let whose = match caller {
            Caller::Principal(signed_in) => signed_in.principal.directory().to_string(),
            Caller::Service(_) => caller.actor(),
            // Each token has another name.
            Caller::Operator(_) => "operators".to_owned(),
        };
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose.clone()).or_default();
        if *count >= MOST {
            let message = "too many streams of changes are open; close some, or ask in pages";
            return Err(
                Refusal::new(Code::ResourceExhausted, reason::WATCHER_QUOTA, message).with("limit", MOST)
            );
        }
        *count += 1;
        Ok(Seat { seats: self.clone(), whose })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use access::Service;

    use super::*;

    #[test]
    fn one_caller_has_so_many_seats_and_gives_them_back() {
        let seats = Seats::default();
        let identity = Caller::Service(Service::Identity);
        let mut taken: Vec<_> = (0..MOST).map(|_| seats.take(&identity).unwrap()).collect();
        assert_eq!(seats.take(&identity).unwrap_err().reason(), reason::WATCHER_QUOTA);
        assert!(seats.take(&Caller::Service(Service::Subscription)).is_ok());
        taken.pop();
        assert!(seats.take(&identity).is_ok());
        drop(taken);
        assert!(seats.0.lock().unwrap().is_empty());
    }
}
