//! The guard rows alone, without the hold that every order of a directory locks before them: each serialises what is
//! decided under it, so that no rule hangs on a lock that another rule brought.

use std::sync::Arc;
use std::time::Duration;

use access::Permit;
use tokio::task::JoinSet;

use super::world::{World, directory_id, person};
use crate::store::guards;

const RACERS: u32 = 12;
/// Between looking and writing: enough for all others to look, if they are let.
const THINKING: Duration = Duration::from_millis(20);
const PRODUCT: &str = "enterprisepack";

#[derive(Debug, Clone, Copy)]
enum Guard {
    Product,
    Owner,
}

/// Locks a guard row in a transaction of its own and says whether nobody was there before.
async fn is_first(world: &World, guard: Guard, is_noted: bool) -> bool {
    let (directory, now) = (directory_id("contoso"), world.clock.now());
    let mut tx = world.database.db.write().await.unwrap();
    let first = match guard {
        Guard::Product => {
            let permit = Permit::for_worker(directory, "test", now);
            let locked = guards::lock_product(&mut tx, &permit, PRODUCT).await.unwrap();
            tokio::time::sleep(THINKING).await;
            if is_noted {
                guards::note_attached(&mut tx, &permit, &locked, true, now).await.unwrap();
            }
            locked.times.first_attach_time.is_none()
        }
        Guard::Owner => {
            let permit = Permit::for_worker(directory, "test", now);
            let user = person("cy").user().unwrap();
            let locked = guards::lock_owner(&mut tx, &permit, user).await.unwrap();
            tokio::time::sleep(THINKING).await;
            if is_noted {
                guards::note_signed_up(&mut tx, &permit, &locked, true, now).await.unwrap();
            }
            locked.first_sign_up_time.is_none()
        }
    };
    tx.commit_bookkeeping().await.unwrap();
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_locks_a_guard_row_decides_alone() {
    // K8, K25, S-04: the row is there before, so that no unique key makes anybody wait.
    for guard in [Guard::Product, Guard::Owner] {
        let world = Arc::new(World::new().await);
        assert!(is_first(&world, guard, false).await);
        let mut racers = JoinSet::new();
        for _ in 0..RACERS {
            let world = Arc::clone(&world);
            racers.spawn(async move { is_first(&world, guard, true).await });
        }
        let winners = racers.join_all().await.into_iter().filter(|is_first| *is_first).count();
        assert_eq!(winners, 1, "{guard:?}");
    }
}
