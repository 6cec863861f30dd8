//! The service's own binary: what it refuses to start with, and what it says of its settings.

use test_support::binary::{helps_without_secrets, refuses_to_start};

const BINARY: &str = env!("CARGO_BIN_EXE_subscription-service");

#[test]
fn every_problem_is_told_at_once_and_no_secret() {
    let arguments =
        ["--azure-subscriptions-per-owner", "0", "--price-list", "/nowhere", "--directory", "http://a/b"];
    refuses_to_start(
        BINARY,
        &arguments,
        &["--azure-subscriptions-per-owner", "--directory", "--identity", "--price-list"],
    );
}

#[test]
fn help_shows_no_secret_of_the_surroundings() {
    helps_without_secrets(BINARY);
}
