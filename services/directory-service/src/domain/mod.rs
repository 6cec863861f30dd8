//! The rules of the directory context, pure: facts and the time in, decisions out.
//!
//! No database, no messages, no clock.

pub(crate) mod directory;
pub(crate) mod domain_name;
pub(crate) mod lien;
pub(crate) mod life_cycle;
pub(crate) mod refused;
pub(crate) mod update;
