//! What is judged, held and answered must still be so at the end (K7, K11, K12, P-3), and what identity is asked for that.

use std::sync::Arc;
use std::time::Duration;

use access::Permit;
use access::permission::ListDirectories;
use api::directory::v1::DirectorySettings;
use api::directory::v1::directory::State;
use api::identity::v1::CheckDirectoryRoleRequest;
use api::subscription::v1::order_service_server::OrderService as _;
use api::subscription::v1::subscription_service_server::SubscriptionService as _;
use api::subscription::v1::{GetSubscriptionRequest, PreviewOffice365OrderRequest};
use api::types::v1::read_consistency::Level;
use database::hold;
use kernel::{LienId, new_ids};
use tonic::Code;

use super::peers::Hook;
use super::world::{
    E3, PAY_AS_YOU_GO, World, azure, contoso, directory_id, from, person, reason, session, ten_seats,
};
use crate::store::directory_states;
use crate::use_cases::HOLD_REASON;

/// Longer than a judgement may be relied on.
const TOO_LONG: Duration = Duration::from_secs(3);

fn asked(world: &World) -> Vec<CheckDirectoryRoleRequest> {
    std::mem::take(&mut world.script().questions)
}

#[tokio::test]
async fn a_judgement_that_has_grown_old_is_asked_for_anew() {
    // K7.
    let world = World::new().await;
    let clock = world.clock.clone();
    let slow: Hook = Box::new(move || Box::pin(async move { clock.advance(TOO_LONG) }));
    world.script().while_directory_is_told = Some(slow);
    world.attach(person("ada"), ten_seats()).await.unwrap();
    assert_eq!(asked(&world).len(), 2);
    assert_eq!(world.count("subscriptions").await, 1);
}

