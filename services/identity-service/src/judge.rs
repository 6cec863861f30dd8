//! The judge of identity's own methods, and of everybody who asks by `CheckDirectoryRole`: the facts are local.
//!
//! It never hashes a password and asks no peer (K1, K18).

use access::{Judge, Judgement, Question};
use database::{Db, StoreError};
use kernel::{Clock, Refusal};

use crate::domain::standing;
use crate::store;

/// Judges from identity's own database; every answer is fresh.
#[derive(Debug, Clone)]
pub(crate) struct LocalJudge {
    db: Db,
    clock: Clock,
}

impl LocalJudge {
    /// A judge over this database.
    pub(crate) const fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    async fn answer(&self, question: &Question) -> Result<Judgement, StoreError> {
        // Before asking: the facts are at least as young as this.
        let judged_at = self.clock.now();
        let found = if question.principal.directory() == question.directory {
            let mut tx = self.db.read().await?;
            store::standing::find(&mut tx, question.principal, question.session, judged_at).await?
        } else {
            None
        };
        let decision = standing::decide(found.as_ref(), question, judged_at);
        Ok(Judgement {
            denied: decision.as_ref().err().copied(),
            matched_roles: decision.unwrap_or_default(),
            revision: found.map_or(0, |standing| standing.revision),
            judged_at,
        })
    }
}

impl Judge for LocalJudge {
    async fn judge(&self, question: &Question) -> Result<Judgement, Refusal> {
        Ok(self.answer(question).await?)
    }
}
