//! Attaching and previewing Office 365.

use std::num::NonZeroU32;
use std::time::Duration;

use access::Caller;
use api::directory::v1::{AgreementType, DirectorySettings, directory::State as DirectoryState};
use api::subscription::v1::order_service_server::OrderService as _;
use api::subscription::v1::subscription::{Owner, State};
use api::subscription::v1::subscription_service_server::SubscriptionService as _;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, GetSubscriptionRequest, OrderPreview, PreviewOffice365OrderRequest,
    SignUpAzureSubscriptionRequest,
};
use runtime::edge::WriteLimits;
use tonic::{Code, Status};

use super::peers::Broken;
use super::world::{
    E3, PAY_AS_YOU_GO, World, azure, contoso, from, from_caller, logged, person, reason, request_id, robot,
    run, ten_seats, trial,
};

async fn preview(world: &World, who: &str, offer: &str, trial: bool) -> Result<OrderPreview, Status> {
    let seat_count = if trial { 0 } else { 10 };
    let question =
        PreviewOffice365OrderRequest { parent: contoso(), offer: offer.to_owned(), seat_count, trial };
    let answer = world.handler.preview_office365_order(from(person(who), question)).await?;
    Ok(answer.into_inner().order_preview.unwrap())
}

#[tokio::test]
async fn global_and_billing_administrators_attach_and_the_directory_owns_it() {
    // P-1, P-2, L-09.
    for who in [person("ada"), person("bo"), robot()] {
        let world = World::new().await;
        let answer = world.attach(who, ten_seats()).await.unwrap();
        let (subscription, order) = (answer.subscription.unwrap(), answer.order.unwrap());
        assert_eq!(subscription.directory, contoso());
        assert_eq!(subscription.owner, Some(Owner::OwnerDirectory(contoso())));
        assert_eq!(subscription.state(), State::Active);
        assert_eq!(subscription.seats.unwrap().purchased, 10);
        assert_eq!((order.subscription, order.place_principal), (subscription.name, who.to_string()));
        assert_eq!(order.total.unwrap().units, 2_880);
        assert!(order.name.starts_with(&contoso()) && order.receipt_number.starts_with("R-"));
        let counts = world.rows().await;
        let expected = [1, 1, 1, 1, 0, 0, 1, 2, 0];
        assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), expected, "{counts:?}");
    }
}

#[tokio::test]
async fn nobody_else_attaches_and_nothing_is_written() {
    // P-3: not a member, not a License Administrator, not another directory's administrator, not an operator.
    let world = World::new().await;
    let before = world.rows().await;
    for who in ["cy", "di", "gil", "eve@fabrikam"] {
        let status = world.attach(person(who), ten_seats()).await.unwrap_err();
        assert_eq!((status.code(), reason(status)), (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()));
    }
    let operator = from_caller(Caller::Operator("ops".to_owned()), ten_seats());
    let status = world.handler.attach_office365_subscription(operator).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(world.rows().await, before);
    assert_eq!(world.script().liens_taken, 0);
}

#[tokio::test]
async fn a_retry_gets_the_same_answer_and_has_its_effect_once() {
    // P-9; the clock has moved on, and the answer shows what was then.
    let world = World::new().await;
    let request = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..trial() };
    let first = world.attach(person("ada"), request.clone()).await.unwrap();
    world.clock.advance(std::time::Duration::from_hours(20));
    assert_eq!(world.attach(person("ada"), request.clone()).await.unwrap(), first);
    assert_eq!(world.count("subscriptions").await, 1);
    let other = AttachOffice365SubscriptionRequest { seat_count: 25, ..request.clone() };
    assert_eq!(reason(world.attach(person("ada"), other).await.unwrap_err()), "REQUEST_ID_REUSED");
    // K39: once the record is over, the derived id is still taken.
    world.advance_days(100);
    assert_eq!(
        reason(
            world
                .attach(
                    person("ada"),
                    AttachOffice365SubscriptionRequest { trial: false, seat_count: 1, ..request }
                )
                .await
                .unwrap_err()
        ),
        "REQUEST_ID_REUSED"
    );
}