#[tokio::test]
async fn a_role_that_is_taken_away_in_between_stops_the_order() {
    // P-3.
    let world = World::new().await;
    let before = world.rows().await;
    world.handler.use_cases.ensure_hold(directory_id("contoso")).await.unwrap();
    let (clock, scripted) = (world.clock.clone(), Arc::clone(&world.scripted));
    let slow: Hook = Box::new(move || {
        Box::pin(async move {
            clock.advance(TOO_LONG);
            scripted.lock().unwrap().roles.insert(person("ada").to_string(), vec![access::roles::MEMBER]);
        })
    });
    world.script().while_directory_is_told = Some(slow);
    let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(asked(&world).len(), 2);
    let holds = |rows: &(&str, i64)| rows.0 != "holds";
    let after: Vec<_> = world.rows().await.into_iter().filter(holds).collect();
    assert_eq!(after, before.into_iter().filter(holds).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_hold_that_is_let_go_in_between_is_taken_anew() {
    // K11: the releaser comes after the first look, before the hold is locked.
    let world = World::new().await;
    let (db, now, directory) = (world.database.db.clone(), world.clock.now(), directory_id("contoso"));
    let releaser: Hook = Box::new(move || {
        Box::pin(async move {
            let lien = LienId::from_uuid(new_ids::derive(&["the releaser's lien"]));
            hold::held(&db, directory, HOLD_REASON, lien, now.micros(), now).await.unwrap();
            let mut tx = db.write().await.unwrap();
            let locked = hold::lock(&mut tx, directory, HOLD_REASON).await.unwrap();
            hold::release(&mut tx, directory, HOLD_REASON, &locked).await.unwrap();
            tx.commit_bookkeeping().await.unwrap();
        })
    });
    world.script().while_lien_is_taken = Some(releaser);
    world.attach(person("ada"), ten_seats()).await.unwrap();
    assert_eq!((asked(&world).len(), world.script().liens.len()), (2, 1));
    assert_eq!((world.count("subscriptions").await, world.count("holds WHERE state = 'HELD'").await), (1, 1));
}

#[tokio::test]
async fn whoever_orders_is_judged_as_of_now_with_the_session() {
    // K3.
    let world = World::new().await;
    let settings = DirectorySettings { members_may_create_subscriptions: Some(false) };
    world.change_directory(|directory| directory.settings = Some(settings));
    let bo = person("bo");
    let preview = PreviewOffice365OrderRequest {
        parent: contoso(),
        offer: E3.to_owned(),
        seat_count: 10,
        trial: false,
    };
    world.handler.preview_office365_order(from(bo, preview)).await.unwrap();
    world.attach(bo, ten_seats()).await.unwrap();
    // Twice: as a member, and as an administrator, because the directory leaves it to them.
    let signed_up = world.sign_up(bo, azure(PAY_AS_YOU_GO)).await.unwrap().subscription.unwrap();
    let questions = asked(&world);
    assert_eq!(questions.len(), 4);
    for question in questions {
        assert_eq!(question.consistency.unwrap().level, Some(Level::FullyConsistent(true)));
        assert_eq!(question.session, format!("{bo}/sessions/{}", session()));
        assert_eq!((question.principal, question.directory), (bo.to_string(), contoso()));
        assert_eq!(question.any_of_permissions.len(), 1);
    }
    let read = from(bo, GetSubscriptionRequest { name: signed_up.name });
    world.handler.get_subscription(read).await.unwrap();
    let level = asked(&world).pop().unwrap().consistency.unwrap().level;
    assert_eq!(level, Some(Level::MinimizeLatency(true)));
}

/// The directory is told as it was, and while the answer is on its way the feed tells that it is suspended.
fn overtaken(world: &World) {
    world.change_directory(|directory| directory.revision = 2);
    let (db, now, scripted) = (world.database.db.clone(), world.clock.now(), Arc::clone(&world.scripted));
    let feed: Hook = Box::new(move || {
        Box::pin(async move {
            let permit = Permit::<ListDirectories>::for_worker(directory_id("contoso"), "test", now);
            let mut tx = db.write().await.unwrap();
            directory_states::apply(&mut tx, &permit, "STATE_SUSPENDED", 3).await.unwrap();
            tx.commit_bookkeeping().await.unwrap();
            let again = Arc::clone(&scripted);
            let told_anew: Hook = Box::new(move || {
                Box::pin(async move {
                    let mut script = again.lock().unwrap();
                    let directory = script.directories.get_mut(&contoso()).unwrap();
                    directory.set_state(State::Suspended);
                    directory.revision = 3;
                })
            });
            scripted.lock().unwrap().while_directory_is_told = Some(told_anew);
        })
    });
    world.script().while_directory_is_told = Some(feed);
}

#[tokio::test]
async fn k_12_an_answer_that_the_feed_has_overtaken_is_asked_for_anew() {
    for azure_too in [false, true] {
        let world = World::new().await;
        world.handler.use_cases.ensure_hold(directory_id("contoso")).await.unwrap();
        let before = world.rows().await;
        overtaken(&world);
        let refused = if azure_too {
            world.sign_up(person("ada"), azure(PAY_AS_YOU_GO)).await.unwrap_err()
        } else {
            world.attach(person("ada"), ten_seats()).await.unwrap_err()
        };
        assert_eq!(
            (refused.code(), reason(refused)),
            (Code::FailedPrecondition, "DIRECTORY_NOT_ACTIVE".into())
        );
        assert_eq!(asked(&world).len(), 2, "judged anew, too");
        assert_eq!(world.rows().await, before);
    }
}

#[tokio::test]
async fn k_12_a_source_that_stays_behind_lets_nothing_be_decided() {
    let world = World::new().await;
    world.change_directory(|directory| directory.revision = 2);
    let permit = Permit::<ListDirectories>::for_worker(directory_id("contoso"), "test", world.clock.now());
    let mut tx = world.database.db.write().await.unwrap();
    directory_states::apply(&mut tx, &permit, "STATE_ACTIVE", 3).await.unwrap();
    tx.commit_bookkeeping().await.unwrap();
    let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
    assert_eq!((refused.code(), reason(refused)), (Code::Aborted, "WRITE_CONFLICT".into()));
    assert_eq!(world.count("subscriptions").await, 0);
    world.change_directory(|directory| directory.revision = 4);
    world.attach(person("ada"), ten_seats()).await.unwrap();
    assert_eq!(world.count("directory_states WHERE revision = 4").await, 1, "the answer is taken in");
}
