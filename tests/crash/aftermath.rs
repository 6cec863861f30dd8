//! After the storm: what nobody asked for again is cleared up by the workers, and nothing is left of it.
//!
//! The workers wait for hours in a process. Here they are driven by hand, over the databases that the processes left,
//! with a clock that is hours ahead.

use std::collections::BTreeMap;
use std::time::Duration;

use runtime::clock::{system_clock, system_ids};
use runtime::edge::WriteLimits;
use runtime::worker::Worker;
use subscription_service::PriceList;
use tenure::embedded::{Databases, Deps, Embedded};
use test_support::clock::ManualClock;
use test_support::database::number;

use crate::client::{PATIENCE, insist, request_id};
use crate::halves::{ids, logs_are_whole, nothing_is_half};
use crate::intent::{Intent, reason};
use crate::storm::Storm;
use crate::system::{System, close};

/// Beyond the patience with sign-ups and the least age of a hold that is let go.
const LATER: Duration = Duration::from_hours(2);

impl Storm {
    /// The end: everything is looked at once more, from the first entry on; then what was forgotten is cleared up.
    pub(crate) async fn calm(mut self) {
        self.has_left_something_open();
        self.clients.iter_mut().for_each(|client| client.ledger.look_anew());
        self.look().await;
        self.each(|client, services| Box::pin(client.sessions_go_on(services))).await;
        self.system.kill_all();
        let databases = self.system.databases().await;
        clear_up(&self.system, &databases).await;
        nothing_is_left(&databases).await;
        close(databases).await;
        self.system.start_again();
        self.labels_are_not_lost().await;
    }

    /// A storm in which nothing was left open has proven nothing.
    fn has_left_something_open(&self) {
        let ledgers = || self.clients.iter().map(|client| &client.ledger);
        let settled: usize = ledgers().map(|ledger| ledger.settled).sum();
        let forgotten: usize = ledgers().map(|ledger| ledger.forgotten.len()).sum();
        let done = self.done();
        self.tell(&format!("acknowledged {done:?}, {settled} of them after a crash; forgotten {forgotten}"));
        assert!(settled > 0 && forgotten > 0, "nothing was left open");
    }

    /// How much of each kind of work was done.
    pub(crate) fn done(&self) -> BTreeMap<&'static str, usize> {
        let mut done = BTreeMap::new();
        for entry in self.clients.iter().flat_map(|client| &client.ledger.acknowledged) {
            *done.entry(entry.intent.kind()).or_default() += 1;
        }
        done
    }

    /// K37: a forgotten sign-up is finished, or its label is free.
    async fn labels_are_not_lost(&self) {
        let forgotten = self.clients.iter().flat_map(|client| &client.ledger.forgotten);
        for intent in forgotten {
            let Intent::SignUp(message) = intent else { continue };
            let Err(refused) = insist(intent, &self.system.services, "", PATIENCE).await else { continue };
            assert_eq!(reason(&refused), "SIGN_UP_ABANDONED", "{refused:?}");
            let mut again = message.clone();
            again.request_id = request_id();
            insist(&Intent::SignUp(again), &self.system.services, "", PATIENCE).await.unwrap();
        }
    }
}

/// Does what the workers of all three services would have done two hours later.
async fn clear_up(system: &System, databases: &Databases) {
    let now = system_clock().now();
    let deps = Deps {
        databases: databases.clone(),
        clock: ManualClock::new(now.plus(LATER)).clock(),
        ids: system_ids(),
        issuer: system.issuer().to_owned(),
        directory: directory_service::Settings::default(),
        prices: PriceList::default(),
        identity: identity_service::Settings::default(),
        subscription: subscription_service::Settings::default(),
        request_timeout: Duration::from_mins(1),
        write_limits: WriteLimits::default(),
    };
    let workers = Embedded::build(&deps, &system.keys()).workers;
    for duty in ["finish sign-ups", "release holds", "sequence"] {
        let mut found = workers.iter().filter(|worker| worker.name.contains(duty)).peekable();
        assert!(found.peek().is_some(), "nobody has the duty: {duty}");
        for worker in found {
            to_its_end(worker).await;
        }
    }
}

/// A worker that goes through pages says that nothing more is to do at the end of each.
async fn to_its_end(worker: &Worker) {
    for _ in 0..5 {
        while worker.run_once().await.unwrap() {}
    }
}

async fn nothing_is_left(databases: &Databases) {
    logs_are_whole(databases).await;
    nothing_is_half(databases).await;
    let Databases { directory, identity, subscription } = databases;
    for (db, left, select) in [
        (
            identity,
            "a sign-up that nobody ended",
            "SELECT CAST(COUNT(*) AS BIGINT) FROM sign_ups WHERE state IN ('STARTED', 'CREATED', 'ABANDONING')",
        ),
        (
            directory,
            "a directory that nobody finished",
            "SELECT CAST(COUNT(*) AS BIGINT) FROM directories WHERE state NOT IN ('ACTIVE', 'DELETED')",
        ),
        (
            directory,
            "a label of a directory that never was",
            "SELECT CAST(COUNT(*) AS BIGINT) FROM domain_claims WHERE NOT EXISTS
                (SELECT 1 FROM directories WHERE id = domain_claims.directory AND state = 'ACTIVE')",
        ),
        (
            subscription,
            "a hold without a cause",
            "SELECT CAST(COUNT(*) AS BIGINT) FROM holds WHERE state <> 'HELD' OR NOT EXISTS
                (SELECT 1 FROM subscriptions WHERE subscriptions.directory = holds.directory)",
        ),
    ] {
        assert_eq!(number(db, select).await, 0, "{left}");
    }
    let active = ids(directory, "SELECT id FROM directories WHERE state = 'ACTIVE'").await;
    let known = ids(identity, "SELECT directory FROM directory_states WHERE state = 'ACTIVE'").await;
    assert_eq!(active, known, "directories that are active there, and here");
    let liens = ids(directory, "SELECT id FROM liens").await;
    assert_eq!(liens, ids(subscription, "SELECT lien FROM holds").await, "liens, and what is held by them");
}
