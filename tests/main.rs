//! The system, from outside.
