//! `tenure audit`, typed as an operator would: over a running server, over copies, and against what was exported.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use database::snapshot;
use test_support::client::founded;
use test_support::database::number_and_text;

use crate::process::{Running, run, tenure};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server with one organisation, all of whose entries are sealed.
async fn sealed(data_dir: &Path, label: &str) -> Running {
    let running = Running::start(data_dir, &[]);
    founded(&running.channel().await, label).await;
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let output = verify(&["--data-dir", &data_dir.display().to_string()]);
        let told = text(&output.stdout);
        assert!(output.status.success(), "{told}{}", text(&output.stderr));
        assert_eq!(told.matches(": whole: ").count(), 3, "{told}");
        // Nothing was bought: the third log is empty.
        if told.matches("; 0 not sealed yet").count() == 3 && told.matches(" 0 entries").count() == 1 {
            return running;
        }
        assert!(Instant::now() < until, "{told}");
    }
}

fn verify(arguments: &[&str]) -> Output {
    run(&[&["audit", "verify"], arguments].concat())
}

fn export(data_dir: &Path, file: &Path) {
    let output = run(&["audit", "export", "--data-dir", &data_dir.display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::write(file, output.stdout).unwrap();
}

/// A text that stands once in the file, in the entry at the position, beside no index.
async fn an_entry(file: &Path) -> (i64, Vec<u8>) {
    let url = format!("sqlite:{}", file.display()).parse().unwrap();
    let mut tx = snapshot(&url).await.unwrap();
    let select = "SELECT position, kind || after FROM change_log WHERE kind = 'CREATED' ORDER BY LENGTH(after) LIMIT 1";
    let (position, needle) = number_and_text(&mut tx, select).await;
    (position, needle.into_bytes())
}

/// A copy in which one byte of a stored text is another.
async fn with_a_flipped_byte(file: &Path, folder: &Path) -> (PathBuf, i64) {
    let (position, needle) = an_entry(file).await;
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, part)| *part == needle)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 1, "it stands in one row");
    bytes[places[0] + needle.len() - 3] ^= 1;
    let copy = folder.join("copy.db");
    fs::write(&copy, bytes).unwrap();
    (copy, position)
}

#[tokio::test]
async fn p_10_a_byte_that_was_flipped_in_a_copy_of_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    sealed(&data_dir, "contoso").await.stop();
    let (copy, position) = with_a_flipped_byte(&data_dir.join("identity.db"), folder.path()).await;
    let broken = verify(&[&copy.display().to_string()]);
    assert_eq!(broken.status.code(), Some(1));
    let expected = format!("identity: BROKEN at position {position}: the entry was altered");
    assert!(text(&broken.stdout).starts_with(&expected), "{}", text(&broken.stdout));
    assert!(!folder.path().join("copy.db-wal").exists() && !folder.path().join("copy.db-shm").exists());
    // What it was copied from is as it was.
    assert!(verify(&["--data-dir", &data_dir.display().to_string()]).status.success());
}

#[tokio::test]
async fn k_49_a_chain_that_is_another_shows_against_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    let seals = folder.path().join("seals.jsonl");
    let running = sealed(&own, "contoso").await;
    export(&own, &seals);
    founded(&running.channel().await, "fabrikam").await;
    let against = |data_dir: &Path| {
        verify(&["--data-dir", &data_dir.display().to_string(), "--seals", &seals.display().to_string()])
    };
    let whole = against(&own);
    assert!(whole.status.success(), "{}{}", text(&whole.stdout), text(&whole.stderr));
    assert!(text(&whole.stdout).contains(" as they were exported"), "{}", text(&whole.stdout));
    running.stop();
    sealed(&other, "tailspin").await.stop();
    let rewritten = against(&other);
    let told = text(&rewritten.stdout);
    assert_eq!(rewritten.status.code(), Some(1), "{told}");
    assert!(told.contains("identity: BROKEN at position 1: the chain was rewritten"), "{told}");
}

#[test]
fn what_is_no_audit_log_is_a_failure_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, missing) = (folder.path().join("empty.db"), folder.path().join("missing.db"));
    fs::write(&empty, "").unwrap();
    for (database, told) in [
        (missing.display().to_string(), "missing.db"),
        (empty.display().to_string(), "empty.db"),
        ("mysql://ada:s3cret-word@localhost/x".to_owned(), "must be a file"),
    ] {
        let output = verify(&[&database]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{database}");
        assert!(output.stdout.is_empty() && errors.contains(told), "{errors}");
        assert!(!errors.contains("s3cret"), "{errors}");
    }
    assert!(!missing.exists(), "nothing is made");
    let seals = folder.path().join("seals.jsonl");
    fs::write(&seals, "{}\n").unwrap();
    let output = verify(&["--seals", &seals.display().to_string()]);
    assert!(!output.status.success() && text(&output.stderr).contains("line 1"), "{}", text(&output.stderr));
}

/// An address may hold a password: it is told by a variable, and repeated nowhere.
#[test]
fn an_address_is_taken_from_the_variable_of_the_services() {
    let mut command = tenure(&["audit", "verify"]);
    command.env("TENURE_DATABASE_URL", "postgres://ada:s3cret-word@127.0.0.1:1/tenure");
    let output = command.output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("127.0.0.1:1") && !errors.contains("s3cret"), "{errors}");
    let help = text(&command.args(["--help"]).output().unwrap().stdout);
    assert!(help.contains("TENURE_DATABASE_URL") && !help.contains("s3cret"), "{help}");
}
