//! One call of a writing method: who, what, which intent, when; what it writes is the use case's matter.

use kernel::{DirectoryId, Ids, RequestId, Timestamp, new_ids};
use uuid::Uuid;

use crate::caller::Caller;

/// What stays the same however often the local transaction is repeated (S10).
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls; `None` only where no token is needed (`SignUp`).
    pub caller: Option<Caller>,
    /// The full method, `/package.Service/Method`.
    pub method: &'static str,
    /// The client's name for the intent.
    pub request_id: Option<RequestId>,
    /// A keyed MAC of the fields that carry meaning.
    pub fingerprint: [u8; 32],
    /// When the call arrived.
    pub now: Timestamp,
    /// The trace that the call belongs to, where it is sampled.
    pub trace_id: Option<String>,
    /// The new thing's id: derived from caller, method and request id, or random without one (K7).
    pub new_id: Uuid,
}

impl Call {
    /// The actor as records name it; an anonymous caller is named by the method.
    pub fn actor(&self) -> String {
        self.caller.as_ref().map_or_else(|| "anonymous".to_owned(), Caller::actor)
    }

    /// The directory that leads the key of the idempotency record: the caller's own, nil for callers without one.
    pub fn record_directory(&self) -> Uuid {
        self.caller.as_ref().and_then(Caller::directory).map_or(Uuid::nil(), DirectoryId::uuid)
    }

    /// A further id of the same call (K39).
    pub fn further_id(&self, noun: &str) -> Uuid {
        new_ids::derive(&[&self.new_id.to_string(), noun])
    }

    /// Makes the id that [`Call::new_id`] carries.
    pub fn derive_id(
        caller: Option<&Caller>,
        method: &str,
        request_id: Option<RequestId>,
        ids: &Ids,
    ) -> Uuid {
        let actor = caller.map_or_else(|| "anonymous".to_owned(), Caller::actor);
        ids.of(&actor, method, request_id)
    }
}
