//! The rules of the directory context, pure: facts and the time in, decisions out.
//!
//! No database, no messages, no clock.

pub(crate) mod directory;
pub(crate) mod directory_domain;
pub(crate) mod domain_name;
pub(crate) mod lien;
pub(crate) mod refused;
