//! The audit log of a context on the wire: one implementation for the `AuditService` of each (P-10, K13, K49).
//!
//! How entries come into the log, and which index serves which filter, is `database`'s matter.

mod parse;
mod present;

use access::permission::ReadAuditLog;
use access::{Caller, Consistency, Judge, require};
use api::types::v1::AuditEvent;
use database::audit::{self, Asked, Before, By, Narrowing};
use database::{Db, read_one};
use kernel::{Clock, Reason, Refusal};

use crate::filter::{Condition, Operator};
use crate::page_token::{PageRequest, PageTokens};
pub use parse::ListAuditEvents;

/// The reason of each package for an entry that is not there.
const AUDIT_EVENT_NOT_FOUND: Reason = Reason::new("AUDIT_EVENT_NOT_FOUND");

/// The audit log of one context.
#[derive(Debug, Clone)]
pub struct AuditLog<J> {
    db: Db,
    judge: J,
    page_tokens: PageTokens,
    clock: Clock,
}

impl<J: Judge> AuditLog<J> {
    /// The log in this database; the judge says who may read it.
    pub const fn new(db: Db, judge: J, page_tokens: PageTokens, clock: Clock) -> Self {
        Self { db, judge, page_tokens, clock }
    }

    /// `ListAuditEvents`, of the service whose method it is; also the next page's token.
    pub async fn list(
        &self,
        caller: &Caller,
        method: &'static str,
        request: &ListAuditEvents,
    ) -> Result<(Vec<AuditEvent>, String), Refusal> {
        let list = parse::list(request)?;
        let (judge, now) = (&self.judge, self.clock.now());
        let consistency = Consistency::AtMostFiveSeconds;
        let permit = require::<ReadAuditLog>(judge, caller, list.directory, consistency, now).await?;
        let actor = caller.actor();
        let (from, until) = (list.from.micros().to_string(), list.until.micros().to_string());
        let scope = [from.as_str(), &until, &request.filter];
        let page = PageRequest { method, actor: &actor, directory: Some(list.directory), scope: &scope };
        let before: Option<Before> = self.page_tokens.after_key(&page, &request.page_token)?;
        let Some(narrowings) = narrowings(&list.conditions) else { return Ok((Vec::new(), String::new())) };
        let asked = Asked {
            from: list.from,
            // Positions begin at 1: nothing of the end's own time is before it.
            before: before.unwrap_or((list.until.micros(), 0)),
            narrowings: &narrowings,
            most: list.size + 1,
        };
        let events = read_one!(self.db, |tx| audit::page(tx, &permit, &asked).await)?;
        let place = |event: &audit::Event| -> Before { (event.event_time.micros(), event.position) };
        let (events, next_page_token) = self.page_tokens.cut(&page, events, list.size, place);
        let events = events.into_iter().map(|event| present::event(list.directory, event)).collect();
        Ok((events, next_page_token))
    }

    /// `GetAuditEvent`.
    pub async fn get(&self, caller: &Caller, name: &str) -> Result<AuditEvent, Refusal> {
        let (directory, id) = parse::name(name)?;
        let (judge, now) = (&self.judge, self.clock.now());
        let consistency = Consistency::AtMostFiveSeconds;
        let permit = require::<ReadAuditLog>(judge, caller, directory, consistency, now).await?;
        let found = read_one!(self.db, |tx| audit::find(tx, &permit, id).await)?;
        let found = found.ok_or_else(|| Refusal::not_found(AUDIT_EVENT_NOT_FOUND, name))?;
        Ok(present::event(directory, found))
    }
}

/// What the conditions leave; `None` when it can be nothing.
fn narrowings(conditions: &[Condition]) -> Option<Vec<Narrowing>> {
    let mut narrowings = Vec::new();
    for Condition { field, operator, value } in conditions {
        let negated = *operator == Operator::NotEquals;
        let by = match (*field, operator) {
            ("actor", _) => By::Actor(value.clone()),
            ("action", _) => By::Action(value.clone()),
            ("target", Operator::HasPrefix) => By::TargetPrefix(value.clone()),
            ("target", _) => By::Target(value.clone()),
            _ if value == present::OK => By::Done,
            _ => By::Refused(database::refusals::CODES.iter().find(|code| code.as_str() == value)?.as_str()),
        };
        narrowings.push(Narrowing { by, negated });
    }
    Some(narrowings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_the_reason_of_an_entry_that_is_not_there() {
        for reason in [
            api::directory::v1::ErrorReason::AuditEventNotFound.reason(),
            api::identity::v1::ErrorReason::AuditEventNotFound.reason(),
            api::subscription::v1::ErrorReason::AuditEventNotFound.reason(),
        ] {
            assert_eq!(reason, AUDIT_EVENT_NOT_FOUND.as_str());
        }
    }
}
