//! Where new ids come from: derived from the request that makes the thing (K7), random only without a request id.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::parse::RequestId;

/// The namespace of all derived ids: `UUIDv5` of the DNS name `tenure.internal`.
const NAMESPACE: Uuid = Uuid::from_u128(0x75e0_9d92_8040_576b_a3d9_c654_1211_a0b1);

/// Derives an id from the parts that name it; equal parts give equal ids.
pub fn derive(parts: &[&str]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(part.as_bytes());
        name.push(0);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// A source of new ids: the system's randomness in a process, a seeded sequence in tests.
#[derive(Clone)]
pub struct Ids(Arc<dyn Fn() -> Uuid + Send + Sync>);

impl Ids {
    /// A source whose random ids come from `random`.
    pub fn new(random: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(random))
    }

    /// The id of what one request makes: a retry of the request makes the same one.
    pub fn of(&self, caller: &str, method: &str, request_id: Option<RequestId>) -> Uuid {
        match request_id {
            Some(request_id) => derive(&[caller, method, &request_id.to_string()]),
            None => self.random(),
        }
    }

    /// An id that nothing derives.
    pub fn random(&self) -> Uuid {
        (self.0)()
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive(&["ab", "c"]), derive(&["a", "bc"]));
    }
}
