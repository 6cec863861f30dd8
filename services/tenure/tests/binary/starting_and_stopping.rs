//! Starting, stopping, and what is there afterwards.

use std::process::Stdio;

use api::directory::v1::ListDirectoriesRequest;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::subscription::v1::GetSubscriptionRequest;
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;

use crate::process::{Running, attach, directory_of, run, sign_in, sign_up, tenure, trial, with_token};

#[test]
fn every_configuration_problem_is_told_at_once() {
    let mut command =
        tenure(&["serve", "--listen", "0.0.0.0:50051", "--sign-up", "perhaps", "--trace-ratio", "7"]);
    command.env("TENURE_LISTN", "127.0.0.1:1").env("TENURE_REQUEST_TIMEOUT", "soon");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    for problem in
        ["--plaintext", "--sign-up", "--trace-ratio", "TENURE_LISTN", "TENURE_LISTEN", "--request-timeout"]
    {
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

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let running = Running::start(&data_dir, &[]);
    let channel = running.channel().await;
    let ada = sign_up(&channel, "contoso").await;
    let request = trial(&directory_of(&ada));
    let answer = attach(&channel, with_token(request.clone(), &ada.access_token)).await.unwrap();
    running.kill();

    let running = Running::start(&data_dir, &[]);
    let channel = running.channel().await;
    // P-8: the session, the subscription and the record of the request are all there.
    let name = answer.subscription.as_ref().unwrap().name.clone();
    let read = SubscriptionServiceClient::new(channel.clone())
        .get_subscription(with_token(GetSubscriptionRequest { name }, &ada.access_token))
        .await
        .unwrap();
    assert_eq!(read.into_inner().subscription, answer.subscription);
    let again = attach(&channel, with_token(request, &ada.access_token)).await.unwrap();
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
    sign_up(&channel, "contoso").await;
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
    let mut command = tenure(&["--help"]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for (flag, variable) in [("--listen", "TENURE_LISTEN"), ("--data-dir", "TENURE_DATA_DIR")] {
        assert!(help.contains(flag) && help.contains(variable), "{help}");
    }
}
