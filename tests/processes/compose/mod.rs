//! What runs in containers: the files hold together, and their commands run here as plain processes.
//!
//! No container is started; what an engine makes of the files is not seen here.

mod file;
mod image;
mod journey;
mod shape;
