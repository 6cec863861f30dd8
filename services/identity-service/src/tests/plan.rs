//! How a database would run a statement, for lists whose pages may be sorted after an index has found few.
//!
//! Nothing is run.

use database::{Db, on};
use sqlx::AssertSqlSafe;
use test_support::database::{Engine, engine};

/// Some id, as PostgreSQL reads it.
pub(crate) const ID: &str = "'1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6'::uuid";
/// Some number.
pub(crate) const NUMBER: &str = "50::bigint";

/// The steps of the plan; `values` stand for `$1` and so on, where the engine needs some to plan at all.
///
/// PostgreSQL plans by what it knows of the rows, so that a test fills the table first; SQLite knows none.
pub(crate) async fn of(db: &Db, select: &str, values: &[&str]) -> Vec<String> {
    let mut tx = db.write().await.unwrap();
    if engine() == Engine::Sqlite {
        let explain = format!("EXPLAIN QUERY PLAN {select}");
        let steps: Vec<(i64, i64, i64, String)> =
            on!(&mut tx, |c| sqlx::query_as(AssertSqlSafe(explain.as_str())).fetch_all(c).await).unwrap();
        return steps.into_iter().map(|step| step.3).collect();
    }
    let mut explain = format!("EXPLAIN {select}");
    for (index, value) in values.iter().enumerate().rev() {
        explain = explain.replace(&format!("${}", index + 1), value);
    }
    for set in ["SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off"] {
        on!(&mut tx, |c| sqlx::query(set).execute(c).await.map(|_| ())).unwrap();
    }
    let steps = on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(explain.as_str())).fetch_all(c).await);
    steps.unwrap()
}

/// Fills a table by a statement of PostgreSQL's, which then looks at what is there.
pub(crate) async fn filled(db: &Db, fill: &'static str, analyze: &'static str) {
    if engine() == Engine::Sqlite {
        return;
    }
    let mut tx = db.write().await.unwrap();
    for statement in [fill, analyze] {
        on!(&mut tx, |c| sqlx::query(statement).execute(c).await.map(|_| ())).unwrap();
    }
    tx.commit_bookkeeping().await.unwrap();
}

/// Whether the plan looks things up in this index, by more than the directory alone.
pub(crate) fn searches(steps: &[String], index: &str) -> bool {
    let named = |step: &String| step.split([' ', '(', ')']).any(|word| word == index);
    let Some(place) = steps.iter().position(named) else { return false };
    let how = if engine() == Engine::Sqlite {
        steps[place].clone()
    } else {
        steps[place + 1..].iter().find(|step| step.contains("Index Cond")).cloned().unwrap_or_default()
    };
    how.matches(" AND ").count() > 0
}
