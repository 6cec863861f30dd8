//! Starting, stopping, and what is there afterwards.

use api::directory::v1::ListDirectoriesRequest;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use clap::CommandFactory as _;
use tenure::options::Cli;
use test_support::client::{attach, directory_of, founded, read, sign_in, trial, with_token};

use crate::process::{Running, run, tenure};

#[test]
fn every_configuration_problem_is_told_at_once() {
    let mut command =
        tenure(&["serve", "--listen", "0.0.0.0:50051", "--sign-up", "perhaps", "--trace-ratio", "7"]);
    command.env("TENURE_LISTN", "127.0.0.1:1").env("TENURE_REQUEST_TIMEOUT", "0s");
    command.env("TENURE_ISSUER", "identity-service");
    command
        .args(["--writes-per-second-per-principal", "0"])
        .env("TENURE_WRITES_PER_SECOND_PER_DIRECTORY", "-1");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    for problem in [
        "--plaintext",
        "--sign-up",
        "--trace-ratio",
        "TENURE_LISTN",
        "TENURE_LISTEN",
        "--request-timeout",
        "--issuer",
        "--writes-per-second-per-principal",
        "--writes-per-second-per-directory",
    ] {
        assert!(told.contains(problem), "{problem} is missing in {told}");
    }
}

#[test]
fn a_data_folder_serves_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let _first = Running::start(&data_dir, &[]);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data_dir.display().to_string()]);
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && told.contains("another process"), "{told}");
}

/// A database or key that is made anew beside the old ones would forget what the others remember.
#[test]
fn a_folder_that_has_lost_a_file_is_refused() {
    for lost in ["subscription.db", "keys/identity-service.key"] {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        Running::start(&data_dir, &[]).stop();
        std::fs::remove_file(data_dir.join(lost)).unwrap();
        let refused =
            run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &data_dir.display().to_string()]);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && told.contains(lost), "{told}");
        assert!(!data_dir.join(lost).exists(), "nothing is made in its place");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let running = Running::start(&data_dir, &[]);
    let channel = running.channel().await;
    let ada = founded(&channel, "contoso").await;
    let request = trial(&directory_of(&ada));
    let answer = attach(&channel, request.clone(), &ada.access_token).await.unwrap();
    running.kill();

    let running = Running::start(&data_dir, &[]);
    let channel = running.channel().await;
    // P-8: the session, the subscription and the record of the request are all there.
    let attached = answer.subscription.as_ref().unwrap();
    assert_eq!(read(&channel, &attached.name, &ada.access_token).await.unwrap(), *attached);
    let again = attach(&channel, request, &ada.access_token).await.unwrap();
    assert_eq!(again, answer, "P-9");
    sign_in(&channel, &ada.user.unwrap().user_principal_name).await.unwrap();
}

#[tokio::test]
async fn an_operator_token_is_good_for_what_operators_do() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let running = Running::start(&data_dir, &[]);
    let output = run(&["operator", "token", "--data-dir", &data_dir.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).unwrap();
    let channel = running.channel().await;
    founded(&channel, "contoso").await;
    let list = with_token(ListDirectoriesRequest::default(), token.trim());
    let directories = DirectoryServiceClient::new(channel).list_directories(list).await.unwrap();
    assert_eq!(directories.into_inner().directories.len(), 1);
    let long = run(&["operator", "token", "--lifetime", "2h", "--data-dir", &data_dir.display().to_string()]);
    assert!(!long.status.success() && String::from_utf8_lossy(&long.stderr).contains("one hour"));
}

#[test]
fn a_signal_stops_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (code, log) = Running::start(&folder.path().join("data"), &[]).stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
}

#[test]
fn help_lists_every_setting_and_its_variable() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for argument in Cli::command().get_arguments().filter(|argument| argument.get_env().is_some()) {
        let flag = format!("--{}", argument.get_long().unwrap());
        let variable = argument.get_env().unwrap().to_str().unwrap();
        assert!(help.contains(&flag) && help.contains(variable), "{flag} {variable} in {help}");
        // One name, whichever way it is set.
        assert!(variable.starts_with("TENURE_"), "{variable}");
    }
}

/// K34: a server that everybody can reach in clear says so.
#[test]
fn serving_without_tls_is_said_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&folder.path().join("data"), &["--listen", "0.0.0.0:0", "--plaintext"]);
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("without TLS"), "{log}");
}
