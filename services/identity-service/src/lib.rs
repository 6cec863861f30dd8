//! The identity context.
