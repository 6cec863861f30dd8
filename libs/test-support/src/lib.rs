//! Fixtures for all tests; a dev-dependency only.
