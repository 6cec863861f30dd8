//! Deleting a directory against whatever comes to rely on it (K11), beside a naive twin that must break: if it does not,
//! nothing was provoked.

use access::Permit;
use access::permission::WriteLiens;
use tokio::sync::Barrier;

use super::*;
use crate::domain::directory::State;
use crate::domain::life_cycle::Turn;

const ROUNDS: u128 = 16;

/// A directory that is deleted and a lien on it are not there both.
async fn both_there(world: &World, id: DirectoryId) -> bool {
    let mut tx = world.database.db.read().await.unwrap();
    let select =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM directories JOIN liens ON liens.directory = directories.id
        WHERE directories.id = $1 AND directories.state = 'DELETED'";
    let count: i64 = on!(&mut tx, |c| sqlx::query_scalar(select).bind(id.uuid()).fetch_one(c).await).unwrap();
    count > 0
}

async fn count_of(world: &World, select: &'static str, id: DirectoryId) -> i64 {
    let mut tx = world.database.db.read().await.unwrap();
    on!(&mut tx, |c| sqlx::query_scalar(select).bind(id.uuid()).fetch_one(c).await).unwrap()
}

async fn write(world: &World, statement: &'static str, id: DirectoryId) {
    let permit = Permit::<WriteLiens>::for_worker(id, "a test", world.clock.now());
    let mut tx = world.database.db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(statement).bind(id.uuid()).execute(c).await.map(|_| ())).unwrap();
    tx.commit(&permit, &world.clock.clock()).await.unwrap();
}

/// The naive way: look whether the other is there, and if not, go on.
#[tokio::test(flavor = "multi_thread")]
async fn looking_first_and_deleting_then_deletes_what_is_held() {
    let world = Arc::new(World::new().await);
    let id = world.active("contoso").await.id;
    let barrier = Arc::new(Barrier::new(2));
    at_once(2, |number| {
        let (world, barrier) = (Arc::clone(&world), Arc::clone(&barrier));
        async move {
            let (look, go_on) = if number == 0 {
                (
                    "SELECT CAST(COUNT(*) AS BIGINT) FROM liens WHERE directory = $1",
                    "UPDATE directories SET state = 'DELETED' WHERE id = $1",
                )
            } else {
                (
                    "SELECT CAST(COUNT(*) AS BIGINT) FROM directories WHERE id = $1 AND state <> 'ACTIVE'",
                    "INSERT INTO liens (directory, id, resource, restrictions, reason, origin, holder, revision,
                        blockers, blocker_count, create_time, create_principal)
                    VALUES ($1, $1, '', '[]', '', '', '', 1, '[]', 0, 1, '')",
                )
            };
            let free = count_of(&world, look, id).await == 0;
            barrier.wait().await;
            if free {
                write(&world, go_on, id).await;
            }
        }
    })
    .await;
    assert!(both_there(&world, id).await, "the naive way was expected to delete what is held");
}

#[tokio::test(flavor = "multi_thread")]
async fn k_11_a_deletion_and_a_lien_at_once_have_one_winner() {
    let world = Arc::new(World::new().await);
    for round in 0..ROUNDS {
        let id = world.active(&format!("contoso-{round}")).await.id;
        let outcomes = at_once(4, |number| {
            let world = Arc::clone(&world);
            async move {
                // Each side is sometimes the first that is started.
                let deletes = (number + round) % 2 == 0;
                let done = if deletes {
                    world.turn(id, Turn::Delete).await.map(|_| ())
                } else {
                    world.hold(id, "subscriptions").await
                };
                if let Err(refused) = &done {
                    let expected = matches!(
                        refused,
                        Refused::LienPresent { .. }
                            | Refused::DirectoryNotActive { .. }
                            | Refused::DirectoryNotFound(_)
                    );
                    assert!(expected, "{refused:?}");
                }
                (deletes, done.is_ok())
            }
        })
        .await;
        let won = |deletes| outcomes.contains(&(deletes, true));
        assert!(won(true) != won(false), "{outcomes:?}");
        let state = world.use_cases.get_directory(&operator(), id).await.unwrap().state;
        assert_eq!(state == State::Deleted, won(true));
        assert!(!both_there(&world, id).await);
    }
}

/// Two replicas, each with its job, and the caller who asks again: one arrival, told once.
#[tokio::test(flavor = "multi_thread")]
async fn k_38_whoever_finishes_at_once_a_directory_arrives_once() {
    let world = Arc::new(World::new().await);
    for round in 0..ROUNDS {
        let id = world.active(&format!("contoso-{round}")).await.id;
        let call = world.call_with(&operator(), super::life_cycle::SUSPEND, Some(round + 1), 1);
        world.told.has(Some(identity::Trouble::AnswerLost));
        world.turn_as(&call, id, super::life_cycle::suspend()).await.unwrap_err();
        world.told.has(None);
        world.clock.advance(Duration::from_secs(11));
        at_once(6, |number| {
            let (world, call) = (Arc::clone(&world), call.clone());
            async move {
                if number % 2 == 0 {
                    world.use_cases.finish_a_move().await.map(|_| ()).unwrap();
                } else {
                    world.turn_as(&call, id, super::life_cycle::suspend()).await.unwrap();
                }
            }
        })
        .await;
        let directory = world.use_cases.get_directory(&operator(), id).await.unwrap();
        assert_eq!((directory.state, directory.revision), (State::Suspended, 4));
        let logged = format!("change_log WHERE resource = 'directories/{id}'");
        assert_eq!(world.count(&logged).await, 4);
    }
}

/// Attack 40: a deletion is taken back or purged, not both, and the label is never free.
#[tokio::test(flavor = "multi_thread")]
async fn an_undeletion_and_a_purge_at_once_have_one_winner() {
    let world = Arc::new(World::new().await);
    for round in 0..ROUNDS {
        let id = world.active(&format!("contoso-{round}")).await.id;
        let purge_time = world.turn(id, Turn::Delete).await.unwrap().purge_time.unwrap();
        // Asked for in time, and done whenever the lock is had.
        let before = kernel::Timestamp::from_micros(purge_time.micros() - 1);
        let call = Call { now: before, ..world.call(&operator(), super::life_cycle::UNDELETE) };
        world.clock.advance(purge_time.since(world.clock.now()));
        let outcomes = at_once(2, |number| {
            let (world, call) = (Arc::clone(&world), call.clone());
            async move {
                if number == 0 {
                    Some(world.turn_as(&call, id, Turn::Undelete).await.is_ok())
                } else {
                    world.use_cases.purge_a_directory().await.unwrap();
                    None
                }
            }
        })
        .await;
        let had_back = outcomes.into_iter().flatten().next().unwrap();
        let purged =
            world.count(&format!("change_log WHERE kind = 'PURGED' AND resource = 'directories/{id}'")).await;
        let alive = world.use_cases.get_directory(&operator(), id).await.is_ok();
        assert_eq!((purged == 1, alive), (!had_back, had_back));
    }
}
