//! `GetSubscription` and `ListSubscriptions`: who sees what, and the state judged now. Nothing is changed.

use access::permission::ReadSubscriptions;
use access::{Caller, Consistency, Permission as _, roles};
use database::read_one;
use kernel::{DirectoryId, Refusal, SubscriptionId};
use runtime::filter::Condition;
use runtime::page_token::PageRequest;
use uuid::Uuid;

use super::sight::Sight;
use super::subscription_filter::narrowings;
use super::{Page, UseCases, signed_in};
use crate::domain::refused::Refused;
use crate::domain::subscription::Subscription;
use crate::store::subscription_lists::{self, After};
use crate::store::subscriptions;

/// Before the first row of every list.
const BEGINNING: After = (i64::MIN, Uuid::nil());

/// Whose subscriptions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of a directory.
    Directory(DirectoryId),
    /// Those that the caller owns.
    Mine,
}

/// The list as parsed.
#[derive(Debug)]
pub(crate) struct ListSubscriptions {
    pub(crate) scope: Scope,
    pub(crate) page_size: i64,
    pub(crate) page_token: String,
    /// The filter's text, which a page token is bound to.
    pub(crate) filter: String,
    pub(crate) conditions: Vec<Condition>,
}

impl UseCases {
    /// Reads one subscription. One that is absent, foreign, or another member's is answered alike, after the same work
    /// (K33): one question to identity about the caller's own directory, one look-up.
    pub(crate) async fn get_subscription(
        &self,
        caller: &Caller,
        id: SubscriptionId,
    ) -> Result<Subscription, Refused> {
        let directory = signed_in(Some(caller))?.1.principal.directory();
        let sight = self.sight::<ReadSubscriptions>(caller, directory).await?;
        let found = read_one!(self.db, |tx| subscriptions::find_in(tx, directory, id).await)?;
        let seen = found.filter(|subscription| match sight {
            Sight::All => true,
            Sight::Own(principal) => subscription.is_owned_by(principal),
        });
        seen.ok_or_else(|| denied(id).into())
    }

    /// Lists subscriptions, oldest first. A plain member of a directory sees those that it owns.
    pub(crate) async fn list_subscriptions(
        &self,
        caller: &Caller,
        list: &ListSubscriptions,
    ) -> Result<Page<Subscription>, Refused> {
        let principal = signed_in(Some(caller))?.1.principal;
        let now = self.clock.now();
        let (directory, sight) = match list.scope {
            Scope::Directory(directory) => {
                (directory, self.sight::<ReadSubscriptions>(caller, directory).await?)
            }
            Scope::Mine => {
                let consistency = Consistency::AtMostFiveSeconds;
                access::require_active(&self.judge, caller, consistency, now).await?;
                (principal.directory(), Sight::Own(principal))
            }
        };
        let actor = caller.actor();
        let parent = directory.to_string();
        let scope = [parent.as_str(), if list.scope == Scope::Mine { "mine" } else { "all" }, &list.filter];
        let method = "ListSubscriptions";
        let request = PageRequest { method, actor: &actor, directory: Some(directory), scope: &scope };
        let after: After = self.page_tokens.after_key(&request, &list.page_token)?.unwrap_or(BEGINNING);
        let Some(narrowings) = narrowings(&list.conditions, principal, sight, directory) else {
            return Ok(Page { entries: Vec::new(), next_page_token: String::new() });
        };
        let mut tx = self.db.read().await?;
        let rows =
            subscription_lists::page(&mut tx, directory, &narrowings, now, after, list.page_size + 1).await?;
        let (entries, next_page_token) = self.page_tokens.cut(&request, rows, list.page_size, key);
        Ok(Page { entries, next_page_token })
    }
}

fn key(subscription: &Subscription) -> After {
    (subscription.facts.create_time.micros(), subscription.facts.id.uuid())
}

/// The one answer for whatever the caller may not read, absent included.
fn denied(id: SubscriptionId) -> Refusal {
    let right = ReadSubscriptions::NAME;
    Refusal::permission_denied(right, format!("subscriptions/{id}"))
        .with("roles", roles::that_contain(right).join(","))
}
