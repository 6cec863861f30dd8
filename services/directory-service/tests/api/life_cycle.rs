//! Changing and deleting a directory over the wire, and what identity is told of it.

use api::directory::v1::directory::State;
use api::directory::v1::{DeleteDirectoryRequest, DeleteLienRequest, Directory, UpdateDirectoryRequest};
use api::identity::v1::{ApplyDirectoryStateRequest, DenialReason, DirectoryState};
use kernel::new_ids;
use tonic_types::StatusExt as _;

use super::{World, lien_on, reason, told};

#[tokio::test]
async fn d_30_a_global_administrator_deletes_once_nothing_stands_in_the_way() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let lien = world.liens().create_lien(world.subscription(lien_on(&name))).await.unwrap().into_inner().lien;
    let message = DeleteDirectoryRequest {
        name: name.clone(),
        request_id: new_ids::derive(&["delete"]).to_string(),
        ..DeleteDirectoryRequest::default()
    };
    let delete = async || world.directories().delete_directory(world.member(&name, message.clone())).await;
    let refused = delete().await.unwrap_err();
    assert_eq!(told(&refused).1, "LIEN_PRESENT");
    let stopped = refused.get_details_precondition_failure().unwrap();
    assert_eq!(stopped.violations[0].subject, lien.as_ref().unwrap().name);
    assert_eq!(world.identity.script(|script| script.asked.clone()), ["tenure.directory/directories/delete"]);
    let tried = DeleteDirectoryRequest { validate_only: true, ..message.clone() };
    let tried = world.directories().delete_directory(world.member(&name, tried)).await.unwrap().into_inner();
    assert_eq!((tried.liens.as_slice(), tried.lien_count), (&[lien.clone().unwrap()][..], 1));
    assert_eq!(tried.directory.unwrap().state(), State::Active);
    let release = DeleteLienRequest { name: lien.unwrap().name, ..DeleteLienRequest::default() };
    world.liens().delete_lien(world.subscription(release)).await.unwrap();
    assert!(world.identity.script(|script| script.told.is_empty()));
    let deleted = delete().await.unwrap().into_inner().directory.unwrap();
    assert_eq!(deleted.state(), State::Deleted);
    assert_eq!(deleted.purge_time.unwrap().seconds, deleted.delete_time.unwrap().seconds + 30 * 24 * 60 * 60);
    let told = world.identity.script(|script| script.told.clone());
    let expected = ApplyDirectoryStateRequest {
        directory: name.clone(),
        state: DirectoryState::Deleted.into(),
        revision: 3,
    };
    assert_eq!(told, [expected]);
    // P-9: the retry of somebody who is nobody by now.
    world.identity.script(|script| script.denial = Some(DenialReason::DirectoryNotActive));
    assert_eq!(delete().await.unwrap().into_inner().directory.unwrap(), deleted);
}

/// P-9, where the answer got lost on the way: its caller is judged no more, and finishes what was allowed.
#[tokio::test]
async fn k_38_whoever_began_a_deletion_may_finish_it() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let message = DeleteDirectoryRequest {
        name: name.clone(),
        request_id: new_ids::derive(&["delete"]).to_string(),
        ..DeleteDirectoryRequest::default()
    };
    let delete = async |message| world.directories().delete_directory(world.member(&name, message)).await;
    world.identity.script(|script| script.deaf = true);
    assert_eq!(reason(delete(message.clone()).await), "DEPENDENCY_UNAVAILABLE");
    world.identity.script(|script| {
        script.deaf = false;
        script.denial = Some(DenialReason::DirectoryNotActive);
    });
    let other =
        DeleteDirectoryRequest { request_id: new_ids::derive(&["other"]).to_string(), ..message.clone() };
    assert_eq!(reason(delete(other).await), "PERMISSION_DENIED");
    assert_eq!(delete(message).await.unwrap().into_inner().directory.unwrap().state(), State::Deleted);
}

/// A map has no order: a retry is the same request, however often it is encoded.
#[tokio::test]
async fn p_9_labels_in_whatever_order_are_the_same_request() {
    let world = World::new().await;
    let name = world.active("contoso").await.name;
    let message = || UpdateDirectoryRequest {
        directory: Some(Directory {
            name: name.clone(),
            labels: (0..64).map(|number| (format!("key-{number}"), "value".to_owned())).collect(),
            language_code: "en-GB".to_owned(),
            ..Directory::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["labels".to_owned(), "language_code".to_owned()],
        }),
        request_id: new_ids::derive(&["update"]).to_string(),
    };
    let update = async || world.directories().update_directory(world.member(&name, message())).await;
    let first = update().await.unwrap().into_inner().directory.unwrap();
    assert_eq!((first.labels.len(), first.language_code.as_str(), first.revision), (64, "en-GB", 3));
    assert_eq!(world.identity.script(|script| script.asked.clone()), ["tenure.directory/directories/update"]);
    assert_eq!(update().await.unwrap().into_inner().directory.unwrap(), first);
    // With another id, what is already so is no change.
    let again = UpdateDirectoryRequest { request_id: String::new(), ..message() };
    let same = world.directories().update_directory(world.member(&name, again)).await.unwrap();
    assert_eq!(same.into_inner().directory.unwrap(), first);
}
