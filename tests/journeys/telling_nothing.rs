//! P-11: a caller of one directory learns nothing of another, present or absent.

use std::collections::BTreeMap;

use api::directory::v1::GetDirectoryRequest;
use api::identity::v1::GetUserRequest;
use api::subscription::v1::{GetOrderRequest, GetSubscriptionRequest};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::world::{E3, World};

const ABSENT: &str = "00000000-0000-4000-8000-000000000001";

/// Everything of a refusal that a client can see, without the ids that the client itself has sent.
fn seen(status: &Status, ids: &[&str]) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every refusal says why");
    let metadata: BTreeMap<_, _> = info.metadata.iter().collect();
    let others = (details.precondition_failure(), details.resource_info(), details.bad_request());
    let mut text =
        format!("{:?} {} {} {metadata:?} {others:?}", status.code(), status.message(), info.reason);
    for id in ids {
        text = text.replace(id, "…");
    }
    text
}

fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_foreign_thing_and_an_absent_one_are_refused_alike() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let answer = world.attach(&ada, world.trial_request(&ada.directory, E3)).await.unwrap();
    let (subscription, order) = (answer.subscription.unwrap().name, answer.order.unwrap().name);
    let directory = id(&ada.directory);

    let get = async |name: String| {
        world.subscriptions().get_subscription(eve.says(GetSubscriptionRequest { name })).await.unwrap_err()
    };
    let foreign = seen(&get(subscription.clone()).await, &[id(&subscription)]);
    assert_eq!(foreign, seen(&get(format!("subscriptions/{ABSENT}")).await, &[ABSENT]));
    assert!(foreign.starts_with("PermissionDenied"), "{foreign}");

    let get =
        async |name: String| world.users().get_user(eve.says(GetUserRequest { name })).await.unwrap_err();
    let foreign = seen(&get(ada.name.clone()).await, &[id(&ada.name), directory]);
    assert_eq!(foreign, seen(&get(format!("directories/{ABSENT}/users/{ABSENT}")).await, &[ABSENT]));

    let get =
        async |name: String| world.orders().get_order(eve.says(GetOrderRequest { name })).await.unwrap_err();
    let foreign = seen(&get(order.clone()).await, &[id(&order), directory]);
    assert_eq!(foreign, seen(&get(format!("directories/{ABSENT}/orders/{ABSENT}")).await, &[ABSENT]));

    let get = async |name: String| {
        world.directories().get_directory(eve.says(GetDirectoryRequest { name })).await.unwrap_err()
    };
    let foreign = seen(&get(ada.directory.clone()).await, &[directory]);
    assert_eq!(foreign, seen(&get(format!("directories/{ABSENT}")).await, &[ABSENT]));
}