#[tokio::test]
async fn a_retry_after_its_day_is_told_that_the_request_id_was_used() {
    // K39: not what the order would be refused for now, and no lien is taken for it.
    let world = World::new().await;
    let request = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..trial() };
    world.attach(person("ada"), request.clone()).await.unwrap();
    world.advance_days(1);
    assert_eq!(reason(world.attach(person("ada"), request.clone()).await.unwrap_err()), "REQUEST_ID_REUSED");
    world.advance_days(100);
    run(&world, "release holds").await.unwrap();
    assert_eq!(world.count("holds").await, 0);
    assert_eq!(reason(world.attach(person("ada"), request).await.unwrap_err()), "REQUEST_ID_REUSED");
    assert_eq!((world.count("holds").await, world.script().liens_taken), (0, 1));
    assert_eq!(reason(world.attach(person("ada"), trial()).await.unwrap_err()), "TRIAL_ALREADY_USED");
}

#[tokio::test]
async fn what_stands_against_every_order_comes_before_the_offer() {
    let world = World::new().await;
    let nothing = "products/nothing/offers/annual".to_owned();
    let reasons = async |accept_terms: bool| {
        let attach =
            AttachOffice365SubscriptionRequest { offer: nothing.clone(), accept_terms, ..ten_seats() };
        let sign_up = SignUpAzureSubscriptionRequest { accept_terms, ..azure(&nothing) };
        let attach = world.attach(person("ada"), attach).await.unwrap_err();
        let sign_up = world.sign_up(person("ada"), sign_up).await.unwrap_err();
        [reason(attach), reason(sign_up)]
    };
    assert_eq!(reasons(true).await, ["OFFER_NOT_FOUND"; 2]);
    assert_eq!(reasons(false).await, ["TERMS_NOT_ACCEPTED"; 2]);
    world.change_directory(|directory| directory.agreement_type = AgreementType::Enterprise.into());
    assert_eq!(reasons(false).await, ["ENTERPRISE_AGREEMENT_NOT_ELIGIBLE"; 2]);
    world.change_directory(|directory| directory.state = DirectoryState::Suspended.into());
    assert_eq!(reasons(false).await, ["DIRECTORY_NOT_ACTIVE"; 2]);
}

#[tokio::test]
async fn a_directory_without_settings_is_no_answer() {
    // P-3: what members may do is not guessed.
    let world = World::new().await;
    let before = world.rows().await;
    for settings in [None, Some(DirectorySettings::default())] {
        world.change_directory(|directory| directory.settings = settings);
        for refused in [
            world.attach(person("ada"), ten_seats()).await.unwrap_err(),
            world.sign_up(person("ada"), azure(PAY_AS_YOU_GO)).await.unwrap_err(),
            preview(&world, "ada", E3, true).await.unwrap_err(),
        ] {
            let told = (refused.code(), reason(refused));
            assert_eq!(told, (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned()));
        }
    }
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn a_broken_identity_or_directory_leaves_every_table_as_it_was() {
    // P-3: whatever is wrong with a peer, nothing happens; once it is back, the same request goes through.
    let world = World::new().await;
    let before = world.rows().await;
    let request = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..ten_seats() };
    for broken in Broken::ALL {
        world.script().broken_identity = Some(broken);
        let status = world.attach(person("ada"), request.clone()).await.unwrap_err();
        let told = (status.code(), reason(status));
        assert_eq!(told, (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned()), "identity {broken:?}");
        world.script().broken_identity = None;
        world.script().broken_directory = Some(broken);
        let status = world.attach(person("ada"), request.clone()).await.unwrap_err();
        let told = (status.code(), reason(status));
        assert_eq!(told, (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned()), "directory {broken:?}");
        world.script().broken_directory = None;
    }
    assert_eq!(world.rows().await, before);
    assert_eq!(world.count("refusals").await, 0);
    assert_eq!(world.script().liens_taken, 0);
    world.attach(person("ada"), request).await.unwrap();
}

