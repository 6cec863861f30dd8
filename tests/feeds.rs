//! P-13, K14: what identity and subscription keep of directories follows their source: through restarts, between
//! replicas, and where the source was put back to an earlier state.

use std::collections::BTreeMap;
use std::time::Duration;

use database::follower::LEASE;
use database::{Db, on};
use sqlx::AssertSqlSafe;
use tenure::embedded::Embedded;
use test_support::database::number;
use uuid::Uuid;

use crate::world::{Person, World};

/// What is known of each directory: state, as far as sign-ins are concerned, and revision.
type Known = BTreeMap<Uuid, (String, i64)>;

async fn known(db: &Db) -> Known {
    let mut tx = db.read().await.unwrap();
    let select = "SELECT directory, state, revision FROM directory_states";
    let rows: Vec<(Uuid, String, i64)> = on!(&mut tx, |c| sqlx::query_as(select).fetch_all(c).await).unwrap();
    rows.into_iter()
        .map(|(id, state, revision)| (id, (state.trim_start_matches("STATE_").to_owned(), revision)))
        .collect()
}

async fn source(db: &Db) -> Known {
    let mut tx = db.read().await.unwrap();
    let select = "SELECT id, state, revision FROM directories";
    let rows: Vec<(Uuid, String, i64)> = on!(&mut tx, |c| sqlx::query_as(select).fetch_all(c).await).unwrap();
    rows.into_iter().map(|(id, state, revision)| (id, (state, revision))).collect()
}

/// Runs a duty once wherever a context has it; says whether all went well.
async fn run(embedded: &Embedded, duty: &str) -> bool {
    let mut well = true;
    for worker in embedded.workers.iter().filter(|worker| worker.name.contains(duty)) {
        well &= worker.run_once().await.is_ok();
    }
    well
}

/// Lets everything settle: positions, and what follows them; twice, for a follower that begins anew.
async fn settle(world: &World) {
    assert!(run(&world.embedded, "sequence").await);
    for _ in 0..2 {
        assert!(run(&world.embedded, "follow directories").await);
    }
}

async fn both_know_what_is(world: &World) {
    let expected = source(&world.databases.directory).await;
    assert_eq!(known(&world.databases.subscription).await, expected);
    assert_eq!(known(&world.databases.identity).await, expected);
}

fn id(person: &Person) -> Uuid {
    person.directory["directories/".len()..].parse().unwrap()
}

async fn execute(db: &Db, statement: String) {
    let mut tx = db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(AssertSqlSafe(statement)).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}

#[tokio::test]
async fn followers_know_what_is_and_go_on_after_a_restart() {
    let world = World::new().await;
    world.sign_up("contoso").await;
    settle(&world).await;
    both_know_what_is(&world).await;
    world.sign_up("fabrikam").await;
    world.sign_up("northwind").await;
    settle(&world).await;
    both_know_what_is(&world).await;
    let again = world.restarted();
    world.clock.advance(LEASE + Duration::from_secs(1));
    world.sign_up("adatum").await;
    assert!(run(&again, "sequence").await && run(&again, "follow directories").await);
    both_know_what_is(&world).await;
    let snapshots = "SELECT CAST(COUNT(*) AS BIGINT) FROM followers WHERE in_snapshot";
    assert_eq!(number(&world.databases.subscription, snapshots).await, 0);
}

#[tokio::test]
async fn one_replica_follows_and_another_takes_over_when_its_lease_is_over() {
    let world = World::new().await;
    let other = world.restarted();
    world.sign_up("contoso").await;
    settle(&world).await;
    let fence = "SELECT fence FROM followers";
    let before = number(&world.databases.subscription, fence).await;
    world.sign_up("fabrikam").await;
    assert!(run(&other, "sequence").await && run(&other, "follow directories").await);
    assert_eq!(known(&world.databases.subscription).await.len(), 1, "it is another one's");
    assert_eq!(number(&world.databases.subscription, fence).await, before);
    world.clock.advance(LEASE + Duration::from_secs(1));
    assert!(run(&other, "follow directories").await);
    assert_eq!(number(&world.databases.subscription, fence).await, before + 1);
    both_know_what_is(&world).await;
}

/// Puts the directory context back to where it was before a directory was made.
async fn restore_without(world: &World, person: &Person, position: i64) {
    let (db, own) = (&world.databases.directory, id(person).simple());
    let of_person = match &db.read().await.unwrap().engine {
        database::TxEngine::Sqlite(_) => format!("x'{own}'"),
        database::TxEngine::Postgres(_) => format!("'{own}'"),
    };
    for statement in [
        format!("DELETE FROM directories WHERE id = {of_person}"),
        format!("DELETE FROM domains WHERE directory = {of_person}"),
        format!("DELETE FROM domain_claims WHERE directory = {of_person}"),
        format!("DELETE FROM change_log WHERE position > {position}"),
        format!("DELETE FROM change_seals WHERE last_position > {position}"),
        format!(
            "UPDATE change_log_head SET last_position = {position},
                last_seal_number = (SELECT MAX(number) FROM change_seals),
                last_seal = (SELECT seal FROM change_seals ORDER BY number DESC LIMIT 1)"
        ),
    ] {
        execute(db, statement).await;
    }
}

#[tokio::test]
async fn k_14_a_source_that_was_restored_is_followed_by_a_snapshot() {
    // Behind the followers' place, and as far as it with another history.
    for goes_on in [false, true] {
        let world = World::new().await;
        let contoso = world.sign_up("contoso").await;
        settle(&world).await;
        let position = "SELECT last_position FROM change_log_head";
        let position = number(&world.databases.directory, position).await;
        let lost = world.sign_up("fabrikam").await;
        settle(&world).await;
        both_know_what_is(&world).await;
        restore_without(&world, &lost, position).await;
        if goes_on {
            world.sign_up("northwind").await;
        }
        settle(&world).await;
        let expected = source(&world.databases.directory).await;
        assert_eq!(expected.len(), 1 + usize::from(goes_on));
        assert_eq!(known(&world.databases.subscription).await, expected);
        let mut of_identity = known(&world.databases.identity).await;
        assert_eq!(of_identity.remove(&id(&lost)), Some(("DELETED".to_owned(), 0)), "nobody signs in there");
        assert_eq!(of_identity, expected);
        assert!(expected.contains_key(&id(&contoso)));
    }
}
