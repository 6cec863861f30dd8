//! `AttachOffice365Subscription`: the right is asked of identity at that moment, the hold is ensured, then one
//! transaction writes subscription, receipt and trial use. It charges nothing.

use access::permission::AttachOffice365 as Right;
use access::{Call, Consistency, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{Tx, hold, idempotency};
use kernel::{DirectoryId, OrderId, Principal, SubscriptionId};

use super::{HOLD_REASON, Placed, UseCases, look_at_owned, owned, refuse_used_request_id, signed_in};
use crate::domain::catalogue::OfferName;
use crate::domain::directory::DirectoryFacts;
use crate::domain::office365::{self, Attached, Command, Facts, Owned};
use crate::domain::order::Order;
use crate::domain::refused::Refused;
use crate::domain::subscription::{NewIds, Subscription};
use crate::store;
use crate::store::guards::ProductLocked;

/// The order as parsed.
#[derive(Debug)]
pub(crate) struct AttachOffice365 {
    pub(crate) directory: DirectoryId,
    pub(crate) offer: OfferName,
    pub(crate) command: Command,
    pub(crate) validate_only: bool,
}

/// What stays the same however often the transaction is repeated.
struct Judged<'a> {
    call: &'a Call,
    order: &'a AttachOffice365,
    principal: Principal,
    permit: Permit<Right>,
    directory: DirectoryFacts,
}

impl UseCases {
    /// Attaches, or with `validate_only` tells what would come of it.
    pub(crate) async fn attach_office365_subscription(
        &self,
        call: &Call,
        order: &AttachOffice365,
    ) -> Result<Placed, Refused> {
        if order.validate_only {
            return self.judge_and_attach(call, order).await;
        }
        idempotency::once(&self.db, call, || self.judge_and_attach(call, order)).await
    }

    async fn judge_and_attach(&self, call: &Call, order: &AttachOffice365) -> Result<Placed, Refused> {
        let (caller, signed_in) = signed_in(call.caller.as_ref())?;
        let now = self.clock.now();
        let permit =
            access::require::<Right>(&self.judge, caller, order.directory, Consistency::Fresh, now).await?;
        // P-3: both peers are asked before anything is written; one that does not answer stops it here.
        let directory = self.directory.directory(order.directory).await?;
        let judged = Judged { call, order, principal: signed_in.principal, permit, directory };
        if order.validate_only || !self.is_held(order.directory).await? {
            // A first look, so that an order that is refused takes no lien.
            let looked = self.look_at_attach(&judged).await?;
            if order.validate_only {
                return Ok(looked);
            }
            self.ensure_hold(order.directory).await?;
        }
        database::retry(call, || self.attach_once(&judged)).await
    }

    async fn look_at_attach(&self, judged: &Judged<'_>) -> Result<Placed, Refused> {
        let mut tx = self.db.read().await?;
        refuse_used_request_id(&mut tx, judged.call).await?;
        let directory = judged.order.directory;
        let product = judged.order.offer.product.as_str();
        let owned = look_at_owned(&mut tx, directory, product, judged.call.now).await?;
        let Attached { subscription, order } = self.decide_attach(judged, owned)?;
        Ok(Placed {
            subscription: Subscription { directory, facts: subscription },
            order: Order { directory, facts: order },
        })
    }

    async fn attach_once(&self, judged: &Judged<'_>) -> Result<Placed, Refused> {
        let (call, permit) = (judged.call, &judged.permit);
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        hold::lock(&mut tx, permit.directory(), HOLD_REASON).await?;
        // K12: before anything is decided by it.
        store::directory_states::lock(&mut tx, permit, &judged.directory).await?;
        let product = judged.order.offer.product.as_str();
        let locked = store::guards::lock_product(&mut tx, permit, product).await?;
        refuse_used_request_id(&mut tx, call).await?;
        let present = store::subscriptions::of_product(&mut tx, permit.directory(), product).await?;
        announce_deleted(&mut tx, judged, &locked, present.as_ref()).await?;
        let attached = self.decide_attach(judged, owned(locked.times, present.as_ref(), call.now))?;
        let subscription =
            store::subscriptions::insert_attached(&mut tx, permit, &locked, &attached.subscription).await?;
        let order = store::orders::insert(&mut tx, permit, &attached.order).await?;
        store::guards::note_attached(&mut tx, permit, &locked, attached.order.trial, call.now).await?;
        record_placed(&mut tx, permit, call, &subscription, &order).await?;
        let placed = Placed { subscription, order };
        idempotency::complete(&mut tx, call, &placed).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(placed)
    }

    fn decide_attach(&self, judged: &Judged<'_>, owned: Owned) -> Result<Attached, Refused> {
        let Judged { call, order, directory, .. } = judged;
        directory.require_order(order.command.accept_terms)?;
        let offer = self.catalogue.offer(&order.offer)?;
        let product = self.catalogue.product(&order.offer.product)?;
        let facts = Facts { directory, product, offer, owned };
        office365::attach(&facts, &order.command, judged.principal, call.now, new_ids(call))
    }
}

/// The ids of what the call makes: a retry makes the same (K7, K39).
pub(super) fn new_ids(call: &Call) -> NewIds {
    NewIds {
        subscription: SubscriptionId::from_uuid(call.new_id),
        order: OrderId::from_uuid(call.further_id("order")),
        role_assignment: call.further_id("role assignment"),
    }
}

/// Puts a new subscription and its receipt into the change log.
pub(super) async fn record_placed<P: access::Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    call: &Call,
    subscription: &Subscription,
    order: &Order,
) -> Result<(), Refused> {
    let made = Change {
        resource: subscription.name(),
        kind: ChangeKind::Created,
        after: subscription,
        changed_fields: &[],
    };
    change_log::append(tx, permit, call, &made).await?;
    let placed =
        Change { resource: order.name(), kind: ChangeKind::Created, after: order, changed_fields: &[] };
    change_log::append(tx, permit, call, &placed).await?;
    Ok(())
}

/// K45: a subscription that is Deleted by the clock is announced as such, so that it does not block buying.
async fn announce_deleted(
    tx: &mut Tx,
    judged: &Judged<'_>,
    locked: &ProductLocked,
    present: Option<&Subscription>,
) -> Result<(), Refused> {
    let (call, permit) = (judged.call, &judged.permit);
    let Some(gone) = present.filter(|one| one.is_deleted_at(call.now)) else { return Ok(()) };
    let gone = gone.clone().announced(call.now);
    store::subscriptions::announce(tx, permit, locked, &gone.facts).await?;
    let change =
        Change { resource: gone.name(), kind: ChangeKind::Updated, after: &gone, changed_fields: &["state"] };
    change_log::append(tx, permit, call, &change).await?;
    Ok(())
}
