//! Journey 1, the text of 2020: a directory with Office 365; a member without any role signs up for Azure.

use api::directory::v1::ListMyDirectoriesRequest;
use api::identity::v1::ListUsersRequest;
use api::subscription::v1::subscription::{Owner, State};
use api::subscription::v1::{GetSubscriptionRequest, Kind, ListSubscriptionsRequest};

use crate::world::{E3, FREE_TRIAL, World, metadata, reason};

#[tokio::test]
async fn a_member_without_any_role_signs_up_for_azure_in_the_same_directory() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let office365 = world.attach_trial(&ada, E3).await.unwrap();
    let cy = world.add(&ada, "cy").await;
    let azure = world.azure(&cy, FREE_TRIAL).await.unwrap();
    // P-1, P-2: in the creator's directory, owned by the creator.
    assert_eq!((&azure.directory, azure.kind()), (&ada.directory, Kind::AzureUsage));
    assert_eq!(azure.owner, Some(Owner::OwnerUser(cy.name.clone())));
    assert_eq!(azure.state(), State::Active);
    assert_eq!(office365.owner, Some(Owner::OwnerDirectory(ada.directory.clone())));

    let get = GetSubscriptionRequest { name: azure.name.clone() };
    let read = world.subscriptions().get_subscription(cy.says(get)).await.unwrap().into_inner();
    assert_eq!(read.subscription.unwrap(), azure);
    let mine = ListSubscriptionsRequest { filter: "owner = users/me".to_owned(), ..Default::default() };
    let mine = world.subscriptions().list_subscriptions(cy.says(mine)).await.unwrap().into_inner();
    assert_eq!(mine.subscriptions, std::slice::from_ref(&azure));
    let all = ListSubscriptionsRequest { parent: ada.directory.clone(), ..Default::default() };
    let all = world.subscriptions().list_subscriptions(ada.says(all)).await.unwrap().into_inner();
    let names: Vec<_> = all.subscriptions.iter().map(|subscription| subscription.name.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&azure.name.as_str()) && names.contains(&office365.name.as_str()));
}

#[tokio::test]
async fn the_wrong_expected_directory_is_refused_and_the_right_one_is_told() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let other = world.sign_up("fabrikam").await;
    let before = world.row_counts().await;
    let mut request = world.azure_request(FREE_TRIAL);
    request.expected_directory = other.directory;
    let refused = world.azure_with(&ada, request).await.unwrap_err();
    assert_eq!(reason(&refused), "FailedPrecondition/DIRECTORY_MISMATCH");
    assert_eq!(metadata(&refused, "directory").as_deref(), Some(ada.directory.as_str()));
    // K15: nothing is written but the one row that records the refusal.
    let mut expected = before;
    *expected.get_mut("subscription.refusals").unwrap() += 1;
    assert_eq!(world.row_counts().await, expected);
}

#[tokio::test]
async fn all_users_are_listed_page_by_page() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    for local in ["bo", "cy", "di", "eve"] {
        world.add(&ada, local).await;
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListUsersRequest {
            parent: ada.directory.clone(),
            page_size: 2,
            page_token: token,
            ..ListUsersRequest::default()
        };
        let page = world.users().list_users(ada.says(request)).await.unwrap().into_inner();
        seen.extend(page.users.into_iter().map(|user| user.display_name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["Ada", "bo", "cy", "di", "eve"]);
    let list = ListMyDirectoriesRequest::default();
    let mine =
        world.directories().list_my_directories(ada.says(list)).await.unwrap().into_inner().directories;
    assert_eq!(
        mine.iter().map(|directory| directory.name.as_str()).collect::<Vec<_>>(),
        [ada.directory.as_str()]
    );
}
