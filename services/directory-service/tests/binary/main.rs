//! The service's own binary: what it refuses to start with, and what it says of its settings.

use test_support::binary::{helps_without_secrets, refuses_to_start};

const BINARY: &str = env!("CARGO_BIN_EXE_directory-service");

#[test]
fn every_problem_is_told_at_once_and_no_secret() {
    let arguments = ["--initial-domain-suffix", "-", "--identity", "https://identity:50052"];
    refuses_to_start(BINARY, &arguments, &["--identity", "--initial-domain-suffix"]);
}

#[test]
fn help_shows_no_secret_of_the_surroundings() {
    helps_without_secrets(BINARY);
}
