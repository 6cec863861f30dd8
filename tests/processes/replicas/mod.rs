//! Two replicas of each service: what one process keeps to itself must not matter.

mod contests_split;
mod duties_shared;
mod killed_under_load;
mod revocation;
mod started_at_once;
