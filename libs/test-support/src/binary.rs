//! A binary as a test runs it, and what every service's binary does with settings that are not usable.

use std::process::Command;

/// A database URL that is none, with a password in it.
const NO_DATABASE: (&str, &str) = ("TENURE_DATABASE_URL", "mysql://ada:s3cret@db/x");
/// What is wrong with the settings that [`refuses_to_start`] gives to every service.
const COMMON: [&str; 6] = ["--database-url", "--key", "--trust", "--issuer", "--tls-key", "TENURE_TRUSTS"];

/// The binary's command, without any variable of the surroundings that would configure it.
pub fn command(binary: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TENURE_") || text.starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    command
}

/// A service tells every problem at once, its own and those that all have, and no secret.
pub fn refuses_to_start(service: &str, arguments: &[&str], problems: &[&str]) {
    let mut command = command(service);
    command.args(["--listen", "0.0.0.0:0", "--tls-cert", "cert.pem"]).args(arguments);
    let output = command.envs([NO_DATABASE, ("TENURE_TRUSTS", "x")]).output().expect("the binary runs");
    let told = String::from_utf8(output.stderr).expect("standard error is text");
    assert_eq!(output.status.code(), Some(64), "{told}");
    for problem in COMMON.iter().chain(problems) {
        assert!(told.contains(&format!("\n  {problem}: ")), "{problem} is missing in {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}

/// A service's help names the variables, and shows no secret that one holds.
pub fn helps_without_secrets(service: &str) {
    let output = command(service).arg("--help").envs([NO_DATABASE]).output().expect("the binary runs");
    let help = String::from_utf8(output.stdout).expect("standard output is text");
    assert!(help.contains(NO_DATABASE.0) && !help.contains("s3cret"), "{help}");
}
