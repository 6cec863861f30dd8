//! What each rpc does: judge, ask peers, then one local transaction; the rules themselves stand in `domain/`.

mod attach_office365_subscription;
mod catalogue_queries;
mod holds;
mod order_queries;
mod preview_office365_order;
mod sight;
mod sign_up_azure_subscription;
mod subscription_filter;
mod subscription_queries;

use std::sync::Arc;

use access::{Call, Caller, SignedIn};
use database::{Db, StoreError, Tx};
use kernel::{Clock, DirectoryId, Refusal, SubscriptionId, Timestamp};
use runtime::holds::Holds;
use runtime::judge::RemoteJudge;
use runtime::page_token::PageTokens;
use serde::{Deserialize, Serialize};

pub(crate) use attach_office365_subscription::AttachOffice365;
pub(crate) use catalogue_queries::{ListOffers, ListProducts};
pub(crate) use holds::HOLD_REASON;
pub(crate) use order_queries::ListOrders;
pub(crate) use preview_office365_order::{PreviewOffice365, Previewed};
pub(crate) use sign_up_azure_subscription::SignUpAzure;
pub(crate) use subscription_queries::{ListSubscriptions, Scope};

use crate::domain::catalogue::Catalogue;
use crate::domain::office365::Owned;
use crate::domain::order::Order;
use crate::domain::subscription::Subscription;
use crate::peers::directory::DirectoryService;
use crate::peers::identity::IdentityService;
use crate::store;
use crate::store::guards::ProductTimes;

/// All use cases, with what they need.
#[derive(Debug, Clone)]
pub(crate) struct UseCases {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) judge: RemoteJudge,
    pub(crate) identity: IdentityService,
    pub(crate) directory: DirectoryService,
    pub(crate) holds: Holds,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) page_tokens: PageTokens,
    pub(crate) azure_subscriptions_per_owner: i64,
}

/// What an order leads to: the answer of both ordering rpcs, and what is recorded for retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) subscription: Subscription,
    pub(crate) order: Order,
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) next_page_token: String,
}

/// The principal that calls. Neither operators nor services order or read here (P-3).
pub(crate) fn signed_in(caller: Option<&Caller>) -> Result<(&Caller, &SignedIn), Refusal> {
    let missing = || Refusal::unauthenticated(kernel::reason::TOKEN_MISSING, "this method needs a token");
    let caller = caller.ok_or_else(missing)?;
    Ok((caller, caller.require_signed_in()?))
}

/// K39: what the call would make is there, though the record of it is over: the request id was used.
async fn refuse_used_request_id(tx: &mut Tx, call: &Call) -> Result<(), StoreError> {
    let id = SubscriptionId::from_uuid(call.new_id);
    if call.request_id.is_some() && store::subscriptions::is_located(tx, id).await? {
        return Err(StoreError::RequestIdReused);
    }
    Ok(())
}

/// What a directory has, or had, of an Office 365 product, judged at `now` from rows that are read in `tx`: a first look.
async fn look_at_owned(
    tx: &mut Tx,
    directory: DirectoryId,
    product: &str,
    now: Timestamp,
) -> Result<Owned, StoreError> {
    let times = store::guards::product_times(tx, directory, product).await?;
    let present = store::subscriptions::of_product(tx, directory, product).await?;
    Ok(owned(times, present.as_ref(), now))
}

/// What these rows say at `now`.
fn owned(times: ProductTimes, present: Option<&Subscription>, now: Timestamp) -> Owned {
    Owned {
        present: present.filter(|one| !one.is_deleted_at(now)).map(|one| one.facts.id),
        ever: times.first_attach_time.is_some(),
        trial_used: times.trial_time.is_some(),
    }
}
