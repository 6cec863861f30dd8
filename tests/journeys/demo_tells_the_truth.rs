//! The demo against a server with one broken rule: it must see it (P-3).

use std::time::Duration;

use runtime::server::Server;
use runtime::shutdown::Tasks;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use crate::scripted_identity::{Mode, world_asking};

/// Plays the demo against a server whose identity has a script.
async fn play(mode: Mode) -> Result<(), String> {
    let (world, _mode) = world_asking(mode).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let embedded = &world.embedded;
    let services = vec![embedded.directory.clone(), embedded.identity.clone(), embedded.subscription.clone()];
    let server = Server::new(services, embedded.limits.clone());
    let tasks = Tasks::new();
    tasks.spawn("server", async move {
        server.serve(listener, std::future::pending(), std::future::pending()).await.unwrap();
    });
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut told = Vec::new();
    let played = tenure::demo::play(channel, world.operator_token(), &mut told).await;
    tasks.close_and_wait(Duration::ZERO).await;
    played.map(|_| ()).map_err(|went_otherwise| went_otherwise.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_goes_as_told_against_an_honest_server() {
    assert_eq!(play(Mode::Healthy).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_sees_that_somebody_without_the_role_may_attach() {
    let failed = play(Mode::AllowsEverybody).await.unwrap_err();
    assert!(failed.contains("attaches Office 365: allowed, but PERMISSION_DENIED was told"), "{failed}");
}
