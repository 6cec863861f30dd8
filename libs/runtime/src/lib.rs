//! What every process does the same way: configuration, telemetry, server, peers, shutdown, clock.

mod authentication;
pub mod clock;
pub mod config;
pub mod data_folder;
pub mod database_lock;
pub mod deadline;
pub mod duties;
pub mod edge;
pub mod filter;
pub mod health_check;
pub mod holds;
pub mod judge;
pub mod jwks;
pub mod keys;
pub mod normalise;
pub mod options;
pub mod page_token;
pub mod peer;
pub mod process;
pub mod server;
pub mod service_process;
pub mod shutdown;
pub mod status;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod wire;
pub mod worker;
