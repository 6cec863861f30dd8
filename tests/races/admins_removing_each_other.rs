//! P-4: two Global Administrators remove each other at once.

use std::sync::Arc;

use api::identity::v1::ListRoleAssignmentsRequest;
use database::{Db, on};
use tokio::sync::Barrier;

use crate::world::{Person, World, reason, together};

const ROLE: &str = "global-administrator";

async fn two_admins(world: &World, label: &str) -> [(Person, String); 2] {
    let ada = world.sign_up(label).await;
    let eve = world.add(&ada, "eve").await;
    let eves = world.give(&ada, &eve, ROLE).await;
    let adas = world.assignment_of(&ada, &ada, ROLE).await;
    [(ada, adas), (eve, eves)]
}

async fn administrators(world: &World, who: &Person) -> usize {
    let message = ListRoleAssignmentsRequest {
        parent: who.directory.clone(),
        filter: format!("role = \"directoryRoles/{ROLE}\""),
        ..ListRoleAssignmentsRequest::default()
    };
    world.roles().list_role_assignments(who.says(message)).await.unwrap().into_inner().role_assignments.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_removing_each_other_leave_one() {
    let world = Arc::new(World::new().await);
    for round in 0..8 {
        let [(ada, adas), (eve, eves)] = two_admins(&world, &format!("duel-{round}")).await;
        let duel = [(ada.clone(), eves), (eve.clone(), adas)].map(|(who, whose)| {
            let world = Arc::clone(&world);
            async move { world.take(&who, &whose).await }
        });
        let outcomes = together(duel).await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(winners, 1, "{outcomes:?}");
        let refused = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).map(reason).unwrap();
        let expected = ["FailedPrecondition/LAST_GLOBAL_ADMINISTRATOR", "PermissionDenied/PERMISSION_DENIED"];
        assert!(expected.contains(&refused.as_str()), "{refused}");
        let left = if outcomes[0].is_ok() { &ada } else { &eve };
        assert_eq!(administrators(&world, left).await, 1);
    }
}

/// The naive twin: each counts, finds two, and deletes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_first_and_deleting_then_leaves_none() {
    let world = World::new().await;
    let duel = two_admins(&world, "naive").await;
    let barrier = Arc::new(Barrier::new(2));
    let db = world.databases.identity.clone();
    together(duel.map(|(_, assignment)| {
        let (db, barrier) = (db.clone(), Arc::clone(&barrier));
        async move {
            let enough = count(&db).await > 1;
            barrier.wait().await;
            if enough {
                delete(&db, &assignment).await;
            }
        }
    }))
    .await;
    assert_eq!(count(&db).await, 0, "the naive way was expected to leave nobody");
}

async fn count(db: &Db) -> i64 {
    let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments WHERE role = 'global-administrator'";
    test_support::database::number(db, select).await
}

async fn delete(db: &Db, assignment: &str) {
    let id: uuid::Uuid = assignment.rsplit('/').next().unwrap().parse().unwrap();
    let mut tx = db.write().await.unwrap();
    let delete = "DELETE FROM role_assignments WHERE id = $1";
    on!(&mut tx, |c| sqlx::query(delete).bind(id).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}
