//! The one binary most people run: three services in one process.
