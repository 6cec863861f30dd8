//! `CheckDirectoryRole`: may this principal, now (K3)? Called by peers, so it asks none (K1).

use access::permission::ReadRoleAssignments;
use access::{Caller, Consistency, Judge as _, Judgement, Question, require, require_active};
use kernel::{Refusal, Violations};

use super::UseCases;

impl UseCases {
    /// Judges; a refusal means that the caller may not ask, never that the principal may not act.
    pub(crate) async fn check_directory_role(
        &self,
        caller: &Caller,
        question: &Question,
    ) -> Result<Judgement, Refusal> {
        let now = self.clock.now();
        match caller {
            // K36, K41: the right is the table of calls; a user is judged with the session that the token was given in.
            Caller::Service(_) if question.session.is_none() && question.principal.user().is_some() => {
                let mut violations = Violations::new();
                violations.add("session", "services must give the session of a user");
                violations.finish()?;
            }
            Caller::Service(_) => {}
            // In another directory a principal is nobody, to itself as to everybody (P-11).
            Caller::Principal(own)
                if own.principal == question.principal && own.principal.directory() == question.directory =>
            {
                if question.session.is_none_or(|session| session == own.session) {
                    // The same facts tell whether the caller may ask: one statement serves both.
                    let session = Some(own.session);
                    let facts = self.judge.facts(own.principal, session, question.consistency).await?;
                    require_active(&facts, caller, question.consistency, now).await?;
                    return facts.judge(question).await;
                }
                require_active(&self.judge, caller, Consistency::AtMostFiveSeconds, now).await?;
            }
            // K4: whoever reads a directory's role assignments may ask about its principals.
            Caller::Principal(_) | Caller::Operator(_) => {
                require::<ReadRoleAssignments>(
                    &self.judge,
                    caller,
                    question.directory,
                    Consistency::Fresh,
                    now,
                )
                .await?;
            }
        }
        self.judge.judge(question).await
    }
}
