//! The few calls to other contexts, in this context's words; never inside a transaction, never from an rpc that a
//! peer calls (K1).

pub(crate) mod directory;
