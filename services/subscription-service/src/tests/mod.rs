//! The service through its rpcs, with scripted peers, on the engine that `TEST_DATABASE` names.

mod attaching;
mod following;
mod holds;
mod locking;
mod peers;
mod races;
mod reading;
mod signing_up;
mod starting_over;
mod world;
