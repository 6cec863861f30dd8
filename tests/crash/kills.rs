//! Twenty kills at random under load (P-8, P-9, P-10, P-13), in one process and in three.

use std::time::Duration;

use test_support::database::{Engine, engine};

use crate::chance::{Chance, set_by};
use crate::intent::Intent;
use crate::storm::{Death, Storm};
use crate::system::System;

/// The shortest and longest time from the first call of a round to the kill.
const EARLIEST: u64 = 50;
const LATEST: u64 = 900;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_survives_twenty_kills_at_random() {
    // Embedded stands on SQLite alone.
    if engine() == Engine::Sqlite {
        twenty_kills(System::embedded()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_survive_twenty_kills_at_random() {
    twenty_kills(System::split().await).await;
}

/// With `CRASH_SEED` and `CRASH_ROUNDS` other storms, and longer ones.
async fn twenty_kills(system: System) {
    let seed = set_by("CRASH_SEED", 7);
    let mut chance = Chance::new(seed);
    let mut storm = Storm::over(system, seed);
    for _ in 0..set_by("CRASH_ROUNDS", 20) {
        let delay = Duration::from_millis(EARLIEST + chance.below(LATEST - EARLIEST));
        // In one round of four everything dies at once.
        let victim = usize::try_from(chance.below(4)).ok().filter(|victim| *victim < storm.system.len());
        storm.round(Death::After(delay, victim), 1).await;
    }
    assert_eq!(storm.done().len(), Intent::KINDS, "some work was never done");
    storm.calm().await;
}
