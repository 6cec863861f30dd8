//! Journey 4, the part that is refused for what it is; nothing is written but the record of the refusal (K15).

use std::future::Future;

use tonic::Status;

use crate::world::{E3, E5, ENTERPRISE_OFFER, FREE_TRIAL, World, metadata, reason};

/// The refusal is the expected one, and the databases hold one recorded refusal more and nothing else.
async fn refused<T: std::fmt::Debug>(
    world: &World,
    result: impl Future<Output = Result<T, Status>>,
    expected: &str,
) {
    let mut before = world.row_counts().await;
    assert_eq!(reason(&result.await.unwrap_err()), expected);
    *before.get_mut("subscription.refusals").unwrap() += 1;
    assert_eq!(world.row_counts().await, before, "after {expected}");
}

#[tokio::test]
async fn an_enterprise_agreement_is_refused_with_the_pointer() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eva = world.sign_up_enterprise("northwind").await;
    let ineligible = "FailedPrecondition/ENTERPRISE_AGREEMENT_NOT_ELIGIBLE";
    refused(&world, world.azure(&ada, ENTERPRISE_OFFER), ineligible).await;
    refused(&world, world.attach_trial(&eva, E3), ineligible).await;
    // E-01: the refusal says whom to ask.
    let told = world.attach_trial(&eva, E3).await.unwrap_err();
    assert!(told.message().contains("enterprise administrator"), "{told:?}");
}

#[tokio::test]
async fn a_trial_is_given_once() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    world.attach_trial(&ada, E5).await.unwrap();
    refused(&world, world.attach_trial(&ada, E5), "FailedPrecondition/TRIAL_ALREADY_USED").await;
    world.azure(&ada, FREE_TRIAL).await.unwrap();
    refused(&world, world.azure(&ada, FREE_TRIAL), "FailedPrecondition/OFFER_ALREADY_USED").await;
}

#[tokio::test]
async fn an_unknown_offer_is_not_found() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let unknown = "products/enterprisepack/offers/weekly";
    refused(&world, world.attach_trial(&ada, unknown), "NotFound/OFFER_NOT_FOUND").await;
    let unknown = "products/azure/offers/ms-azr-9999p";
    refused(&world, world.azure(&ada, unknown), "NotFound/OFFER_NOT_FOUND").await;
}

#[tokio::test]
async fn another_directorys_administrator_is_refused() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let foreign = world.attach(&eve, world.trial_request(&ada.directory, E3));
    refused(&world, foreign, "PermissionDenied/PERMISSION_DENIED").await;
}

#[tokio::test]
async fn a_request_id_is_good_for_one_request() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let mut request = world.trial_request(&ada.directory, E3);
    let first = world.attach(&ada, request.clone()).await.unwrap();
    assert_eq!(world.attach(&ada, request.clone()).await.unwrap(), first);
    request.offer = E5.to_owned();
    refused(&world, world.attach(&ada, request.clone()), "FailedPrecondition/REQUEST_ID_REUSED").await;
    let told = world.attach(&ada, request.clone()).await.unwrap_err();
    assert_eq!(metadata(&told, "request_id"), Some(request.request_id));
}
