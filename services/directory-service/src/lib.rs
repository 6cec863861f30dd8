//! The directory context.
