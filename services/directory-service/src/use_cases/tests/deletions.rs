//! Deleting: what stands in the way, what is left, until when it can be had back, and what is purged.

use access::Permit;
use access::permission::WriteLiens;
use kernel::{Code, Etag, Refusal, Timestamp, reason};

use super::identity::Trouble;
use super::life_cycle::{DELETE, PLACE, method_of, resume, suspend};
use super::*;
use crate::domain::directory::State;
use crate::domain::lien::{Claim, Guarded, Restriction};
use crate::domain::life_cycle::Turn;
use crate::use_cases::{CreateLien, DeleteDirectory};

#[tokio::test]
async fn k_11_a_lien_keeps_a_directory_and_the_preflight_names_them_all() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let id = directory.id;
    for origin in ["subscriptions", "licences"] {
        world.clock.advance(Duration::from_secs(1));
        world.hold(id, origin).await.unwrap();
    }
    let before = world.rows().await;
    let refused = Refusal::from(world.turn(id, Turn::Delete).await.unwrap_err());
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::FailedPrecondition, "LIEN_PRESENT"));
    assert_eq!(refused.metadata(), [("lien_count", "2".to_owned())]);
    let named = refused.preconditions();
    assert!(named[0].subject.starts_with(&format!("directories/{id}/liens/")), "{named:?}");
    assert_eq!(
        named[1].description,
        "The directory has subscriptions. (the billing administrators, 3 blockers)"
    );
    let command = DeleteDirectory { directory: id, etag: None, allow_missing: false };
    let call = world.call(&operator(), DELETE);
    let preflight = world.use_cases.would_delete_directory(&call, &command).await.unwrap().unwrap();
    let origins: Vec<_> = preflight.liens.iter().map(|lien| lien.claim.origin.as_str()).collect();
    assert_eq!((origins, preflight.count), (vec!["subscriptions", "licences"], 2));
    assert_eq!(preflight.directory.purge_time, Some(call.now.plus(Duration::from_hours(30 * 24))));
    assert_eq!(world.rows().await, before);
    assert_eq!((world.read(id).await.unwrap(), world.told.calls()), (directory, 0));
}

#[tokio::test]
async fn a_lien_on_a_domain_does_not_keep_its_directory() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let claim = Claim {
        guarded: Guarded::Domain(directory.initial_domain.clone()),
        restrictions: [Restriction::DeleteDomain].into(),
        reason: "names".to_owned(),
        origin: "identity".to_owned(),
        holder: String::new(),
        revision: 1,
        blockers: Vec::new(),
        blocker_count: 0,
    };
    let command = CreateLien { directory: directory.id, claim };
    world.use_cases.create_lien(&world.call(&SUBSCRIPTION, PLACE), &command).await.unwrap();
    assert_eq!(world.turn(directory.id, Turn::Delete).await.unwrap().state, State::Deleted);
}

#[tokio::test]
async fn liens_are_refused_from_the_first_half_on() {
    let world = World::new().await;
    for turn in [suspend(), Turn::Delete] {
        let id = world.active(&format!("contoso-{}", method_of(&turn).len())).await.id;
        world.told.has(Some(Trouble::Deaf));
        world.turn(id, turn).await.unwrap_err();
        world.told.has(None);
        let refused = world.hold(id, "subscriptions").await.unwrap_err();
        assert!(matches!(refused, Refused::DirectoryNotActive { .. }));
    }
}

