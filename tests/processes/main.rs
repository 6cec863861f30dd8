//! The binaries as processes: three services apart, their replicas, and what is there after a stop or a kill.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod balancer;
mod compose;
mod fleet;
mod health;
mod process;
mod replicas;
mod split;
mod three_processes;
mod tls;
mod wire;
