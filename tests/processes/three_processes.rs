//! Split: each service on its own, asking the others over the network.

use access::Service;
use api::directory::v1::ListDirectoriesRequest;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use database::fail_point::{FailPoint, VARIABLE};
use test_support::client::{
    attach, directory_of, founded, read, sign_in, sign_up, sign_up_request, trial, with_token,
};
use tonic::Code;

use crate::process::Program;
use crate::split::{Ground, Split};

#[tokio::test]
async fn three_processes_serve_one_journey_and_stop_in_order() {
    let ground = Ground::new().await;
    let split = Split::start(&ground);
    let (identity, subscription) = (split.identity.channel().await, split.subscription.channel().await);
    let ada = founded(&identity, "contoso").await;
    let attached = attach(&subscription, trial(&directory_of(&ada)), &ada.access_token).await.unwrap();
    let attached = attached.subscription.unwrap();
    assert_eq!(attached.directory, directory_of(&ada));
    assert_eq!(read(&subscription, &attached.name, &ada.access_token).await.unwrap(), attached);
    // K6: each service holds the public half of the operator's key.
    let list = with_token(ListDirectoriesRequest::default(), &ground.operator_token());
    let directories =
        DirectoryServiceClient::new(split.directory.channel().await).list_directories(list).await.unwrap();
    assert_eq!(directories.into_inner().directories.len(), 1);
    for process in [split.subscription, split.identity, split.directory] {
        let (code, log) = process.stop().await;
        assert_eq!(code, Some(0), "{log}");
    }
}

/// P-12: what a process holds of its database in memory is true while it alone writes, as on SQLite it has to.
#[tokio::test]
async fn on_sqlite_nobody_serves_on_a_database_that_is_served() {
    let ground = Ground::new().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let tenure = Program::new("tenure").args(["serve", "--listen", "127.0.0.1:0", "--data-dir", &data]);
    let served = tenure.start();
    for service in Service::ALL {
        let name = service.as_str().split('-').next().unwrap();
        let apart = ground.program(service).database(&format!("sqlite:{data}/{name}.db"));
        let refused = apart.try_start().unwrap_err();
        assert!(refused.contains("is in use by another process"), "{refused}");
    }
    let (code, log) = served.stop().await;
    assert_eq!(code, Some(0), "{log}");
    let apart = ground.program(Service::Identity).database(&format!("sqlite:{data}/identity.db")).start();
    let refused = tenure.try_start().unwrap_err();
    assert!(refused.contains("is in use by another process"), "{refused}");
    let (code, log) = apart.stop().await;
    assert_eq!(code, Some(0), "{log}");
    tenure.start();
}

/// K34: who is missing is missed at the call that needs it, and found again where it was.
#[tokio::test]
async fn a_missing_peer_blocks_no_start_and_what_was_acknowledged_survives_every_kill() {
    let ground = Ground::new().await;
    let subscription = ground.program(Service::Subscription).start();
    let identity = ground.program(Service::Identity).start();
    let directory = ground.program(Service::Directory).start();
    let (to_identity, to_subscription) = (identity.channel().await, subscription.channel().await);
    let name = sign_up(&to_identity, sign_up_request("contoso")).await.unwrap();
    let ada = sign_in(&to_identity, &name).await.unwrap();
    let request = trial(&directory_of(&ada));
    let directory = directory.kill();
    let refused = attach(&to_subscription, request.clone(), &ada.access_token).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let directory = directory.start();
    let attached = attach(&to_subscription, request.clone(), &ada.access_token).await.unwrap();

    let programs = [directory, identity, subscription].map(crate::process::Process::kill);
    let [_directory, identity, subscription] = programs.map(|program| program.start());
    let (identity, subscription) = (identity.channel().await, subscription.channel().await);
    // P-8, P-9: the session, the subscription and the record of the request are all there.
    assert_eq!(attach(&subscription, request, &ada.access_token).await.unwrap(), attached);
    let attached = attached.subscription.unwrap();
    assert_eq!(read(&subscription, &attached.name, &ada.access_token).await.unwrap(), attached);
    sign_in(&identity, &name).await.unwrap();
}

/// P-8, P-9: what a crash in the middle leaves behind is finished by a retry.
#[tokio::test]
async fn a_sign_up_that_a_crash_cut_off_is_finished_by_its_retry() {
    let ground = Ground::new().await;
    let _directory = ground.program(Service::Directory).start();
    let dying = ground.program(Service::Identity).env(VARIABLE, FailPoint::AfterCreateDirectory.name());
    let mut identity = dying.start();
    let request = sign_up_request("contoso");
    sign_up(&identity.channel().await, request.clone()).await.unwrap_err();
    assert_eq!(identity.ended().code(), None, "a signal has ended it");
    let identity = identity.where_it_was().start();
    let channel = identity.channel().await;
    let name = sign_up(&channel, request).await.unwrap();
    sign_in(&channel, &name).await.unwrap();
}
