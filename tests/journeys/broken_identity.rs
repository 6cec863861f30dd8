//! Journey 4, the part where identity cannot be asked (P-3): nothing happens, and the retry succeeds once it is back.

use std::time::Instant;

use tonic::Status;

use crate::scripted_identity::{BROKEN, DEADLINE, Mode, world_asking};
use crate::world::{E3, FREE_TRIAL, World, reason};

/// The call is refused as UNAVAILABLE before the caller's deadline, and no row of any table has changed.
async fn unavailable_and_nothing_written<T: std::fmt::Debug>(
    world: &World,
    mode: Mode,
    call: impl Future<Output = Result<T, Status>>,
) {
    let before = world.row_counts().await;
    let started = Instant::now();
    let refused = call.await.expect_err("an unanswered question allows nothing");
    assert!(started.elapsed() < DEADLINE, "{mode:?} took {:?}", started.elapsed());
    assert_eq!(reason(&refused), "Unavailable/DEPENDENCY_UNAVAILABLE", "{mode:?}");
    assert_eq!(world.row_counts().await, before, "{mode:?}");
}

#[tokio::test]
async fn a_broken_identity_stops_attaches_and_the_retry_succeeds() {
    let (world, mode) = world_asking(Mode::Healthy).await;
    for (round, broken) in BROKEN.into_iter().enumerate() {
        let ada = world.sign_up(&format!("contoso-{round}")).await;
        let message = world.trial_request(&ada.directory, E3);
        let attach = async || {
            let mut request = ada.says(message.clone());
            request.set_timeout(DEADLINE);
            world.subscriptions().attach_office365_subscription(request).await
        };
        *mode.lock().unwrap() = broken;
        unavailable_and_nothing_written(&world, broken, attach()).await;
        *mode.lock().unwrap() = Mode::Healthy;
        let answer = attach().await.expect("identity is back").into_inner();
        assert_eq!(answer.subscription.unwrap().directory, ada.directory);
    }
}

#[tokio::test]
async fn a_broken_identity_stops_azure_sign_ups_and_the_retry_succeeds() {
    let (world, mode) = world_asking(Mode::Healthy).await;
    for (round, broken) in BROKEN.into_iter().enumerate() {
        let ada = world.sign_up(&format!("contoso-{round}")).await;
        let message = world.azure_request(FREE_TRIAL);
        let sign_up = async || {
            let mut request = ada.says(message.clone());
            request.set_timeout(DEADLINE);
            world.subscriptions().sign_up_azure_subscription(request).await
        };
        *mode.lock().unwrap() = broken;
        unavailable_and_nothing_written(&world, broken, sign_up()).await;
        *mode.lock().unwrap() = Mode::Healthy;
        let answer = sign_up().await.expect("identity is back").into_inner();
        assert_eq!(answer.subscription.unwrap().directory, ada.directory);
    }
}
