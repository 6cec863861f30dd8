//! The saga of a sign-up (K18): its states, and what a retry with its `request_id` meets.
//!
//! STARTED -> CREATED -> DONE; STARTED -> REFUSED (a retry is a new attempt); STARTED -> ABANDONING -> ABANDONED (or REFUSED).
//! A directory that turns up after the end, because a twin was still making it, leads back to ABANDONING.

use access::{Caller, Service};
use kernel::{DirectoryId, Timestamp, new_ids};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::user::User;

stored! {
    /// How far a sign-up has come.
    SignUpState {
        /// The directory is being made; nothing stands in this context yet.
        Started = "STARTED",
        /// Directory and first user stand; the directory is not yet active.
        Created = "CREATED",
        /// Both stand and are active.
        Done = "DONE",
        /// The directory context refused; the same request may try again, as a new attempt.
        Refused = "REFUSED",
        /// It is being given up.
        Abandoning = "ABANDONING",
        /// It was given up; its label is free.
        Abandoned = "ABANDONED",
    }
}

stored! {
    /// Under which agreement the organisation buys; the values are the directory's.
    AgreementType {
        /// It accepts the terms itself.
        SelfService = "SELF_SERVICE",
        /// A negotiated Enterprise Agreement.
        Enterprise = "ENTERPRISE",
    }
}

/// What the directory is made of; kept in the saga's row, so that a worker can ask for it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewDirectory {
    pub(crate) display_name: String,
    pub(crate) label: String,
    pub(crate) region_code: String,
    pub(crate) agreement_type: AgreementType,
}

/// The step that makes the directory.
pub(crate) const CREATE: &str = "create";

/// The saga's row.
#[derive(Debug, Clone)]
pub(crate) struct SignUp {
    pub(crate) id: Uuid,
    pub(crate) request_id: Uuid,
    pub(crate) body_mac: Vec<u8>,
    pub(crate) state: SignUpState,
    pub(crate) attempt: i64,
    pub(crate) new_directory: NewDirectory,
    pub(crate) directory: Option<DirectoryId>,
    pub(crate) answer: Option<SignedUp>,
    pub(crate) update_time: Timestamp,
}

impl SignUp {
    /// The request id of one step of this attempt towards the directory context (K40).
    pub(crate) fn inner_request_id(&self, step: &str) -> Uuid {
        new_ids::derive(&[&self.id.to_string(), &self.attempt.to_string(), step])
    }

    /// The directory that this attempt's request makes: the directory context derives its id as everybody does (K7).
    pub(crate) fn directory_made(&self) -> DirectoryId {
        const METHOD: &str = "/tenure.directory.v1.DirectoryService/CreateDirectory";
        let actor = Caller::Service(Service::Identity).actor();
        let request_id = self.inner_request_id(CREATE).to_string();
        DirectoryId::from_uuid(new_ids::derive(&[&actor, METHOD, &request_id]))
    }
}

/// What a sign-up made; recorded as its answer, without any secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedUp {
    pub(crate) directory: DirectoryId,
    pub(crate) display_name: String,
    pub(crate) initial_domain: String,
    pub(crate) user: User,
}
