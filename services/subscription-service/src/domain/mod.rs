//! The rules of the subscription context: facts and `now` in, decision out (S4).
//!
//! Nothing here waits, reads a clock, or knows how anything is stored or sent.

pub(crate) mod azure;
pub(crate) mod calendar;
pub(crate) mod catalogue;
pub(crate) mod directory;
pub(crate) mod lifecycle;
pub(crate) mod money;
pub(crate) mod office365;
pub(crate) mod order;
pub(crate) mod prices;
pub(crate) mod refused;
pub(crate) mod subscription;
