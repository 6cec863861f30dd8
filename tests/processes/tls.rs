//! Three services that speak TLS among themselves and with their clients.

use test_support::client::{attach, directory_of, founded, trial};

use crate::split::{Ground, Split};

#[tokio::test]
async fn a_journey_over_tls() {
    let ground = Ground::with_tls().await;
    let split = Split::start(&ground);
    let identity = ground.channel(&split.identity).await;
    let subscription = ground.channel(&split.subscription).await;
    let ada = founded(&identity, "contoso").await;
    attach(&subscription, trial(&directory_of(&ada)), &ada.access_token).await.unwrap();
    for process in [split.subscription, split.identity, split.directory] {
        let (code, log) = process.stop().await;
        assert_eq!(code, Some(0), "{log}");
    }
}
