//! What stands in the databases: nothing half, nothing twice, and a log of all of it without a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use database::verify::{Verified, verify};
use database::{Db, on};
use tenure::embedded::Databases;
use test_support::database::number;
use uuid::Uuid;

use crate::intent::Answer;
use crate::ledger::Entry;

/// How long the sequencers may take after the last commit.
const PATIENCE: Duration = Duration::from_secs(20);

/// Rows of the directory context that are there without what they are nothing without: each count must be 0.
const OF_DIRECTORIES: &[(&str, &str)] = &[
    (
        "a directory without its label",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM directories WHERE state <> 'DELETED' AND NOT EXISTS
            (SELECT 1 FROM domain_claims WHERE domain = initial_domain AND directory = directories.id)",
    ),
    (
        "a directory without its first domain",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM directories WHERE state <> 'DELETED' AND NOT EXISTS
            (SELECT 1 FROM domains WHERE domain = initial_domain AND directory = directories.id)",
    ),
    (
        "a label that nobody has",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM domain_claims WHERE NOT EXISTS
            (SELECT 1 FROM directories WHERE id = domain_claims.directory
                AND (state <> 'DELETED' OR activate_time IS NOT NULL))",
    ),
    (
        "an active directory that was never activated",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM directories
            WHERE (state = 'ACTIVE') <> (activate_time IS NOT NULL)",
    ),
    (
        "a lien without a directory",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM liens WHERE NOT EXISTS
            (SELECT 1 FROM directories WHERE id = liens.directory AND state = 'ACTIVE')",
    ),
    (
        "a directory without its one entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM directories) - (SELECT CAST(COUNT(*) AS BIGINT)
            FROM change_log WHERE kind = 'CREATED' AND resource NOT LIKE '%/liens/%')",
    ),
    (
        "a lien without its entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM liens)
            - (SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE kind = 'CREATED' AND resource LIKE '%/liens/%')
            + (SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE kind = 'DELETED' AND resource LIKE '%/liens/%')",
    ),
];

const OF_IDENTITIES: &[(&str, &str)] = &[
    (
        "a user without the password that was given",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE NOT EXISTS
            (SELECT 1 FROM credentials WHERE directory = users.directory AND user_id = users.id)",
    ),
    (
        "a password without a user",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM credentials WHERE NOT EXISTS
            (SELECT 1 FROM users WHERE directory = credentials.directory AND id = credentials.user_id)",
    ),
    (
        "a directory without an administrator",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM directory_states WHERE NOT EXISTS
            (SELECT 1 FROM role_assignments JOIN users ON users.directory = role_assignments.directory
                AND users.id = role_assignments.principal AND users.state = 'ACTIVE'
            WHERE role_assignments.directory = directory_states.directory
                AND role = 'global-administrator' AND expire_time IS NULL)",
    ),
    (
        "a role of nobody",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments WHERE NOT EXISTS
            (SELECT 1 FROM users WHERE directory = role_assignments.directory AND id = role_assignments.principal)",
    ),
    (
        "a session of nobody",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM sessions WHERE NOT EXISTS
            (SELECT 1 FROM users WHERE directory = sessions.directory AND id = sessions.user_id)",
    ),
    (
        "a sign-up that has its users and no answer, or the other way round",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM sign_ups WHERE (state IN ('CREATED', 'DONE')) <> (answer <> '')
            OR (state IN ('CREATED', 'DONE')) <> EXISTS
                (SELECT 1 FROM directory_states WHERE directory_states.directory = sign_ups.directory)",
    ),
    (
        "a sign-up that is done while its directory is not active, or the other way round",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM sign_ups JOIN directory_states
            ON directory_states.directory = sign_ups.directory
            WHERE (sign_ups.state = 'DONE') <> (directory_states.state = 'ACTIVE')",
    ),
    (
        "a user without their one entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM users) - (SELECT CAST(COUNT(*) AS BIGINT) FROM change_log
            WHERE kind = 'CREATED' AND resource LIKE '%/users/%' AND resource NOT LIKE '%/sessions/%')",
    ),
    (
        "a role without its one entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments) - (SELECT CAST(COUNT(*) AS BIGINT)
            FROM change_log WHERE kind = 'CREATED' AND resource LIKE '%/roleAssignments/%')",
    ),
    (
        "a session without its one entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM sessions) - (SELECT CAST(COUNT(*) AS BIGINT)
            FROM change_log WHERE kind = 'CREATED' AND resource LIKE '%/sessions/%')",
    ),
];