#[tokio::test]
async fn a_refused_order_takes_no_lien_and_is_recorded_as_refused() {
    let world = World::new().await;
    let before = world.rows().await;
    let unaccepted = AttachOffice365SubscriptionRequest { accept_terms: false, ..ten_seats() };
    assert_eq!(reason(world.attach(person("ada"), unaccepted).await.unwrap_err()), "TERMS_NOT_ACCEPTED");
    for (offer, expected) in [
        ("products/enterprisepak/offers/annual", "OFFER_NOT_FOUND"),
        ("products/azure/offers/ms-azr-0003p", "KIND_MISMATCH"),
    ] {
        let order = AttachOffice365SubscriptionRequest { offer: offer.to_owned(), ..ten_seats() };
        assert_eq!(reason(world.attach(person("ada"), order).await.unwrap_err()), expected);
    }
    let seats = AttachOffice365SubscriptionRequest { seat_count: 0, ..ten_seats() };
    assert_eq!(reason(world.attach(person("ada"), seats).await.unwrap_err()), "SEATS_OUTSIDE_OFFER");
    world.change_directory(|directory| directory.agreement_type = AgreementType::Enterprise.into());
    let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
    assert_eq!(reason(refused), "ENTERPRISE_AGREEMENT_NOT_ELIGIBLE");
    world.change_directory(|directory| directory.state = DirectoryState::Suspended.into());
    assert_eq!(reason(world.attach(person("ada"), ten_seats()).await.unwrap_err()), "DIRECTORY_NOT_ACTIVE");
    assert_eq!(world.rows().await, before);
    assert_eq!(world.script().liens_taken, 0);
    // K15: what is wrong in itself is not recorded, the rest is.
    assert_eq!(world.count("refusals").await, 4);
}

