//! The few words that every context uses: ids, principals, timestamps, refusals.
//!
//! No input, no output, no async: whatever stands here is a value.

pub mod clock;
pub mod etag;
pub mod ids;
pub mod new_ids;
pub mod parse;
pub mod principal;
pub mod reason;
pub mod refusal;
pub mod region;
pub mod timestamp;

pub use clock::Clock;
pub use etag::Etag;
pub use ids::{
    DirectoryId, LienId, OrderId, RoleAssignmentId, ServiceAccountId, SessionId, SubscriptionId, UserId,
};
pub use new_ids::Ids;
pub use parse::{Parsed, RequestId, Violations};
pub use principal::Principal;
pub use reason::Reason;
pub use refusal::{Code, FieldViolation, Precondition, Refusal};
pub use region::RegionCode;
pub use timestamp::Timestamp;
