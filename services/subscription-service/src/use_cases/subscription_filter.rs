//! The filter of `ListSubscriptions` in the words of the store: who `users/me` is, which values nothing has.
//!
//! Which fields and operators there are is decided where requests are parsed; which index serves them, in the store.

use kernel::{DirectoryId, Principal};
use runtime::filter::{Condition, Operator};

use super::sight::Sight;
use crate::domain::catalogue::Slug;
use crate::domain::lifecycle::State;
use crate::domain::subscription::{Kind, Owner};
use crate::store::subscription_lists::{By, Narrowing};

/// What the conditions and the caller's sight leave of a directory's subscriptions; `None` when it can be nothing.
pub(super) fn narrowings(
    conditions: &[Condition],
    caller: Principal,
    sight: Sight,
    directory: DirectoryId,
) -> Option<Vec<Narrowing>> {
    let mut narrowings = match sight {
        Sight::All => Vec::new(),
        Sight::Own(principal) => vec![Narrowing { by: owner_user(principal, directory)?, negated: false }],
    };
    for condition in conditions {
        let negated = condition.operator == Operator::NotEquals;
        match by(condition, caller, directory) {
            Some(by) => narrowings.push(Narrowing { by, negated }),
            // No subscription of the directory has the value: all are different from it, and none equal.
            None if negated => {}
            None => return None,
        }
    }
    Some(narrowings)
}

/// What a condition compares with; `None` if no subscription of the directory can have the value.
fn by(condition: &Condition, caller: Principal, directory: DirectoryId) -> Option<By> {
    let value = condition.value.as_str();
    match condition.field {
        "kind" => Kind::from_name(value).map(By::Kind),
        "state" => State::from_name(value).map(By::State),
        "offer" => offer(value),
        "owner" if value == "users/me" => owner_user(caller, directory),
        "owner" if value == format!("directories/{directory}") => Some(By::Owner(Owner::Directory)),
        "owner" => owner_user(value.parse().ok()?, directory),
        _ => None,
    }
}

fn offer(name: &str) -> Option<By> {
    let (product, offer) = name.strip_prefix("products/")?.split_once("/offers/")?;
    let (product, offer) = (product.parse::<Slug>().ok()?, offer.parse::<Slug>().ok()?);
    Some(By::Offer { product: product.to_string(), offer: offer.to_string() })
}

/// A service account owns nothing, and nobody owns anything in another directory (P-2).
fn owner_user(principal: Principal, directory: DirectoryId) -> Option<By> {
    let user = principal.user().filter(|_| principal.directory() == directory)?;
    Some(By::Owner(Owner::User(user)))
}
