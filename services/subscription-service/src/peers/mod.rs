//! The few calls that this context makes to the others, in its own words; whether it may is the table of calls (K1).

pub(crate) mod directory;
pub(crate) mod identity;
