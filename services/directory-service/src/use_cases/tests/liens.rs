//! Placing, replacing and removing liens.

use kernel::{Code, LienId, Refusal, reason};

use super::*;
use crate::domain::directory::State;
use crate::domain::lien::{Blocker, Claim, Guarded, Lien, Restriction};
use crate::use_cases::{CreateLien, DeleteLien};

const PLACE: &str = "/tenure.directory.v1.LienService/CreateLien";
const REMOVE: &str = "/tenure.directory.v1.LienService/DeleteLien";

fn claim(origin: &str, revision: i64) -> Claim {
    Claim {
        guarded: Guarded::Directory,
        restrictions: [Restriction::DeleteDirectory].into(),
        reason: "subscriptions".to_owned(),
        origin: origin.to_owned(),
        holder: "the billing administrators".to_owned(),
        revision,
        blockers: vec![Blocker {
            resource: "subscriptions/1".to_owned(),
            state: "STATE_ACTIVE".to_owned(),
            earliest_clear_time: Some(test_support::clock::START),
        }],
        blocker_count: 7,
    }
}

impl World {
    async fn place(&self, caller: &Caller, directory: DirectoryId, claim: Claim) -> Result<Lien, Refused> {
        let command = CreateLien { directory, claim };
        self.use_cases.create_lien(&self.call(caller, PLACE), &command).await
    }

    async fn remove(
        &self,
        caller: &Caller,
        directory: DirectoryId,
        lien: LienId,
        allow_missing: bool,
    ) -> Result<(), Refused> {
        let command = DeleteLien { directory, lien, allow_missing };
        self.use_cases.delete_lien(&self.call(caller, REMOVE), command).await
    }
}

#[tokio::test]
async fn a_lien_is_read_as_it_was_placed() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let lien = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    assert_eq!(lien.create_principal, "services/subscription-service");
    assert_eq!(world.use_cases.get_lien(&operator(), directory, lien.id).await.unwrap(), lien);
    let guarded = Guarded::Domain("contoso.tenure.internal".parse().unwrap());
    let on_domain = Claim { guarded, ..claim("subscriptions", 5) };
    let second = world.place(&SUBSCRIPTION, directory, on_domain).await.unwrap();
    assert_eq!(world.use_cases.get_lien(&operator(), directory, second.id).await.unwrap(), second);
    assert_eq!(world.count("liens").await, 2);
}

#[tokio::test]
async fn k_11_the_same_or_a_lower_revision_changes_nothing_and_a_higher_one_replaces() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let first = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    let before = world.rows().await;
    for revision in [5, 4] {
        let again = world.place(&SUBSCRIPTION, directory, claim("subscriptions", revision)).await.unwrap();
        assert_eq!(again, first);
    }
    assert_eq!(world.rows().await, before);
    let second = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 6)).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(world.count("liens").await, 1);
    // What removes the earlier one, and comes late, removes nothing.
    world.remove(&SUBSCRIPTION, directory, first.id, true).await.unwrap();
    let missing = world.use_cases.get_lien(&operator(), directory, first.id).await.unwrap_err();
    assert!(matches!(missing, Refused::LienNotFound { .. }));
    assert_eq!(world.use_cases.get_lien(&operator(), directory, second.id).await.unwrap(), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_liens_of_one_origin_leave_one_row() {
    let world = Arc::new(World::new().await);
    let directory = world.active("contoso").await.id;
    for (count, revision) in [(2_u128, 5), (32, 6)] {
        let outcomes =
            at_once(count, |_| {
                let world = Arc::clone(&world);
                async move {
                    world.place(&SUBSCRIPTION, directory, claim("subscriptions", revision)).await.unwrap()
                }
            })
            .await;
        assert!(outcomes.iter().all(|lien| *lien == outcomes[0]));
        assert_eq!(world.count("liens").await, 1);
    }
    let racing = at_once(32, |number| {
        let world = Arc::clone(&world);
        let revision = i64::try_from(number).unwrap() + 7;
        async move { world.place(&SUBSCRIPTION, directory, claim("subscriptions", revision)).await.unwrap() }
    })
    .await;
    let highest = racing.iter().map(|lien| lien.claim.revision).max();
    assert_eq!((highest, world.count("liens WHERE revision = 38").await), (Some(38), 1));
    assert_eq!(world.count("liens").await, 1);
}

#[tokio::test]
async fn liens_are_placed_on_active_directories_and_their_own_domains_only() {
    let world = World::new().await;
    let provisioning = world.create("contoso").await.unwrap();
    let refused = world.place(&SUBSCRIPTION, provisioning.id, claim("a", 1)).await.unwrap_err();
    assert!(matches!(refused, Refused::DirectoryNotActive { state: State::Provisioning, .. }));
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    let refused = world.place(&SUBSCRIPTION, nowhere, claim("a", 1)).await.unwrap_err();
    assert!(matches!(refused, Refused::DirectoryNotFound(_)));
    let active = world.active("fabrikam").await;
    let guarded = Guarded::Domain(provisioning.initial_domain);
    let foreign =
        world.place(&SUBSCRIPTION, active.id, Claim { guarded, ..claim("a", 1) }).await.unwrap_err();
    assert!(matches!(foreign, Refused::DomainNotFound(_)));
    assert_eq!(world.count("liens").await, 0);
}

#[tokio::test]
async fn only_the_creator_and_operators_remove_a_lien() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let lien = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    let refusal = Refusal::from(world.remove(&IDENTITY, directory, lien.id, false).await.unwrap_err());
    assert_eq!((refusal.code(), refusal.reason().as_str()), (Code::PermissionDenied, "NOT_LIEN_CREATOR"));
    world.remove(&operator(), directory, lien.id, false).await.unwrap();
    let refusal = Refusal::from(world.remove(&operator(), directory, lien.id, false).await.unwrap_err());
    assert_eq!((refusal.code(), refusal.reason().as_str()), (Code::NotFound, "LIEN_NOT_FOUND"));
    world.remove(&operator(), directory, lien.id, true).await.unwrap();
    let by_operator = world.place(&operator(), directory, claim("subscriptions", 1)).await.unwrap();
    world.remove(&SUBSCRIPTION, directory, by_operator.id, false).await.unwrap_err();
}

