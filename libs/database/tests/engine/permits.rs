//! A commit under a permit that is older than two seconds does nothing (K7).

use std::time::Duration;

use access::permission::BeActive;
use access::{Consistency, Judge, Judgement, Question, require};
use database::{StoreError, on};
use kernel::Refusal;
use test_support::clock::{ManualClock, START};

use test_support::database::number;

use crate::{ada, directory, store};

/// Allows everything, as of the start.
struct Lenient;

impl Judge for Lenient {
    async fn judge(&self, _: &Question) -> Result<Judgement, Refusal> {
        Ok(Judgement { denied: None, matched_roles: Vec::new(), revision: 1, judged_at: START })
    }
}

#[tokio::test]
async fn a_stale_permit_commits_nothing() {
    let store = store().await;
    let clock = ManualClock::new(START);
    let permit = require::<BeActive>(&Lenient, &ada(), directory(), Consistency::Fresh, START).await.unwrap();
    for (advance, committed) in [(Duration::from_secs(2), true), (Duration::from_millis(1), false)] {
        clock.advance(advance);
        let mut tx = store.db.write().await.unwrap();
        let insert = "INSERT INTO things (thing) VALUES ($1)";
        on!(&mut tx, |c| sqlx::query(insert).bind(format!("{advance:?}")).execute(c).await.map(|_| ()))
            .unwrap();
        let outcome = tx.commit(&permit, &clock.clock()).await;
        if committed {
            outcome.unwrap();
        } else {
            assert!(matches!(outcome, Err(StoreError::PermitStale)), "{outcome:?}");
        }
    }
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await, 1);
}
