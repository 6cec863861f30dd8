//! K13: a batch is whole transactions, and costs the same however much waits behind it.

use database::{TxEngine, sequencer};
use sqlx::{AssertSqlSafe, Row as _};
use test_support::clock::START;
use test_support::database::number;

use crate::change_log::change;
use crate::{call, store};

const POSITIONED: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log WHERE position IS NOT NULL";

#[tokio::test]
async fn a_batch_ends_with_the_end_of_a_transaction() {
    let store = store().await;
    for number in 0..100 {
        change(&store.db, &call(number, 1), 7).await;
    }
    // The 200th row is the fourth of its transaction.
    for positioned in [203, 406, 609] {
        assert!(sequencer::run_once(&store.db, START).await.unwrap());
        assert_eq!(number(&store.db, POSITIONED).await, positioned);
    }
    assert!(!sequencer::run_once(&store.db, START).await.unwrap());
    assert_eq!(number(&store.db, POSITIONED).await, 700);
}

#[tokio::test]
async fn a_batch_is_read_by_its_transactions_alone() {
    let store = store().await;
    let select = sequencer::UNPOSITIONED.replace("$1", "200");
    let mut tx = store.db.write().await.unwrap();
    let plan: Vec<String> = match &mut tx.engine {
        TxEngine::Sqlite(transaction) => {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {select}"));
            let mut connection = transaction.connection().await.unwrap();
            let steps = sqlx::query(explain).fetch_all(&mut *connection).await.unwrap();
            steps.iter().map(|step| step.get("detail")).collect()
        }
        TxEngine::Postgres(transaction) => {
            // As with a backlog that came after the engine has counted last: then all rows seem to have a position.
            let counted = "INSERT INTO change_log (directory, transaction_id, event_time, actor, action, resource, kind,
                    after, changed_fields, outcome, count, digest, position)
                SELECT gen_random_uuid(), gen_random_uuid(), 1, '', '', '', '', '', '', '', 1, '', n
                FROM generate_series(1, 2000) AS n;
                ANALYZE change_log";
            sqlx::raw_sql(counted).execute(transaction.connection()).await.unwrap();
            let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) {select}"));
            let steps = sqlx::query(explain).fetch_all(transaction.connection()).await.unwrap();
            steps.iter().map(|step| step.get(0)).collect()
        }
    };
    let by = |index: &str| plan.iter().filter(|step| step.contains(index)).count();
    let unpositioned = by("change_log_unpositioned") + by("change_log_by_position");
    assert_eq!((by("change_log_by_transaction"), unpositioned), (1, 1), "{plan:#?}");
}