#[tokio::test]
async fn validate_only_writes_nothing_and_names_nothing() {
    let world = World::new().await;
    let before = world.rows().await;
    let order =
        AttachOffice365SubscriptionRequest { validate_only: true, request_id: request_id(1), ..trial() };
    let answer = world.attach(person("ada"), order).await.unwrap();
    let subscription = answer.subscription.unwrap();
    assert_eq!((subscription.name.as_str(), subscription.etag.as_str()), ("", ""));
    assert_eq!(subscription.seats.unwrap().purchased, 25);
    assert_eq!(answer.order.unwrap().name, "");
    assert_eq!(world.rows().await, before);
    assert_eq!(world.script().liens_taken, 0);
    let cannot = AttachOffice365SubscriptionRequest { validate_only: true, ..ten_seats() };
    assert_eq!(world.attach(person("cy"), cannot).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_trial_runs_out_by_the_clock_and_the_product_can_be_bought_then() {
    // K27, K45, K25: no worker runs in this test.
    let world = World::new().await;
    let attached = world.attach(person("ada"), trial()).await.unwrap().subscription.unwrap();
    assert_eq!(reason(world.attach(person("ada"), trial()).await.unwrap_err()), "TRIAL_ALREADY_USED");
    for (days, expected) in [(30, State::InGrace), (30, State::Disabled)] {
        world.advance_days(days);
        let name = attached.name.clone();
        let answer =
            world.handler.get_subscription(from(person("ada"), GetSubscriptionRequest { name })).await;
        let now = answer.unwrap().into_inner().subscription.unwrap();
        assert_eq!(now.state(), expected);
        assert!(!now.trial.unwrap().active);
        let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
        assert_eq!(reason(refused), "PRODUCT_ALREADY_SUBSCRIBED");
    }
    world.advance_days(30);
    assert_eq!(reason(world.attach(person("ada"), trial()).await.unwrap_err()), "TRIAL_ALREADY_USED");
    let bought = world.attach(person("ada"), ten_seats()).await.unwrap().subscription.unwrap();
    assert_ne!(bought.name, attached.name);
    assert_eq!(world.count("subscriptions").await, 2);
    // What was announced on the way is told by the change log, in the words of the wire.
    let announced = logged(&world, "UPDATED").await;
    let [(after, fields)] = &*announced else { panic!("{announced:?}") };
    assert_eq!((fields.as_str(), &after["state"]), ("state", &"STATE_DELETED".into()));
    assert_eq!((&after["kind"], &after["revision"]), (&"KIND_OFFICE365_SEATS".into(), &2.into()));
    let now: serde_json::Value = world.clock.now().micros().into();
    assert_eq!(after["update_time"], now);
    assert_eq!(
        world.count("subscriptions WHERE announced_state = 'STATE_DELETED' AND revision = 2").await,
        1
    );
}

#[tokio::test]
async fn a_preview_shows_where_it_lands_and_what_stands_against_it() {
    //
    let world = World::new().await;
    let before = world.rows().await;
    let shown = preview(&world, "bo", E3, true).await.unwrap();
    assert_eq!(shown.directory, contoso());
    assert_eq!(shown.directory_display_name, "CONTOSO");
    assert_eq!(shown.directory_primary_domain, "contoso.tenure.internal");
    assert_eq!((shown.total.unwrap().units, shown.blockers.len()), (0, 0));
    assert!(shown.trial_end_time.is_some() && shown.first_charge_time.is_none());
    assert_eq!(preview(&world, "cy", E3, true).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(
        reason(preview(&world, "bo", "products/x/offers/y", true).await.unwrap_err()),
        "OFFER_NOT_FOUND"
    );
    assert_eq!(world.rows().await, before);

    world.attach(person("ada"), trial()).await.unwrap();
    let shown = preview(&world, "bo", E3, true).await.unwrap();
    let reasons: Vec<_> = shown.blockers.iter().map(|blocker| blocker.reason.as_str()).collect();
    assert_eq!(reasons, ["TRIAL_ALREADY_USED", "PRODUCT_ALREADY_SUBSCRIBED"]);
    world.change_directory(|directory| directory.agreement_type = AgreementType::Enterprise.into());
    let refused = preview(&world, "bo", E3, false).await.unwrap_err();
    assert_eq!(reason(refused), "ENTERPRISE_AGREEMENT_NOT_ELIGIBLE");
}

#[tokio::test]
async fn retries_and_previews_cost_a_write_too_and_who_has_none_left_reaches_nothing() {
    let limits = WriteLimits { per_second_per_principal: NonZeroU32::MIN, ..WriteLimits::default() };
    let world = World::with_limits(limits).await;
    let order = AttachOffice365SubscriptionRequest { request_id: request_id(1), ..ten_seats() };
    let preview = AttachOffice365SubscriptionRequest { validate_only: true, ..ten_seats() };
    let answer = world.attach(person("ada"), order.clone()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.attach(person("ada"), order.clone()).await.unwrap(), answer);
    }
    // That it is refused costs the same.
    world.attach(person("ada"), preview.clone()).await.unwrap_err();
    let (before, asked) = (world.rows().await, world.script().questions.len());
    for request in [order.clone(), preview, ten_seats()] {
        let throttled = world.attach(person("ada"), request).await.unwrap_err();
        assert_eq!(
            (throttled.code(), reason(throttled)),
            (Code::ResourceExhausted, "RATE_LIMITED".to_owned())
        );
    }
    assert_eq!((world.rows().await, world.script().questions.len()), (before, asked));
    assert_eq!(world.count("refusals").await, 1, "that of the preview");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.attach(person("ada"), order).await.unwrap(), answer);
}
