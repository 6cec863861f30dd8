//! How an engine would run a statement: for tests that a list is read from an index, on both engines.
//!
//! Nothing is run: the parameters are left open, and the tables may be empty.

use database::{Db, TxEngine};
use sqlx::{AssertSqlSafe, Row as _};

/// PostgreSQL reads small tables whole and sorts a few rows happily: with all other ways closed, it takes the index
/// exactly if the index serves.
const INDEXES_ONLY: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_sort = off; SET LOCAL plan_cache_mode = force_generic_plan";

/// Asserts that a statement seeks in this index, by these columns among others, and sorts nothing.
///
/// `columns` are those of the list's order, as in `create_time, id`: a filter after the index would not name them.
pub async fn assert_seeks(db: &Db, select: &str, index: &str, columns: &str) {
    seeks_in_order(db, select, index, columns, '>').await;
}

/// As [`assert_seeks`], for a list whose order is the opposite of the index's.
pub async fn assert_seeks_back(db: &Db, select: &str, index: &str, columns: &str) {
    seeks_in_order(db, select, index, columns, '<').await;
}

/// Asserts that a statement finds what it reads by a range of this column in this index, in whatever order.
pub async fn assert_finds(db: &Db, select: &str, index: &str, column: &str) {
    let steps = of(db, select).await;
    let plan = steps.join("\n");
    let finds = |step: &String| {
        let postgres = step.contains("Index Cond: ") && step.contains(&format!("({column} "));
        let sqlite = step.starts_with("SEARCH") && step.contains(&format!("{column}>"));
        postgres || sqlite || step.contains(&format!("{column}=?"))
    };
    assert!(plan.contains(&format!(" {index} ")), "not by {index}:\n{select}\n{plan}");
    assert!(steps.iter().any(finds), "not by {column}:\n{select}\n{plan}");
}

async fn seeks_in_order(db: &Db, select: &str, index: &str, columns: &str, operator: char) {
    let steps = of(db, select).await;
    let plan = steps.join("\n");
    let in_sqlite = format!("({}){operator}(", columns.replace(", ", ","));
    let in_postgres = format!("(ROW({columns}) {operator} ROW(");
    let seeks = |step: &String| {
        // PostgreSQL quotes names that are words of its own.
        let postgres = step.contains("Index Cond: ") && step.replace('"', "").contains(&in_postgres);
        let sqlite = step.starts_with("SEARCH") && step.contains(&in_sqlite);
        postgres || sqlite
    };
    assert!(plan.contains(&format!(" {index} ")), "not by {index}:\n{select}\n{plan}");
    assert!(steps.iter().any(seeks), "not from {columns}:\n{select}\n{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE"), "sorted:\n{select}\n{plan}");
}

/// The steps of the plan.
async fn of(db: &Db, select: &str) -> Vec<String> {
    let mut tx = db.read().await.expect("a test database reads");
    let explained = match &mut tx.engine {
        TxEngine::Sqlite(transaction) => {
            let explain = format!("EXPLAIN QUERY PLAN {select}");
            let mut connection = transaction.connection().await.expect("a snapshot is nobody else's");
            sqlx::query(AssertSqlSafe(explain))
                .fetch_all(&mut *connection)
                .await
                .map(|steps| steps.iter().map(|step| step.get("detail")).collect())
        }
        TxEngine::Postgres(transaction) => {
            let parameters = (1..100).filter(|number| select.contains(&format!("${number}")));
            let nulls = vec!["NULL"; parameters.count()].join(", ");
            for statement in [INDEXES_ONLY.to_owned(), format!("PREPARE explained AS {select}")] {
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(transaction.connection())
                    .await
                    .unwrap_or_else(|error| panic!("{error}:\n{select}"));
            }
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE explained({nulls})");
            let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(transaction.connection()).await;
            // A prepared statement outlives its transaction.
            sqlx::raw_sql("DEALLOCATE explained")
                .execute(transaction.connection())
                .await
                .expect("it was prepared before");
            plan.map(|steps| steps.iter().map(|step| step.get(0)).collect())
        }
    };
    explained.unwrap_or_else(|error| panic!("{error}:\n{select}"))
}
