//! Signing up for Azure.

use api::directory::v1::AgreementType;
use api::subscription::v1::SignUpAzureSubscriptionRequest;
use api::subscription::v1::subscription::{Owner, State};
use runtime::peer::PeerError;
use tonic::Code;

use super::peers::Broken;
use super::world::{
    FREE_TRIAL, PAY_AS_YOU_GO, World, azure, contoso, directory_id, person, reason, request_id, robot,
};

#[tokio::test]
async fn a_member_without_any_role_signs_up_and_it_lands_in_the_members_directory() {
    // P-1, P-2, S-01.
    let world = World::new().await;
    let answer = world.sign_up(person("cy"), azure(FREE_TRIAL)).await.unwrap();
    let (subscription, order) = (answer.subscription.unwrap(), answer.order.unwrap());
    assert_eq!(subscription.directory, contoso());
    assert_eq!(subscription.owner, Some(Owner::OwnerUser(person("cy").to_string())));
    assert_eq!((subscription.state(), subscription.seats), (State::Active, None));
    assert_eq!(subscription.display_name, "Free Trial");
    assert!(order.trial && order.total.unwrap().units == 0);
    let counts = world.rows().await;
    let expected = [1, 1, 1, 0, 1, 1, 1, 3, 0];
    assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), expected, "{counts:?}");
}

#[tokio::test]
async fn another_directory_than_expected_is_refused_with_both_named() {
    // S-02.
    let world = World::new().await;
    let before = world.rows().await;
    let expected_directory = format!("directories/{}", directory_id("fabrikam"));
    let order = SignUpAzureSubscriptionRequest {
        expected_directory: expected_directory.clone(),
        ..azure(PAY_AS_YOU_GO)
    };
    let refused = PeerError::from(world.sign_up(person("cy"), order).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_deref()),
        (Code::FailedPrecondition, Some("DIRECTORY_MISMATCH"))
    );
    assert_eq!(refused.metadata["directory"], contoso());
    assert_eq!(refused.metadata["expected_directory"], expected_directory);
    assert_eq!(world.rows().await, before);
    let right = SignUpAzureSubscriptionRequest { expected_directory: contoso(), ..azure(PAY_AS_YOU_GO) };
    world.sign_up(person("cy"), right).await.unwrap();
}

#[tokio::test]
async fn a_guest_is_sent_home_and_a_service_account_owns_nothing() {
    // K20, P-2.
    let world = World::new().await;
    let refused = PeerError::from(world.sign_up(person("gil"), azure(PAY_AS_YOU_GO)).await.unwrap_err());
    assert_eq!(refused.reason.as_deref(), Some("GUEST_NOT_ALLOWED"));
    assert_eq!(refused.metadata["home_directory"], format!("directories/{}", directory_id("fabrikam")));
    let refused = world.sign_up(robot(), azure(PAY_AS_YOU_GO)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(world.count("subscriptions").await, 0);
}

#[tokio::test]
async fn where_members_do_not_sign_up_administrators_still_do() {
    let world = World::new().await;
    world.change_directory(|directory| {
        directory.settings.as_mut().unwrap().members_may_create_subscriptions = Some(false);
    });
    let refused = PeerError::from(world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap_err());
    assert_eq!(refused.code, Code::PermissionDenied);
    assert_eq!(refused.reason.as_deref(), Some("MEMBER_SIGN_UP_DISABLED"));
    assert_eq!(refused.metadata["roles"], "billing-administrator,global-administrator");
    world.sign_up(person("bo"), azure(PAY_AS_YOU_GO)).await.unwrap();
}

#[tokio::test]
async fn the_free_trial_is_had_once_for_ever() {
    // S-04, P-14.
    let world = World::new().await;
    world.sign_up(person("cy"), azure(FREE_TRIAL)).await.unwrap();
    world.sign_up(person("di"), azure(PAY_AS_YOU_GO)).await.unwrap();
    world.advance_days(1_000);
    for who in ["cy", "di"] {
        assert_eq!(
            reason(world.sign_up(person(who), azure(FREE_TRIAL)).await.unwrap_err()),
            "OFFER_ALREADY_USED"
        );
    }
    world.sign_up(person("ada"), azure(FREE_TRIAL)).await.unwrap();
}

#[tokio::test]
async fn a_retry_after_its_day_is_told_that_the_request_id_was_used() {
    // K39: not what the order would be refused for now.
    let world = World::new().await;
    let request = SignUpAzureSubscriptionRequest { request_id: request_id(1), ..azure(FREE_TRIAL) };
    world.sign_up(person("cy"), request.clone()).await.unwrap();
    world.advance_days(1);
    assert_eq!(reason(world.sign_up(person("cy"), request.clone()).await.unwrap_err()), "REQUEST_ID_REUSED");
    let before = world.rows().await;
    let another = SignUpAzureSubscriptionRequest { request_id: request_id(2), ..request };
    assert_eq!(reason(world.sign_up(person("cy"), another).await.unwrap_err()), "OFFER_ALREADY_USED");
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn one_user_owns_at_most_the_quota_and_what_is_deleted_does_not_count() {
    let world = World::new().await;
    world.sign_up(person("cy"), azure(FREE_TRIAL)).await.unwrap();
    for _ in 0..2 {
        world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap();
    }
    let refused = world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap_err();
    assert_eq!((refused.code(), reason(refused)), (Code::ResourceExhausted, "SUBSCRIPTION_QUOTA".to_owned()));
    world.sign_up(person("ada"), azure(PAY_AS_YOU_GO)).await.unwrap();
    world.advance_days(120);
    world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap();
}

#[tokio::test]
async fn enterprise_and_partner_offers_and_enterprise_directories_are_refused() {
    // E-01.
    let world = World::new().await;
    let refused = PeerError::from(
        world.sign_up(person("cy"), azure("products/azure/offers/ms-azr-0017p")).await.unwrap_err(),
    );
    assert_eq!(refused.reason.as_deref(), Some("ENTERPRISE_AGREEMENT_NOT_ELIGIBLE"));
    assert_eq!(refused.metadata["contact"], "enterprise administrator");
    let partner = world.sign_up(person("cy"), azure("products/azure/offers/ms-azr-0145p")).await.unwrap_err();
    assert_eq!(reason(partner), "OFFER_NOT_AVAILABLE");
    world.change_directory(|directory| directory.agreement_type = AgreementType::Enterprise.into());
    let refused = world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap_err();
    assert_eq!(reason(refused), "ENTERPRISE_AGREEMENT_NOT_ELIGIBLE");
    assert_eq!(world.count("holds").await, 0);
}

#[tokio::test]
async fn a_broken_peer_leaves_every_table_as_it_was_and_the_retry_succeeds() {
    let world = World::new().await;
    let before = world.rows().await;
    let request = SignUpAzureSubscriptionRequest { request_id: request_id(1), ..azure(FREE_TRIAL) };
    for broken in Broken::ALL {
        world.script().broken_identity = Some(broken);
        assert_eq!(
            reason(world.sign_up(person("cy"), request.clone()).await.unwrap_err()),
            "DEPENDENCY_UNAVAILABLE"
        );
        world.script().broken_identity = None;
    }
    assert_eq!(world.rows().await, before);
    let first = world.sign_up(person("cy"), request.clone()).await.unwrap();
    assert_eq!(world.sign_up(person("cy"), request).await.unwrap(), first);
}
