//! The judge of identity's own methods, and of everybody who asks by `CheckDirectoryRole`: the facts are local.
//!
//! It never hashes a password and asks no peer (K1, K18).

use std::fmt;
use std::sync::Arc;

use access::{Consistency, Judge, Judgement, Question};
use database::{Db, StoreError};
use kernel::{Clock, Principal, Refusal, SessionId};

use crate::decision_table::{DecisionTable, Decisions, Facts, Looked};
use crate::domain::standing;
use crate::store::standing::{About, find_now};

/// Judges by identity's own database, or by what was read from it before.
#[derive(Clone)]
pub(crate) struct LocalJudge {
    db: Db,
    clock: Clock,
    table: Arc<DecisionTable>,
}

impl LocalJudge {
    /// A judge over this database; it hears of every commit of this process.
    pub(crate) fn new(db: Db, clock: Clock, decisions: Decisions) -> Self {
        let table = Arc::new(DecisionTable::new(decisions));
        let told = Arc::clone(&table);
        db.on_commit(Arc::new(move |directories| told.changed(directories)));
        Self { db, clock, table }
    }

    /// What is known of a principal: at most one statement.
    pub(crate) async fn facts(
        &self,
        principal: Principal,
        session: Option<SessionId>,
        consistency: Consistency,
    ) -> Result<Facts, StoreError> {
        // Before asking: the facts are at least as young as this.
        let now = self.clock.now();
        let Some(about) = About::new(principal, session) else { return Ok(Facts::none(now)) };
        match self.table.look(about, consistency, now) {
            Looked::Found(facts) => Ok(facts),
            Looked::Absent(unread) => Ok(self.table.keep(unread, find_now(&self.db, about).await?)),
        }
    }

    /// Forgets everything: for tests, which write past the stores.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.table.forget();
    }
}

impl Judge for LocalJudge {
    async fn judge(&self, question: &Question) -> Result<Judgement, Refusal> {
        // P-11: the other directory is never looked into.
        let facts = if question.principal.directory() == question.directory {
            self.facts(question.principal, question.session, question.consistency).await?
        } else {
            Facts::none(self.clock.now())
        };
        facts.judge(question).await
    }
}

/// Facts answer every question about the principal and the session that they are of.
impl Judge for Facts {
    async fn judge(&self, question: &Question) -> Result<Judgement, Refusal> {
        let decision = standing::decide(self.standing(), question, self.now);
        Ok(Judgement {
            denied: decision.as_ref().err().copied(),
            matched_roles: decision.unwrap_or_default(),
            revision: self.standing().map_or(0, |standing| standing.revision),
            judged_at: self.as_of,
        })
    }
}

impl fmt::Debug for LocalJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalJudge")
    }
}