#[tokio::test]
async fn members_neither_place_nor_remove_liens_whatever_is_there() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let lien = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    let nowhere = DirectoryId::from_uuid(new_ids::derive(&["nowhere"]));
    for target in [directory, nowhere] {
        let placed = world.place(&member(directory), target, claim("a", 1)).await.map(|_| ());
        let removed = world.remove(&member(directory), target, lien.id, true).await;
        for result in [placed, removed] {
            assert_eq!(Refusal::from(result.unwrap_err()).reason(), reason::PERMISSION_DENIED);
        }
    }
    assert_eq!(world.count("liens").await, 1);
}

#[tokio::test]
async fn p_9_removing_is_replayed_and_removes_no_later_lien() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let lien = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    let call = world.call_with(&SUBSCRIPTION, REMOVE, Some(1), 1);
    let command = DeleteLien { directory, lien: lien.id, allow_missing: false };
    world.use_cases.delete_lien(&call, command).await.unwrap();
    world.place(&SUBSCRIPTION, directory, claim("subscriptions", 6)).await.unwrap();
    world.use_cases.delete_lien(&call, command).await.unwrap();
    assert_eq!(world.count("liens").await, 1);
}

#[tokio::test]
async fn k_11_what_asks_late_for_a_lien_that_was_removed_does_not_bring_it_back() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    let lien = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 6)).await.unwrap();
    world.remove(&SUBSCRIPTION, directory, lien.id, false).await.unwrap();
    let before = world.rows().await;
    for revision in [5, 6] {
        let late = world.place(&SUBSCRIPTION, directory, claim("subscriptions", revision)).await.unwrap_err();
        let refusal = Refusal::from(late);
        assert_eq!((refusal.code(), refusal.reason().as_str()), (Code::FailedPrecondition, "LIEN_REMOVED"));
        assert_eq!(refusal.metadata(), [("removed_revision", "6".to_owned())]);
    }
    assert_eq!(world.rows().await, before);
    // Another origin, and a higher revision, are other liens.
    world.place(&SUBSCRIPTION, directory, claim("licences", 5)).await.unwrap();
    let again = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 7)).await.unwrap();
    world.remove(&SUBSCRIPTION, directory, again.id, false).await.unwrap();
    world.place(&SUBSCRIPTION, directory, claim("subscriptions", 7)).await.unwrap_err();
    assert_eq!((world.count("liens").await, world.count("removed_liens").await), (1, 1));
}

#[tokio::test]
async fn k_11_nobody_elses_lien_stands_in_for_ones_own() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let by_operator = world.place(&operator(), directory, claim("subscriptions", 9)).await.unwrap();
    let by_service = world.place(&SUBSCRIPTION, directory, claim("subscriptions", 5)).await.unwrap();
    assert_ne!(by_service.id, by_operator.id);
    assert_eq!(by_service.create_principal, "services/subscription-service");
    // Nor does what somebody removes of the own stand in its way.
    world.remove(&operator(), directory, by_operator.id, false).await.unwrap();
    world.place(&SUBSCRIPTION, directory, claim("subscriptions", 6)).await.unwrap();
    assert_eq!(world.count("liens").await, 1);
}

#[tokio::test]
async fn k_11_operators_are_one_creator_whatever_token_they_come_with() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let token = |name: &str| Caller::Operator(name.to_owned());
    let first = world.place(&token("monday"), directory, claim("freeze", 5)).await.unwrap();
    assert_eq!(first.create_principal, "operators");
    assert_eq!(world.place(&token("tuesday"), directory, claim("freeze", 5)).await.unwrap(), first);
    let second = world.place(&token("tuesday"), directory, claim("freeze", 6)).await.unwrap();
    assert_eq!(world.count("liens").await, 1);
    world.remove(&token("wednesday"), directory, second.id, false).await.unwrap();
    let late = world.place(&token("thursday"), directory, claim("freeze", 6)).await.unwrap_err();
    assert!(matches!(late, Refused::LienRemoved { removed_revision: 6, .. }));
    // Who it was, the change log tells.
    for (day, changes) in [("monday", 1), ("tuesday", 2), ("wednesday", 1), ("thursday", 0)] {
        assert_eq!(
            world.count(&format!("change_log WHERE actor = 'operators/{day}'")).await,
            changes,
            "{day}"
        );
    }
}

#[tokio::test]
async fn liens_are_listed_in_pages_oldest_first() {
    let world = World::new().await;
    let directory = world.active("contoso").await.id;
    let mut placed = Vec::new();
    for number in 0..5 {
        // Two of them at the same time: the id decides.
        world.clock.advance(Duration::from_secs(number % 2));
        placed.push(world.place(&SUBSCRIPTION, directory, claim(&number.to_string(), 1)).await.unwrap());
    }
    placed.sort_by_key(|lien| (lien.create_time, lien.id));
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let page = crate::use_cases::Page { size: 2, token };
        let (liens, next) = world.use_cases.list_liens(&operator(), directory, &page).await.unwrap();
        assert!(liens.len() == 2 || next.is_empty());
        listed.extend(liens);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    assert_eq!(listed, placed);
}
