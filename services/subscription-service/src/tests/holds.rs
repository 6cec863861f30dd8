//! K11: no lien without a row that knows of it, whenever an order dies, and none without a cause after the sweep.

use std::time::Duration;

use api::directory::v1::directory::State;
use database::hold::{self, Hold};
use tonic::Code;

use super::peers::{Hook, LienTrouble};
use super::world::{World, contoso, directory_id, person, reason, run, ten_seats};
use crate::use_cases::HOLD_REASON;

const MORE_THAN_AN_HOUR: Duration = Duration::from_mins(61);

/// Rows in these states, and liens that stand at directory-service.
async fn standing(world: &World) -> (i64, i64, usize) {
    let [taking, held] = ["TAKING", "HELD"].map(|state| format!("holds WHERE state = '{state}'"));
    (world.count(&taking).await, world.count(&held).await, world.script().liens.len())
}

async fn fail_to_take_the_lien(world: &World, trouble: LienTrouble) {
    world.script().lien_trouble = Some(trouble);
    let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
    assert_eq!((refused.code(), world.count("subscriptions").await), (Code::Unavailable, 0));
    world.script().lien_trouble = None;
}

#[tokio::test]
async fn a_lien_whose_answer_was_lost_and_one_that_was_never_placed_are_let_go() {
    for (trouble, stands) in [(LienTrouble::AnswerLost, 1), (LienTrouble::NotDone, 0)] {
        let world = World::new().await;
        fail_to_take_the_lien(&world, trouble).await;
        assert_eq!(standing(&world).await, (1, 0, stands), "{trouble:?}");
        // An order could still be under way.
        run(&world, "release holds").await.unwrap();
        assert_eq!(standing(&world).await, (1, 0, stands), "{trouble:?}");
        world.clock.advance(MORE_THAN_AN_HOUR);
        run(&world, "release holds").await.unwrap();
        assert_eq!((world.count("holds").await, world.script().liens.len()), (0, 0), "{trouble:?}");
    }
}

#[tokio::test]
async fn an_order_that_is_dropped_while_the_lien_is_taken_leaves_a_row_that_knows_of_it() {
    let world = World::new().await;
    let never: Hook = Box::new(|| Box::pin(std::future::pending()));
    world.script().while_lien_is_taken = Some(never);
    let order = world.attach(person("ada"), ten_seats());
    let dropped = tokio::time::timeout(Duration::from_millis(200), order).await;
    assert!(dropped.is_err());
    assert_eq!(standing(&world).await, (1, 0, 0));
}

#[tokio::test]
async fn the_next_order_takes_the_same_lien_and_goes_on() {
    for trouble in [LienTrouble::AnswerLost, LienTrouble::NotDone] {
        let world = World::new().await;
        fail_to_take_the_lien(&world, trouble).await;
        world.clock.advance(Duration::from_secs(5));
        world.attach(person("ada"), ten_seats()).await.unwrap();
        assert_eq!((standing(&world).await, world.script().liens_taken), ((0, 1, 1), 1), "{trouble:?}");
        // Under the lien is a subscription now.
        world.clock.advance(MORE_THAN_AN_HOUR);
        run(&world, "release holds").await.unwrap();
        assert_eq!(standing(&world).await, (0, 1, 1), "{trouble:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_finished_now_waits() {
    let world = World::new().await;
    fail_to_take_the_lien(&world, LienTrouble::AnswerLost).await;
    world.clock.advance(MORE_THAN_AN_HOUR);
    world.script().lien_trouble = Some(LienTrouble::NotDone);
    run(&world, "release holds").await.unwrap_err();
    assert_eq!(standing(&world).await, (1, 0, 1));
    world.script().lien_trouble = None;
    // A lien that stands is told whatever the directory has become, or nobody could let it go.
    world.change_directory(|directory| directory.set_state(State::Suspended));
    run(&world, "release holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (0, 0));
}

#[tokio::test]
async fn while_a_directory_takes_no_liens_the_row_stays_and_no_lien_stands() {
    let world = World::new().await;
    fail_to_take_the_lien(&world, LienTrouble::NotDone).await;
    world.clock.advance(MORE_THAN_AN_HOUR);
    world.change_directory(|directory| directory.set_state(State::Suspended));
    run(&world, "release holds").await.unwrap();
    assert_eq!(standing(&world).await, (1, 0, 0));
    world.change_directory(|directory| directory.set_state(State::Active));
    run(&world, "release holds").await.unwrap();
    assert_eq!((world.count("holds").await, world.script().liens.len()), (0, 0));
}

#[tokio::test]
async fn above_a_lien_that_was_removed_the_next_one_is_taken() {
    // An operator removes liens too, and clocks go back.
    let world = World::new().await;
    let ahead = world.clock.now().micros() + 1_000_000;
    world.script().removed_liens.insert(contoso(), ahead);
    world.attach(person("ada"), ten_seats()).await.unwrap();
    let revisions: Vec<i64> = world.script().liens.values().copied().collect();
    assert_eq!((revisions, standing(&world).await), (vec![ahead + 1], (0, 1, 1)));
}

#[tokio::test]
async fn an_order_that_was_overtaken_by_the_sweep_starts_over() {
    // The order's request for the lien is under way while its row is finished, let go and gone.
    let world = World::new().await;
    let use_cases = world.handler.use_cases.clone();
    let (clock, directory) = (world.clock.clone(), directory_id("contoso"));
    let swept: Hook = Box::new(move || {
        Box::pin(async move {
            clock.advance(MORE_THAN_AN_HOUR);
            use_cases.release_hold(directory, clock.now()).await.unwrap();
        })
    });
    world.script().while_lien_is_taken = Some(swept);
    world.attach(person("ada"), ten_seats()).await.unwrap();
    assert_eq!((standing(&world).await, world.script().liens_taken), ((0, 1, 1), 2));
    let held = hold::find(&world.database.db, directory, HOLD_REASON).await.unwrap();
    let Hold::Held(lien) = held else { panic!("{held:?}") };
    assert!(world.script().liens.contains_key(&format!("{}/liens/{lien}", contoso())));
}

#[tokio::test]
async fn a_directory_that_stops_meanwhile_refuses_the_order() {
    let world = World::new().await;
    let scripted = world.scripted.clone();
    let suspended: Hook = Box::new(move || {
        Box::pin(async move {
            let mut script = scripted.lock().unwrap();
            script.directories.get_mut(&contoso()).unwrap().set_state(State::Suspended);
        })
    });
    world.script().while_lien_is_taken = Some(suspended);
    let refused = world.attach(person("ada"), ten_seats()).await.unwrap_err();
    assert_eq!(reason(refused), "DIRECTORY_NOT_ACTIVE");
    assert_eq!(standing(&world).await, (1, 0, 0));
}
