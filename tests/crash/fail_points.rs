//! Every named place at which a process can die (P-8, P-9): it is come by, and whatever it leaves behind is made whole.

use access::Service;
use database::fail_point::FailPoint;
use test_support::database::{Engine, engine};

use crate::chance::set_by;
use crate::storm::{Death, Storm};
use crate::system::System;

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
        | FailPoint::InBatch => &[1],
    }
}

async fn dies_everywhere(system: System, process: usize, places: Vec<FailPoint>) {
    let mut storm = Storm::over(system, set_by("CRASH_SEED", 11));
    for place in places {
        for nth in times(place) {
            storm.round(Death::At { place, nth: *nth, process }).await;
        }
    }
    storm.calm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_survives_its_end_at_every_place() {
    // Embedded stands on SQLite alone, and comes by all places.
    if engine() == Engine::Sqlite {
        dies_everywhere(System::embedded(), 0, FailPoint::ALL.into()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_survive_the_end_of_each_at_every_place_of_its_own() {
    let system = System::split().await;
    let mut storm = Storm::over(system, set_by("CRASH_SEED", 12));
    for service in Service::ALL {
        let process = storm.system.process_of(service);
        for place in places_of(service) {
            for nth in times(place) {
                storm.round(Death::At { place, nth: *nth, process }).await;
            }
        }
    }
    storm.calm().await;
}
