//! Journey 2, the text of 2017: an Azure owner attaches Office 365 to the directory.

use api::identity::v1::ListUsersRequest;
use api::subscription::v1::subscription::Owner;
use api::subscription::v1::{GetOrderRequest, Kind, ListOrdersRequest, PreviewOffice365OrderRequest};

use crate::world::{E3, E5, PAY_AS_YOU_GO, VISIO, World, metadata, reason};

#[tokio::test]
async fn the_azure_owner_previews_and_attaches_and_the_directory_owns_it() {
    let world = World::new().await;
    let kim = world.sign_up("contoso").await;
    let azure = world.azure(&kim, PAY_AS_YOU_GO).await.unwrap();
    let preview = PreviewOffice365OrderRequest {
        parent: kim.directory.clone(),
        offer: E3.to_owned(),
        trial: true,
        ..PreviewOffice365OrderRequest::default()
    };
    let before = world.row_counts().await;
    let preview = world.orders().preview_office365_order(kim.says(preview)).await.unwrap();
    assert_eq!(world.row_counts().await, before, "a preview writes nothing");
    let preview = preview.into_inner().order_preview.unwrap();
    assert_eq!(preview.directory, kim.directory);
    assert_eq!(preview.directory_display_name, "The contoso company");
    assert_eq!(preview.directory_primary_domain, "contoso.tenure.internal");
    assert!(preview.trial_end_time.is_some() && preview.blockers.is_empty());

    let answer = world.attach(&kim, world.trial_request(&kim.directory, E3)).await.unwrap();
    let (office365, order) = (answer.subscription.unwrap(), answer.order.unwrap());
    assert_eq!((&office365.directory, office365.kind()), (&azure.directory, Kind::Office365Seats));
    assert_eq!(office365.owner, Some(Owner::OwnerDirectory(kim.directory.clone())));
    assert_eq!(office365.seats.as_ref().unwrap().purchased, 25, "L-01");
    assert_eq!((&order.subscription, order.trial), (&office365.name, true));
    let receipt =
        world.orders().get_order(kim.says(GetOrderRequest { name: order.name.clone() })).await.unwrap();
    assert_eq!(receipt.into_inner().order.unwrap(), order);
    let orders = ListOrdersRequest { parent: kim.directory.clone(), ..ListOrdersRequest::default() };
    let orders = world.orders().list_orders(kim.says(orders)).await.unwrap().into_inner().orders;
    assert_eq!(orders.len(), 2);
}

#[tokio::test]
async fn a_billing_administrator_may_and_others_are_told_which_roles_would_do() {
    let world = World::new().await;
    let kim = world.sign_up("contoso").await;
    let bo = world.add(&kim, "bo").await;
    world.give(&kim, &bo, "billing-administrator").await;
    world.attach_trial(&bo, VISIO).await.unwrap();
    let lea = world.add(&kim, "lea").await;
    world.give(&kim, &lea, "license-administrator").await;
    let cy = world.add(&kim, "cy").await;
    for person in [&lea, &cy] {
        let refused = world.attach_trial(person, E5).await.unwrap_err();
        assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
        let roles = metadata(&refused, "roles");
        assert_eq!(roles.as_deref(), Some("billing-administrator,global-administrator"));
    }
}

#[tokio::test]
async fn active_users_are_listed() {
    let world = World::new().await;
    let kim = world.sign_up("contoso").await;
    world.add(&kim, "bo").await;
    let list = |filter: &str| ListUsersRequest {
        parent: kim.directory.clone(),
        filter: filter.to_owned(),
        ..ListUsersRequest::default()
    };
    let active = world.users().list_users(kim.says(list("state = STATE_ACTIVE"))).await.unwrap().into_inner();
    assert_eq!(active.users.len(), 2);
    let disabled =
        world.users().list_users(kim.says(list("state = STATE_DISABLED"))).await.unwrap().into_inner();
    assert!(disabled.users.is_empty());
}
