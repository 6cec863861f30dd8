//! What tests of the whole system share, whether the services run in the test or in processes of their own.

pub mod contests;
pub mod people;
