//! The whole system, from outside: three services in one process, fixed clock, seeded ids, either engine.

mod attacks;
mod guards;
mod journeys;
mod races;
mod raw;
mod scripted_identity;
mod world;
