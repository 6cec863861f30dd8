//! Reading: who may, in pages, by an index.

use kernel::{Refusal, reason};

use super::*;
use crate::store;
use crate::use_cases::Page;

fn first(size: i64) -> Page {
    Page { size, token: String::new() }
}

#[tokio::test]
async fn all_directories_are_listed_for_operators_without_the_deleted_ones() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for label in ["a", "b", "c"] {
        expected.push(world.active(label).await);
    }
    let provisioning = world.create("d").await.unwrap();
    let abandoned = world.create("e").await.unwrap();
    world.abandon(abandoned.id).await.unwrap();
    expected.push(provisioning);
    expected.sort_by_key(|directory| (directory.create_time, directory.id));
    let (mut listed, mut page) = (Vec::new(), first(2));
    loop {
        let (directories, next) = world.use_cases.list_directories(&operator(), &page).await.unwrap();
        assert_eq!(directories.len(), 2);
        listed.extend(directories);
        if next.is_empty() {
            break;
        }
        page.token = next;
    }
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn members_list_and_resolve_nothing_of_the_installation() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let caller = member(directory.id);
    let listed = world.use_cases.list_directories(&caller, &first(50)).await.map(|_| ());
    let known = world.use_cases.resolve_domain(&caller, &directory.initial_domain).await.map(|_| ());
    let unknown = "nobody.tenure.internal".parse().unwrap();
    let unknown = world.use_cases.resolve_domain(&caller, &unknown).await.map(|_| ());
    for result in [listed, known, unknown] {
        assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::PERMISSION_DENIED);
    }
}

#[tokio::test]
async fn p_11_a_foreign_directory_is_refused_before_anything_is_asked() {
    let world = World::new().await;
    let (own, foreign) = (world.active("contoso").await.id, world.active("fabrikam").await.id);
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    let mut answers = Vec::new();
    for target in [foreign, nowhere] {
        let refusal = Refusal::from(world.use_cases.get_directory(&member(own), target).await.unwrap_err());
        assert_eq!(refusal.reason(), reason::PERMISSION_DENIED);
        answers.push(format!("{refusal:?}").replace(&target.to_string(), "*"));
        let refusal =
            Refusal::from(world.use_cases.list_liens(&member(own), target, &first(1)).await.unwrap_err());
        assert_eq!(refusal.reason(), reason::PERMISSION_DENIED);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn p_3_without_identity_no_member_is_answered() {
    let world = World::new().await;
    let own = world.active("contoso").await.id;
    let read = world.use_cases.get_directory(&member(own), own).await.map(|_| ());
    let mine = world.use_cases.list_my_directories(&member(own), &first(50)).await.map(|_| ());
    for result in [read, mine] {
        assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::DEPENDENCY_UNAVAILABLE);
    }
}

#[tokio::test]
async fn only_people_have_directories_of_their_own() {
    let world = World::new().await;
    for caller in [operator(), IDENTITY] {
        let refused = world.use_cases.list_my_directories(&caller, &first(50)).await.unwrap_err();
        assert_eq!(Refusal::from(refused).reason(), reason::PERMISSION_DENIED);
    }
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_and_caller_only() {
    let world = World::new().await;
    for label in ["a", "b"] {
        world.active(label).await;
    }
    let (_, token) = world.use_cases.list_directories(&operator(), &first(1)).await.unwrap();
    let page = Page { size: 1, token };
    assert!(world.use_cases.list_directories(&operator(), &page).await.is_ok());
    let other = Caller::Operator("another".to_owned());
    let refused = world.use_cases.list_directories(&other, &page).await.unwrap_err();
    assert_eq!(Refusal::from(refused).reason(), reason::PAGE_TOKEN_INVALID);
}

#[tokio::test]
async fn k_32_every_list_is_read_from_an_index_in_its_order() {
    let world = World::new().await;
    for (select, index, order) in [
        (store::directories::PAGE, "directories_by_create_time", "create_time, id"),
        (store::domains::PAGE, "domains_by_create_time", "create_time, domain"),
        (store::liens::PAGE, "liens_by_create_time", "create_time, id"),
    ] {
        test_support::plan::assert_seeks(&world.database.db, select, index, order).await;
    }
}
