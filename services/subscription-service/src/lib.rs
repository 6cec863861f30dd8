//! The subscription context.
