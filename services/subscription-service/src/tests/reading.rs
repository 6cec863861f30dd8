//! The catalogue, subscriptions and orders as they are read, and requests that are wrong in themselves.

use std::time::Duration;

use api::subscription::v1::catalog_service_server::CatalogService as _;
use api::subscription::v1::order_service_server::OrderService as _;
use api::subscription::v1::subscription_service_server::SubscriptionService as _;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, GetOfferRequest, GetOrderRequest, GetProductRequest,
    GetSubscriptionRequest, ListOffersRequest, ListOrdersRequest, ListProductsRequest,
    ListSubscriptionsRequest,
};
use kernel::{Principal, Timestamp};
use runtime::peer::PeerError;
use test_support::clock::START;
use tonic::{Code, Status};

use super::world::{
    E3, FREE_TRIAL, PAY_AS_YOU_GO, World, azure, contoso, directory_id, from, person, reason, robot,
    ten_seats, trial,
};
use crate::domain::lifecycle::State;

async fn get(world: &World, who: &str, name: &str) -> Result<String, Status> {
    let request = GetSubscriptionRequest { name: name.to_owned() };
    let answer = world.handler.get_subscription(from(person(who), request)).await?;
    Ok(answer.into_inner().subscription.unwrap().name)
}

/// The names that a list shows, page by page.
async fn list(
    world: &World,
    who: Principal,
    parent: &str,
    filter: &str,
    page_size: i32,
) -> Result<Vec<String>, Status> {
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let (parent, filter) = (parent.to_owned(), filter.to_owned());
        let request = ListSubscriptionsRequest { parent, page_size, page_token, filter };
        let page = world.handler.list_subscriptions(from(who, request)).await?.into_inner();
        let is_last = page.next_page_token.is_empty();
        assert!(
            is_last || i32::try_from(page.subscriptions.len()) == Ok(page_size),
            "a page is full until the last"
        );
        names.extend(page.subscriptions.into_iter().map(|one| one.name));
        page_token = page.next_page_token;
        if is_last {
            return Ok(names);
        }
    }
}

#[tokio::test]
async fn owners_and_readers_get_a_subscription_and_all_others_are_told_alike() {
    // K33: absent, foreign, and another member's.
    let world = World::new().await;
    let name = world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap().subscription.unwrap().name;
    for who in ["cy", "ada", "bo"] {
        assert_eq!(get(&world, who, &name).await.unwrap(), name);
    }
    let absent = format!("subscriptions/{}", directory_id("no subscription"));
    let told = |status: Status| {
        let error = PeerError::from(status);
        (error.code, error.reason, error.metadata["roles"].clone(), error.message)
    };
    let expected = told(get(&world, "di", &absent).await.unwrap_err());
    assert_eq!(expected.0, Code::PermissionDenied);
    assert_eq!(told(get(&world, "di", &name).await.unwrap_err()), expected);
    assert_eq!(told(get(&world, "eve@fabrikam", &name).await.unwrap_err()), expected);
    assert_eq!(told(get(&world, "eve@fabrikam", &absent).await.unwrap_err()), expected);
    assert_eq!(told(get(&world, "ada", &absent).await.unwrap_err()), expected);
}

