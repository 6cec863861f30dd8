//! The few calls that this context makes to others, in its own words; who may make them is told in `access::calls`.

pub(crate) mod dns;
pub(crate) mod identity;
