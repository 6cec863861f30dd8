//! The service's own binary: what it refuses to start with, and what it says of its settings.

use std::process::{Command, Output};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_identity-service"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TENURE_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied()).output().expect("the binary runs")
}

#[test]
fn every_problem_is_told_at_once_and_no_secret() {
    let arguments = [
        "--listen",
        "0.0.0.0:0",
        "--tls-cert",
        "cert.pem",
        "--sign-up",
        "perhaps",
        "--trusted-proxies",
        "here",
        "--directory",
        "directory:50051",
    ];
    let variables = [("TENURE_DATABASE_URL", "mysql://ada:s3cret@db/x"), ("TENURE_TRUSTS", "x")];
    let output = run(&arguments, &variables);
    let told = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{told}");
    let common = ["--database-url", "--key", "--trust", "--issuer", "--tls-key", "TENURE_TRUSTS"];
    for problem in common.into_iter().chain(["--directory", "--sign-up", "--trusted-proxies"]) {
        assert!(told.contains(&format!("\n  {problem}: ")), "{problem} is missing in {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn help_shows_no_secret_of_the_surroundings() {
    let help = run(&["--help"], &[("TENURE_DATABASE_URL", "postgres://ada:s3cret@db/x")]);
    let help = String::from_utf8(help.stdout).expect("text");
    assert!(help.contains("TENURE_DATABASE_URL") && !help.contains("s3cret"), "{help}");
}
