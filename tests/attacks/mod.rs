//! Attacks that have hit comparable products, tried through the public API: refused, and nothing changed.

mod bad_input;
mod directories;
mod lists;
mod sessions;
mod sign_in;
mod timing;
mod tokens;