#[tokio::test]
async fn an_etag_guards_a_deletion_and_not_the_retry_of_it() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let delete =
        |etag: Etag| DeleteDirectory { directory: directory.id, etag: Some(etag), allow_missing: false };
    let call = world.call_with(&operator(), DELETE, Some(1), 1);
    let stale = world.use_cases.delete_directory(&call, &delete(Etag::of(1))).await.unwrap_err();
    assert_eq!(Refusal::from(stale).reason(), reason::ETAG_MISMATCH);
    let stale = world.use_cases.would_delete_directory(&call, &delete(Etag::of(1))).await.unwrap_err();
    assert_eq!(Refusal::from(stale).reason(), reason::ETAG_MISMATCH);
    world.told.has(Some(Trouble::AnswerLost));
    let present = delete(Etag::of(directory.revision));
    world.use_cases.delete_directory(&call, &present).await.unwrap_err();
    world.told.has(None);
    let deleted = world.use_cases.delete_directory(&call, &present).await.unwrap().unwrap();
    assert_eq!(deleted.state, State::Deleted);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_unless_that_is_fine() {
    let world = World::new().await;
    let deleted = world.active("contoso").await.id;
    world.turn(deleted, Turn::Delete).await.unwrap();
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    let call = world.call(&operator(), DELETE);
    for directory in [deleted, nowhere] {
        for (allow_missing, found) in [(false, false), (true, true)] {
            let command = DeleteDirectory { directory, etag: None, allow_missing };
            let deleted = world.use_cases.delete_directory(&call, &command).await;
            let tried = world.use_cases.would_delete_directory(&call, &command).await;
            assert_eq!((deleted.is_ok(), tried.is_ok()), (found, found));
            assert!(deleted.is_ok_and(|answer| answer.is_none()) == allow_missing);
        }
    }
    for turn in [suspend(), resume(), Turn::Undelete] {
        assert!(matches!(world.turn(nowhere, turn).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    }
}

#[tokio::test]
async fn a_deleted_directory_is_read_and_keeps_its_names_until_it_is_purged() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let deleted = world.turn(directory.id, Turn::Delete).await.unwrap();
    assert_eq!(world.read(directory.id).await.unwrap(), deleted);
    assert!(matches!(world.create("contoso").await.unwrap_err(), Refused::InitialDomainTaken(_)));
    let resolved = world.use_cases.resolve_domain(&IDENTITY, &directory.initial_domain).await.unwrap_err();
    assert!(matches!(resolved, Refused::DomainNotFound(_)));
    let back = world.turn(directory.id, Turn::Undelete).await.unwrap();
    assert_eq!(Directory { update_time: directory.update_time, revision: 2, ..back }, directory);
    let resolved = world.use_cases.resolve_domain(&IDENTITY, &directory.initial_domain).await.unwrap();
    assert_eq!(resolved, directory.id);
}

#[tokio::test]
async fn p_14_a_purge_time_is_over_by_the_clock_and_nothing_is_purged_before() {
    let world = World::new().await;
    let id = world.active("contoso").await.id;
    let purge_time = world.turn(id, Turn::Delete).await.unwrap().purge_time.unwrap();
    let last = Timestamp::from_micros(purge_time.micros() - 1);
    world.clock.advance(last.since(world.clock.now()));
    assert!(!world.use_cases.purge_a_directory().await.unwrap());
    world.read(id).await.unwrap();
    world.clock.advance(Duration::from_micros(1));
    assert!(matches!(world.read(id).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    let page = crate::use_cases::Page { size: 10, token: String::new() };
    let listed = world.use_cases.list_liens(&operator(), id, &page).await.unwrap_err();
    assert!(matches!(listed, Refused::DirectoryNotFound(_)));
    assert!(world.use_cases.purge_a_directory().await.unwrap());
}

#[tokio::test]
async fn d_36_k_37_after_the_purge_id_and_initial_label_are_left_for_ever() {
    let world = World::new().await;
    let directory = world.active("contoso").await;
    let id = directory.id;
    add_domain(&world, id, "contoso.com").await;
    let other = world.active("fabrikam").await.id;
    add_domain(&world, other, "fabrikam.com").await;
    let purge_time = world.turn(id, Turn::Delete).await.unwrap().purge_time.unwrap();
    world.clock.advance(purge_time.since(world.clock.now()));
    let late = Refusal::from(world.turn(id, Turn::Undelete).await.unwrap_err());
    assert_eq!((late.code(), late.reason().as_str()), (Code::FailedPrecondition, "PURGE_STARTED"));
    assert!(matches!(world.read(id).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    assert!(world.use_cases.purge_a_directory().await.unwrap());
    assert!(!world.use_cases.purge_a_directory().await.unwrap(), "once");
    // Attack 40: still nobody has it, nobody takes it back, and nobody is given its label.
    assert!(matches!(world.read(id).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    assert!(matches!(world.turn(id, Turn::Undelete).await.unwrap_err(), Refused::PurgeStarted(_)));
    assert!(matches!(world.turn(id, Turn::Delete).await.unwrap_err(), Refused::DirectoryNotFound(_)));
    assert!(matches!(world.create("contoso").await.unwrap_err(), Refused::InitialDomainTaken(_)));
    assert_eq!(world.count("directories WHERE display_name = ''").await, 1);
    let claims = "domain_claims WHERE domain IN ('contoso.tenure.internal', 'fabrikam.tenure.internal', 'fabrikam.com')";
    assert_eq!((world.count(claims).await, world.count("domain_claims").await), (3, 3));
    assert_eq!(world.count("domains").await, 2, "those of the other directory");
    let kinds = world.kinds(id).await;
    assert_eq!(kinds.last().unwrap(), &("PURGED".to_owned(), "workers/purge".to_owned()));
}

/// A verified domain beside the initial one, as the rows have it.
async fn add_domain(world: &World, id: DirectoryId, domain: &'static str) {
    let permit = Permit::<WriteLiens>::for_worker(id, "a test", world.clock.now());
    let mut tx = world.database.db.write().await.unwrap();
    let claim = "INSERT INTO domain_claims (domain, directory) VALUES ($1, $2)";
    let insert = "INSERT INTO domains (directory, domain, state, create_time, verify_time)
        VALUES ($2, $1, 'VERIFIED', 1, 1)";
    for statement in [claim, insert] {
        on!(&mut tx, |c| sqlx::query(statement).bind(domain).bind(id.uuid()).execute(c).await.map(|_| ()))
            .unwrap();
    }
    tx.commit(&permit, &world.clock.clock()).await.unwrap();
}
