//! `GetSubscription` and `ListSubscriptions`: who sees what, and the state judged now. Nothing is changed.

use access::permission::ReadSubscriptions;
use access::{Caller, Consistency, Permission as _, roles};
use kernel::{DirectoryId, Refusal, SubscriptionId, Timestamp, UserId};
use runtime::filter::{Condition, Operator};
use runtime::page_token::PageRequest;
use uuid::Uuid;

use super::sight::Sight;
use super::{Page, UseCases, signed_in};
use crate::domain::refused::Refused;
use crate::domain::subscription::Subscription;
use crate::store::subscriptions::{self, After};

/// Rows that are read at once while a page is filled.
const BATCH: i64 = 200;
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
        let directory = signed_in(Some(caller))?.principal.directory();
        let sight = self.sight::<ReadSubscriptions>(caller, directory).await?;
        let mut tx = self.db.read().await?;
        let found = subscriptions::find_in(&mut tx, directory, id).await?;
        let seen = found.filter(|subscription| match sight {
            Sight::All => true,
            Sight::Own(principal) => subscription.is_owned_by(principal),
        });
        seen.ok_or_else(|| denied(id).into())
    }

    /// Lists subscriptions, oldest first.
    ///
    /// A plain member of a directory sees those that it owns. `kind`, `state` and `offer` are compared with rows read
    /// in the order of an index, until the page is full: the state is judged now, so that no stored word could be
    /// compared, and what a list reads is bounded by the directory's or the owner's own subscriptions (P-15).
    pub(crate) async fn list_subscriptions(
        &self,
        caller: &Caller,
        list: &ListSubscriptions,
    ) -> Result<Page<Subscription>, Refused> {
        let principal = signed_in(Some(caller))?.principal;
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
        let owner = match sight {
            Sight::All => None,
            // A service account owns nothing.
            Sight::Own(principal) => match principal.user() {
                Some(user) => Some(user),
                None => return Ok(Page { entries: Vec::new(), next_page_token: String::new() }),
            },
        };
        let wanted = |subscription: &Subscription| matches(subscription, &list.conditions, &actor, now);
        let (entries, more) = self.fill(directory, owner, after, list.page_size, wanted).await?;
        let end = entries.last().filter(|_| more).map(key);
        let next_page_token = end.map(|end| self.page_tokens.next_key(&request, &end)).unwrap_or_default();
        Ok(Page { entries, next_page_token })
    }

    /// Reads batches until there is one wanted row more than the page has, or no more rows.
    async fn fill(
        &self,
        directory: DirectoryId,
        owner: Option<UserId>,
        mut after: After,
        page_size: i64,
        wanted: impl Fn(&Subscription) -> bool,
    ) -> Result<(Vec<Subscription>, bool), Refused> {
        let enough = usize::try_from(page_size).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut tx = self.db.read().await?;
        loop {
            let rows = match owner {
                None => subscriptions::of_directory(&mut tx, directory, after, BATCH).await?,
                Some(user) => subscriptions::of_owner(&mut tx, directory, user, after, BATCH).await?,
            };
            let is_last = i64::try_from(rows.len()).is_ok_and(|read| read < BATCH);
            after = rows.last().map_or(after, key);
            for row in rows.into_iter().filter(|row| wanted(row)) {
                if entries.len() == enough {
                    return Ok((entries, true));
                }
                entries.push(row);
            }
            if is_last {
                return Ok((entries, false));
            }
        }
    }
}

fn key(subscription: &Subscription) -> After {
    (subscription.facts.create_time.micros(), subscription.facts.id.uuid())
}

/// Whether a subscription meets all conditions; `users/me` is the caller.
fn matches(subscription: &Subscription, conditions: &[Condition], actor: &str, now: Timestamp) -> bool {
    let facts = &subscription.facts;
    conditions.iter().all(|condition| {
        let is_value = |present: &str| present == condition.value;
        let equal = match condition.field {
            "kind" => is_value(facts.kind.as_str()),
            "state" => is_value(facts.state_at(now).as_str()),
            "offer" => is_value(&format!("products/{}/offers/{}", facts.product, facts.offer)),
            "owner" if condition.value == "users/me" => subscription.owner_name() == actor,
            "owner" => is_value(&subscription.owner_name()),
            _ => false,
        };
        match condition.operator {
            Operator::Equals | Operator::HasPrefix => equal,
            Operator::NotEquals => !equal,
        }
    })
}

/// The one answer for whatever the caller may not read, absent included.
fn denied(id: SubscriptionId) -> Refusal {
    let right = ReadSubscriptions::NAME;
    Refusal::permission_denied(right, format!("subscriptions/{id}"))
        .with("roles", roles::that_contain(right).join(","))
}
