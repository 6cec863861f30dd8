//! SQL, and only SQL: one text for both databases; every write takes its directory from a permit (K9).
//!
//! Decides nothing; what may be written is decided in `domain/`.

pub(crate) mod directories;
pub(crate) mod directory_lists;
pub(crate) mod domains;
pub(crate) mod liens;
pub(crate) mod moves;
