//! Scripted peers, once the services' tests need them.
