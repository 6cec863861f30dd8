//! What every process does the same way: configuration, telemetry, server, peers, shutdown, clock.

pub mod clock;
pub mod config;
pub mod data_folder;
pub mod filter;
pub mod judge;
pub mod jwks;
pub mod keys;
pub mod page_token;
pub mod shutdown;
pub mod wire;
pub mod worker;
