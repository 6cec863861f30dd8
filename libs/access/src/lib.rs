//! Who may: callers, tokens, permissions, permits.
//!
//! A write demands a [`Permit`], and only [`require`] and its siblings mint one; how identity decides is the
//! business of whoever implements [`Judge`].

pub mod call;
pub mod caller;
pub mod calls;
pub mod judge;
pub mod permission;
pub mod permit;
pub mod roles;
pub mod service_key;
pub mod token;

pub use call::Call;
pub use caller::{Caller, Service, SignedIn};
pub use judge::{Consistency, Denial, Judge, Judgement, Question};
pub use permission::Permission;
pub use permit::{PERMIT_LIFETIME, Permit, require, require_active, require_peer};