const OF_SUBSCRIPTIONS: &[(&str, &str)] = &[
    (
        "a subscription without a receipt",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions WHERE NOT EXISTS (SELECT 1 FROM orders
            WHERE directory = subscriptions.directory AND subscription = subscriptions.id)",
    ),
    (
        "a receipt for nothing",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM orders WHERE NOT EXISTS (SELECT 1 FROM subscriptions
            WHERE directory = orders.directory AND id = orders.subscription)",
    ),
    (
        "two receipts for one subscription",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM orders)
            - (SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions)",
    ),
    (
        "a subscription that cannot be found by its name",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions WHERE NOT EXISTS
            (SELECT 1 FROM subscription_locations AS at
            WHERE at.directory = subscriptions.directory AND at.id = subscriptions.id)",
    ),
    (
        "a name of nothing",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM subscription_locations)
            - (SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions)",
    ),
    (
        "an Azure subscription whose owner is not assigned, or an assignment to nothing",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments) + (SELECT CAST(COUNT(*) AS BIGINT)
            FROM subscriptions WHERE kind = 'KIND_AZURE_USAGE' AND NOT EXISTS (SELECT 1 FROM role_assignments AS role
                WHERE role.directory = subscriptions.directory AND role.subscription = subscriptions.id))
            - (SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions WHERE kind = 'KIND_AZURE_USAGE')",
    ),
    (
        "a trial of a product that was used and is not remembered, or twice, or remembered and never used",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM product_guards WHERE (CASE WHEN trial_time IS NULL THEN 0 ELSE 1 END)
            <> (SELECT CAST(COUNT(*) AS BIGINT) FROM orders JOIN subscriptions
                ON subscriptions.directory = orders.directory AND subscriptions.id = orders.subscription
                WHERE orders.directory = product_guards.directory AND orders.product = product_guards.product
                AND kind = 'KIND_OFFICE365_SEATS' AND trial)",
    ),
    (
        "a product that was attached and is not remembered, or the other way round",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM product_guards WHERE (first_attach_time IS NOT NULL) <> EXISTS
            (SELECT 1 FROM subscriptions WHERE subscriptions.directory = product_guards.directory
                AND subscriptions.product = product_guards.product AND kind = 'KIND_OFFICE365_SEATS')",
    ),
    (
        "a free trial of Azure that was used and is not remembered, or twice, or remembered and never used",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM azure_owner_guards
            WHERE (CASE WHEN free_trial_time IS NULL THEN 0 ELSE 1 END)
            <> (SELECT CAST(COUNT(*) AS BIGINT) FROM orders JOIN subscriptions
                ON subscriptions.directory = orders.directory AND subscriptions.id = orders.subscription
                WHERE orders.directory = azure_owner_guards.directory
                AND owner_user = azure_owner_guards.owner_user AND trial)",
    ),
    (
        "a subscription in a directory that is not held",
        "SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions WHERE NOT EXISTS
            (SELECT 1 FROM holds WHERE holds.directory = subscriptions.directory AND holds.state = 'HELD')",
    ),
    (
        "a subscription, receipt or assignment without its one entry in the log",
        "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions)
            + (SELECT CAST(COUNT(*) AS BIGINT) FROM orders)
            + (SELECT CAST(COUNT(*) AS BIGINT) FROM role_assignments)
            - (SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE kind = 'CREATED')",
    ),
];

const OF_ALL: &[(&str, &str)] = &[(
    "a request that was claimed and not answered",
    "SELECT CAST(COUNT(*) AS BIGINT) FROM idempotency_records WHERE answer = ''",
)];