#[tokio::test]
async fn lists_show_to_each_what_is_theirs_to_see() {
    let world = World::new().await;
    let trial_name = world.sign_up(person("cy"), azure(FREE_TRIAL)).await.unwrap().subscription.unwrap().name;
    world.clock.advance(Duration::from_secs(1));
    let office = world.attach(person("ada"), ten_seats()).await.unwrap().subscription.unwrap().name;
    world.clock.advance(Duration::from_secs(1));
    let usage = world.sign_up(person("ada"), azure(PAY_AS_YOU_GO)).await.unwrap().subscription.unwrap().name;
    let (ada, cy) = (person("ada"), person("cy"));
    let all = [&*trial_name, &*office, &*usage];
    for page_size in [0, 2] {
        assert_eq!(list(&world, ada, &contoso(), "", page_size).await.unwrap(), all);
    }
    assert_eq!(list(&world, cy, &contoso(), "", 0).await.unwrap(), std::slice::from_ref(&trial_name));
    assert_eq!(list(&world, ada, "", "owner = users/me", 0).await.unwrap(), std::slice::from_ref(&usage));
    assert_eq!(list(&world, cy, "", "owner = users/me", 0).await.unwrap(), std::slice::from_ref(&trial_name));
    let owner = format!("owner = \"{cy}\"");
    assert_eq!(list(&world, ada, &contoso(), &owner, 0).await.unwrap(), std::slice::from_ref(&trial_name));
    assert_eq!(
        list(&world, ada, &contoso(), "kind = KIND_OFFICE365_SEATS", 0).await.unwrap(),
        std::slice::from_ref(&office)
    );
    assert_eq!(
        list(&world, ada, &contoso(), &format!("offer = \"{E3}\""), 0).await.unwrap(),
        std::slice::from_ref(&office)
    );
    // All conditions hold together; equal and different leave nothing out and nothing twice.
    let (directory_owns, kind) = (format!("owner = \"{}\"", contoso()), "kind != KIND_AZURE_USAGE");
    for (filter, expected) in [
        (directory_owns.clone(), vec![&office]),
        (format!("{directory_owns} AND {kind}"), vec![&office]),
        (directory_owns.replace('=', "!="), vec![&trial_name, &usage]),
        (owner.replace('=', "!="), vec![&office, &usage]),
        (format!("{owner} AND {kind}"), vec![]),
        (format!("offer != \"{E3}\" AND owner != users/me"), vec![&trial_name]),
        (format!("offer != \"{E3}\" AND offer != \"{FREE_TRIAL}\""), vec![&usage]),
        ("offer = nothing".to_owned(), vec![]),
        ("offer != nothing AND state != STATE_WARNED".to_owned(), vec![&trial_name, &office, &usage]),
        ("state = STATE_WARNED".to_owned(), vec![]),
        (format!("owner = \"{}\"", person("eve@fabrikam")), vec![]),
        (format!("owner = \"{}\"", robot()), vec![]),
    ] {
        let listed = list(&world, ada, &contoso(), &filter, 1).await.unwrap();
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    // What a member does not own stays hidden whatever the filter says.
    for filter in [&*directory_owns, "owner != users/me"] {
        assert_eq!(list(&world, cy, &contoso(), filter, 0).await.unwrap(), [""; 0], "{filter}");
    }
    assert_eq!(list(&world, robot(), "", "owner = users/me", 0).await.unwrap(), [""; 0]);
    // K27: the state is judged now.
    world.advance_days(31);
    assert_eq!(list(&world, ada, &contoso(), "state = STATE_DISABLED", 1).await.unwrap(), [trial_name]);
    assert_eq!(list(&world, ada, &contoso(), "state != STATE_DISABLED", 1).await.unwrap(), [office, usage]);
    let foreign = list(&world, person("eve@fabrikam"), &contoso(), "", 0).await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn lists_by_state_show_the_state_that_each_is_shown_in() {
    // K27: at every instant around the changes of a life, each subscription is in exactly the list of its state.
    let world = World::new().await;
    world.attach(person("ada"), trial()).await.unwrap();
    world.sign_up(person("cy"), azure(FREE_TRIAL)).await.unwrap();
    for day in [30, 60, 90, 120] {
        let change = START.plus(Duration::from_hours(24 * day));
        for instant in [Timestamp::from_micros(change.micros() - 1), change] {
            world.clock.advance(instant.since(world.clock.now()));
            let mut seen = 0;
            for state in State::ALL {
                let filter = format!("state = {}", state.as_str());
                let listed = ListSubscriptionsRequest {
                    parent: contoso(),
                    filter: filter.clone(),
                    ..ListSubscriptionsRequest::default()
                };
                let listed = world.handler.list_subscriptions(from(person("ada"), listed)).await.unwrap();
                let listed = listed.into_inner().subscriptions;
                assert!(listed.iter().all(|one| one.state().as_str_name() == state.as_str()), "{filter}");
                let others = filter.replace('=', "!=");
                let others = list(&world, person("ada"), &contoso(), &others, 0).await.unwrap();
                assert_eq!(listed.len() + others.len(), 2, "{filter}");
                seen += listed.len();
            }
            assert_eq!(seen, 2, "{instant:?}");
        }
    }
}

#[tokio::test]
async fn buyers_and_readers_see_orders() {
    let world = World::new().await;
    world.attach(person("ada"), trial()).await.unwrap();
    let order = world.sign_up(person("cy"), azure(PAY_AS_YOU_GO)).await.unwrap().order.unwrap();
    let orders = async |who: &str| {
        let request = ListOrdersRequest { parent: contoso(), ..ListOrdersRequest::default() };
        world.handler.list_orders(from(person(who), request)).await.unwrap().into_inner().orders
    };
    assert_eq!(orders("bo").await.len(), 2);
    assert_eq!(orders("cy").await, std::slice::from_ref(&order));
    assert_eq!(orders("di").await, []);
    let read = async |who: &str, name: &str| {
        let request = GetOrderRequest { name: name.to_owned() };
        world
            .handler
            .get_order(from(person(who), request))
            .await
            .map(|answer| answer.into_inner().order.unwrap())
    };
    assert_eq!(read("cy", &order.name).await.unwrap(), order);
    assert_eq!(read("bo", &order.name).await.unwrap(), order);
    assert_eq!(read("di", &order.name).await.unwrap_err().code(), Code::PermissionDenied);
    let absent = format!("{}/orders/{}", contoso(), directory_id("no order"));
    assert_eq!(read("di", &absent).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(reason(read("bo", &absent).await.unwrap_err()), "ORDER_NOT_FOUND");
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page_by_every_signed_in_user() {
    let world = World::new().await;
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let filter = "kind = KIND_AZURE_USAGE".to_owned();
        let request =
            ListOffersRequest { parent: "products/-".to_owned(), page_size: 10, page_token, filter };
        let page = world.handler.list_offers(from(person("gil"), request)).await.unwrap().into_inner();
        names.extend(page.offers.into_iter().map(|offer| offer.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((names.len(), names.is_sorted()), (33, true));
    let filter = "family = FAMILY_OFFICE365".to_owned();
    let request = ListProductsRequest { page_size: 1_000, filter, ..ListProductsRequest::default() };
    let products =
        world.handler.list_products(from(person("cy"), request)).await.unwrap().into_inner().products;
    assert_eq!(products.len(), 90);
    let offer = world.handler.get_offer(from(person("cy"), GetOfferRequest { name: E3.to_owned() })).await;
    assert_eq!(offer.unwrap().into_inner().offer.unwrap().unit_price.unwrap().units, 288);
    let missing = GetProductRequest { name: "products/nothing".to_owned() };
    let missing = world.handler.get_product(from(person("cy"), missing)).await.unwrap_err();
    assert_eq!(reason(missing), "PRODUCT_NOT_FOUND");
}

#[tokio::test]
async fn every_wrong_field_is_told_at_once() {
    let world = World::new().await;
    let wrong = AttachOffice365SubscriptionRequest {
        parent: "directories/x".to_owned(),
        offer: "products/E3/offers/annual".to_owned(),
        seat_count: -1,
        display_name: "x".repeat(257),
        request_id: "nil".to_owned(),
        ..ten_seats()
    };
    let status = world.attach(person("ada"), wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    for field in ["parent", "offer", "seat_count", "display_name", "request_id"] {
        assert!(status.message().contains(field), "{field} in {:?}", status.message());
    }
    let ada = person("ada");
    for (parent, filter, size, expected) in [
        ("", "", 0, "FIELD_INVALID"),
        ("", "owner != users/me", 0, "FIELD_INVALID"),
        (&*contoso(), "state = ACTIVE", 0, "FILTER_INVALID"),
        (&*contoso(), "display_name = x", 0, "FILTER_INVALID"),
        (&*contoso(), "", -1, "FIELD_INVALID"),
    ] {
        assert_eq!(
            reason(list(&world, ada, parent, filter, size).await.unwrap_err()),
            expected,
            "{parent} {filter}"
        );
    }
}
