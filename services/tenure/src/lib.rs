//! The one binary most people run: three services in one process, one port, SQLite files in one folder.
//!
//! Holds no rule of any context; it composes, starts and stops.

pub mod audit;
pub mod demo;
pub mod embedded;
pub mod operator;
pub mod options;
pub mod serve;
