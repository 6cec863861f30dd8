//! P-8, P-9: a replica is killed under load and comes back; clients that repeat a call see nothing of it, nothing
//! happens twice, and nothing that was acknowledged is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use access::Service;
use database::fail_point::FailPoint;
use system_tests::contests::count;
use system_tests::people::{E3, FREE_TRIAL, PAY_AS_YOU_GO, People, VISIO, reason};
use tenure::embedded::Databases;
use tokio::task::JoinSet;

use crate::fleet::{Fleet, REPLICAS, is_not_for_sqlite, until};
use crate::wire::Repeated;

/// How many organisations come into being at a time.
const AT_ONCE: usize = 6;
/// How many commits a replica does before it dies of the last, before it answers.
const COMMITS: usize = 5;
/// How many have to come into being while a replica is dead, and after it is back.
const MEANWHILE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_under_load_is_not_missed() {
    if is_not_for_sqlite() {
        return;
    }
    let mut fleet = Fleet::start().await;
    let repeated = Repeated::default();
    let load = Load::start(&fleet.by_turns(&repeated));
    for service in Service::ALL {
        for number in 0..REPLICAS {
            load.goes_on().await;
            fleet.kill(service, number);
            load.goes_on().await;
            fleet.start_again(service);
        }
        load.goes_on().await;
        fleet.kill(service, 0);
        fleet.start_to_die(service, &format!("{}:{COMMITS}", FailPoint::AfterCommit.name()));
        // Connections stay where they are: those of other services come to the replica that shall die when the other
        // one is gone. P-9: what it has just committed is asked for again, there.
        fleet.kill(service, 1);
        fleet.start_again(service);
        fleet.died(service, 0);
        load.goes_on().await;
        fleet.start_again(service);
    }
    load.goes_on().await;
    let organisations = load.stop().await;
    let seen = repeated.seen();
    println!("{organisations} organisations; repeated: {seen:?}");
    assert!(seen.contains_key("Unavailable/"), "nobody met a dead replica: {seen:?}");
    assert_each_happened_once(&fleet.databases, i64::try_from(organisations).unwrap()).await;
    fleet.assert_change_logs_intact().await;
}

/// Organisations that come into being, one after the other in several places.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(people: &People) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        for place in 0..AT_ONCE {
            let (people, stop, done) = (people.clone(), Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    live(&people, &format!("org-{place}-{number}")).await;
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { stop, done, tasks }
    }

    /// Waits for some more organisations, all of whose calls were acknowledged.
    async fn goes_on(&self) {
        let enough = self.done.load(Ordering::SeqCst) + MEANWHILE;
        until("the load goes on", || async { self.done.load(Ordering::SeqCst) >= enough }).await;
    }

    /// Gives how many there are.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        self.done.load(Ordering::SeqCst)
    }
}

/// What an organisation does first; each answer is asserted.
async fn live(people: &People, label: &str) {
    let ada = people.sign_up(label).await;
    let eve = people.add(&ada, "eve").await;
    let role = people.give(&ada, &eve, "billing-administrator").await;
    people.attach_trial(&eve, E3).await.expect("an administrator attaches");
    people.azure(&ada, FREE_TRIAL).await.expect("the first free trial is given");
    people.azure(&ada, PAY_AS_YOU_GO).await.expect("an offer that is paid for is given");
    people.take(&ada, &role).await.expect("the role is taken away");
    let refused = people.attach_trial(&eve, VISIO).await.expect_err("the role is gone");
    assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
}

async fn assert_each_happened_once(databases: &Databases, organisations: i64) {
    let Databases { directory, identity, subscription } = databases;
    for (db, rows, each) in [
        (directory, "directories", 1),
        (directory, "directories WHERE state = 'ACTIVE'", 1),
        (directory, "domain_claims", 1),
        (directory, "liens", 1),
        (identity, "directory_states WHERE state = 'ACTIVE'", 1),
        (identity, "sign_ups WHERE state = 'DONE'", 1),
        (identity, "users", 2),
        (identity, "role_assignments", 1),
        (subscription, "holds WHERE state = 'HELD'", 1),
        (subscription, "subscriptions", 3),
        (subscription, "subscription_locations", 3),
        (subscription, "orders", 3),
        (subscription, "role_assignments", 2),
        (subscription, "product_guards WHERE trial_time IS NOT NULL", 1),
        (subscription, "azure_owner_guards WHERE free_trial_time IS NOT NULL", 1),
    ] {
        assert_eq!(count(db, rows).await, each * organisations, "{rows} of {organisations} organisations");
    }
}