/// Looks at everything that must be true whenever nobody is at work.
pub(crate) async fn nothing_is_half(databases: &Databases) {
    let Databases { directory, identity, subscription } = databases;
    for (db, rows) in
        [(directory, OF_DIRECTORIES), (identity, OF_IDENTITIES), (subscription, OF_SUBSCRIPTIONS)]
    {
        for (half, select) in rows.iter().chain(OF_ALL) {
            assert_eq!(number(db, select).await, 0, "{half}");
        }
    }
    // K18: identity lets nobody in before the directory is active.
    let active = "SELECT directory FROM directory_states WHERE state = 'ACTIVE'";
    let active_there = ids(directory, "SELECT id FROM directories WHERE state = 'ACTIVE'").await;
    let ahead: Vec<_> = ids(identity, active).await.difference(&active_there).copied().collect();
    assert!(ahead.is_empty(), "active in identity alone: {ahead:?}");
    // K11: a hold has its lien, and no lien stands whose taker does not know of it.
    let liens = ids(directory, "SELECT id FROM liens").await;
    let held = ids(subscription, "SELECT lien FROM holds WHERE state = 'HELD'").await;
    assert!(held.is_subset(&liens), "held without a lien: {:?}", held.difference(&liens));
    let liened = ids(directory, "SELECT directory FROM liens").await;
    let known = ids(subscription, "SELECT directory FROM holds").await;
    assert!(liened.is_subset(&known), "a lien without a hold: {:?}", liened.difference(&known));
}

/// P-10, P-13: every row has its position, none is missing, and the chain is as it was written.
pub(crate) async fn logs_are_whole(databases: &Databases) {
    let Databases { directory, identity, subscription } = databases;
    for db in [directory, identity, subscription] {
        let begun = Instant::now();
        loop {
            match verify(db).await.unwrap() {
                Verified::Intact { unsealed: 0, .. } => break,
                Verified::Intact { unsealed, .. } => {
                    assert!(begun.elapsed() < PATIENCE, "{unsealed} changes are given no position");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Verified::Broken { position, wrong } => panic!("the log is broken at {position}: {wrong}"),
            }
        }
    }
}

/// P-10: what was acknowledged is in the log, once.
#[derive(Debug)]
pub(crate) struct Logged {
    created: BTreeMap<String, i64>,
    ended: BTreeSet<String>,
}

impl Logged {
    pub(crate) async fn read(databases: &Databases) -> Self {
        let Databases { directory, identity, subscription } = databases;
        let mut created = BTreeMap::new();
        for db in [directory, identity, subscription] {
            let select = "SELECT resource, CAST(COUNT(*) AS BIGINT) FROM change_log
                WHERE kind = 'CREATED' AND position IS NOT NULL GROUP BY resource";
            let mut tx = db.read().await.unwrap();
            let rows: Vec<(String, i64)> =
                on!(&mut tx, |c| sqlx::query_as(select).fetch_all(c).await).unwrap();
            created.extend(rows);
        }
        let select = "SELECT resource FROM change_log
            WHERE kind = 'UPDATED' AND resource LIKE '%/sessions/%' AND position IS NOT NULL";
        let mut tx = identity.read().await.unwrap();
        let ended: Vec<String> = on!(&mut tx, |c| sqlx::query_scalar(select).fetch_all(c).await).unwrap();
        Self { created, ended: ended.into_iter().collect() }
    }

    pub(crate) fn assert_has(&self, entry: &Entry) {
        let created = match &entry.answer {
            Answer::SignedUp(reply) => {
                let directory = reply.directory.as_ref().unwrap();
                vec![&directory.name, &reply.user.as_ref().unwrap().name]
            }
            Answer::SignedIn(reply) => vec![&reply.session.as_ref().unwrap().name],
            Answer::User(user) => vec![&user.name],
            Answer::Role(role) => vec![&role.name],
            Answer::Placed(placed) => vec![&placed.0.name, &placed.1.name],
            Answer::Revoked(session) => {
                assert!(self.ended.contains(&session.name), "{} ended and is not in the log", session.name);
                vec![]
            }
            // Going on with a session is no change that is logged.
            Answer::Refreshed(_) => vec![],
        };
        for name in created {
            assert_eq!(self.created.get(name), Some(&1), "entries of {name}");
        }
    }
}

/// Ids from a database.
pub(crate) async fn ids(db: &Db, select: &'static str) -> BTreeSet<Uuid> {
    let mut tx = db.read().await.unwrap();
    let found: Vec<Uuid> = on!(&mut tx, |c| sqlx::query_scalar(select).fetch_all(c).await).unwrap();
    found.into_iter().collect()
}
