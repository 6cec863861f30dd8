//! Every named place at which a process can die (P-8, P-9): it is come by, and whatever it leaves behind is made whole.

use access::Service;
use database::fail_point::FailPoint;
use test_support::database::{Engine, engine, number};

use crate::chance::set_by;
use crate::client::{Client, PATIENCE, insist};
use crate::intent::{Answer, Intent, is_open};
use crate::storm::{Death, Storm};
use crate::system::{Services, System, close};

/// The places that a process of this service comes by.
fn places_of(service: Service) -> Vec<FailPoint> {
    let is_come_by = |place: &FailPoint| match place {
        FailPoint::BeforeCommit | FailPoint::AfterCommit | FailPoint::InSequencer => true,
        // PostgreSQL makes batches of its own.
        FailPoint::InBatch => engine() == Engine::Sqlite,
        FailPoint::AfterLien | FailPoint::AfterHold => service == Service::Subscription,
        FailPoint::AfterCreateDirectory
        | FailPoint::AfterUser
        | FailPoint::AfterActivateDirectory
        | FailPoint::BetweenRotateAndAnswer => service == Service::Identity,
        // No client of the storm suspends a directory; `life_cycle` does.
        FailPoint::AfterSetOut | FailPoint::AfterApplyDirectoryState => false,
    };
    FailPoint::ALL.into_iter().filter(is_come_by).collect()
}

/// How often a place is passed before somebody dies there: commits are of many kinds.
const fn times(place: FailPoint) -> &'static [u64] {
    match place {
        FailPoint::BeforeCommit | FailPoint::AfterCommit => &[1, 4, 11],
        FailPoint::InSequencer => &[2],
        FailPoint::AfterLien
        | FailPoint::AfterHold
        | FailPoint::AfterCreateDirectory
        | FailPoint::AfterUser
        | FailPoint::AfterActivateDirectory
        | FailPoint::BetweenRotateAndAnswer
        | FailPoint::AfterSetOut
        | FailPoint::AfterApplyDirectoryState
        | FailPoint::InBatch => &[1],
    }
}

/// Whether something of another context is left behind there, which somebody clears up if nobody asks again.
const fn leaves_behind(place: FailPoint) -> bool {
    match place {
        FailPoint::AfterLien
        | FailPoint::AfterHold
        | FailPoint::AfterCreateDirectory
        | FailPoint::AfterUser
        | FailPoint::AfterActivateDirectory
        | FailPoint::AfterSetOut
        | FailPoint::AfterApplyDirectoryState => true,
        FailPoint::BeforeCommit
        | FailPoint::AfterCommit
        | FailPoint::BetweenRotateAndAnswer
        | FailPoint::InBatch
        | FailPoint::InSequencer => false,
    }
}

async fn dies_at_each(storm: &mut Storm, process: usize, places: Vec<FailPoint>) {
    for place in places {
        for nth in times(place) {
            storm.round(Death::At { place, nth: *nth, process }, 0).await;
        }
        if leaves_behind(place) {
            storm.round(Death::At { place, nth: 1, process }, 4).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_survives_its_end_at_every_place() {
    // Embedded stands on SQLite alone, and comes by all places.
    if engine() == Engine::Sqlite {
        let mut storm = Storm::over(System::embedded(), set_by("CRASH_SEED", 11));
        let places = Service::ALL.into_iter().flat_map(places_of);
        let places = FailPoint::ALL.into_iter().filter(|place| places.clone().any(|other| other == *place));
        dies_at_each(&mut storm, 0, places.collect()).await;
        storm.calm().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_survive_the_end_of_each_at_every_place_of_its_own() {
    let mut storm = Storm::over(System::split().await, set_by("CRASH_SEED", 12));
    for service in Service::ALL {
        let process = storm.system.process_of(service);
        dies_at_each(&mut storm, process, places_of(service)).await;
    }
    storm.calm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_whose_successor_was_never_told_still_gives_it() {
    if engine() == Engine::Sqlite {
        successor_is_told_after_a_crash(System::embedded()).await;
    }
    successor_is_told_after_a_crash(System::split().await).await;
}

/// K22: exchanged in the database once, the old token yields the one successor, which goes on.
async fn successor_is_told_after_a_crash(mut system: System) {
    let process = system.process_of(Service::Identity);
    system.arm(process, FailPoint::BetweenRotateAndAnswer, 1);
    let refresh = Client::new(0, 1).opens_a_session(&system.services).await;
    let cut_off = refresh.ask(&system.services, "").await.unwrap_err();
    assert!(is_open(&cut_off), "{cut_off:?}");
    system.await_death(process);
    system.start_again();
    let told = successor(&refresh, &system.services).await;
    assert_eq!(successor(&refresh, &system.services).await, told);
    let databases = system.databases().await;
    assert_eq!(number(&databases.identity, "SELECT MAX(counter) FROM sessions").await, 1, "exchanged once");
    close(databases).await;
    assert_ne!(successor(&Intent::Refresh { token: told.clone() }, &system.services).await, told);
}

async fn successor(refresh: &Intent, services: &Services) -> String {
    let answer = insist(refresh, services, "", PATIENCE).await.unwrap();
    let Answer::Refreshed(reply) = answer else { panic!("{answer:?}") };
    reply.refresh_token
}
