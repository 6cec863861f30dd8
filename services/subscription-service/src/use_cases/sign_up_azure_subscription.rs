//! `SignUpAzureSubscription`: it lands in the caller's directory and belongs to the caller (P-1, P-2), who needs no
//! role. There is no way to name another directory or owner.

use access::permission::{SignUpAzure as Right, SignUpAzureAlways};
use access::{Call, Consistency, Permission as _, Permit};
use database::change_log::{self, Change, ChangeKind};
use database::{Tx, hold, idempotency};
use kernel::{DirectoryId, Refusal, UserId};
use serde::Serialize;

use super::attach_office365_subscription::{new_ids, record_placed};
use super::sight::is_role_missing;
use super::{HOLD_REASON, Placed, UseCases, refuse_used_request_id, signed_in};
use crate::domain::azure::{self, Command, Facts, OwnerAssignment, OwnerHistory, SignedUp};
use crate::domain::catalogue::OfferName;
use crate::domain::directory::DirectoryFacts;
use crate::domain::order::Order;
use crate::domain::refused::Refused;
use crate::domain::subscription::Subscription;
use crate::store;

/// The order as parsed.
#[derive(Debug)]
pub(crate) struct SignUpAzure {
    pub(crate) offer: OfferName,
    pub(crate) command: Command,
    pub(crate) expected_directory: Option<DirectoryId>,
    pub(crate) validate_only: bool,
}

/// What stays the same however often the transaction is repeated.
struct Judged<'a> {
    call: &'a Call,
    order: &'a SignUpAzure,
    user: UserId,
    permit: Permit<Right>,
    directory: DirectoryFacts,
}

/// The owner's role as the change log tells it.
#[derive(Serialize)]
struct RoleAssignmentRecord<'a> {
    scope: &'a str,
    role_definition: String,
    principal: String,
}

impl UseCases {
    /// Signs up, or with `validate_only` tells what would come of it.
    pub(crate) async fn sign_up_azure_subscription(
        &self,
        call: &Call,
        order: &SignUpAzure,
    ) -> Result<Placed, Refused> {
        if order.validate_only {
            return self.judge_and_sign_up(call, order).await;
        }
        idempotency::once(&self.db, call, || self.judge_and_sign_up(call, order)).await
    }

    async fn judge_and_sign_up(&self, call: &Call, order: &SignUpAzure) -> Result<Placed, Refused> {
        let principal = signed_in(call.caller.as_ref())?.1.principal;
        // P-2: the owner is a person.
        let user = principal.user().ok_or_else(|| {
            Refusal::permission_denied(Right::NAME, format!("directories/{}", principal.directory()))
        })?;
        let permit = self.require_sign_up(call).await?;
        azure::check_directory(permit.directory(), order.expected_directory)?;
        // P-3: both peers are asked before anything is written; one that does not answer stops it here.
        let directory = self.directory.directory(permit.directory()).await?;
        if !directory.members_may_create_subscriptions {
            self.require_administrator(call, permit.directory()).await?;
        }
        let judged = Judged { call, order, user, permit, directory };
        let directory = judged.permit.directory();
        if order.validate_only || !self.is_held(directory).await? {
            // A first look, so that an order that is refused takes no lien.
            let looked = self.look_at_sign_up(&judged).await?;
            if order.validate_only {
                return Ok(looked);
            }
            self.ensure_hold(directory).await?;
        }
        database::retry(call, || self.sign_up_once(&judged)).await
    }

    /// Every member may; a guest is told where home is (K20).
    async fn require_sign_up(&self, call: &Call) -> Result<Permit<Right>, Refused> {
        let (caller, signed_in) = signed_in(call.caller.as_ref())?;
        let (directory, now) = (signed_in.principal.directory(), self.clock.now());
        let judged = access::require::<Right>(&self.judge, caller, directory, Consistency::Fresh, now).await;
        match judged {
            Err(refusal) if is_role_missing(&refusal) => {
                match self.identity.home_directory_of_guest(signed_in.principal).await? {
                    Some(home_directory) => Err(Refused::GuestNotAllowed { home_directory }),
                    None => Err(refusal.into()),
                }
            }
            other => Ok(other?),
        }
    }

    /// Where the directory leaves it to administrators (S-05, a setting of ours).
    async fn require_administrator(&self, call: &Call, directory: DirectoryId) -> Result<(), Refused> {
        let (caller, _) = signed_in(call.caller.as_ref())?;
        let now = self.clock.now();
        let fresh = Consistency::Fresh;
        match access::require::<SignUpAzureAlways>(&self.judge, caller, directory, fresh, now).await {
            Ok(_) => Ok(()),
            Err(refusal) if is_role_missing(&refusal) => Err(Refused::MemberSignUpDisabled(directory)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn look_at_sign_up(&self, judged: &Judged<'_>) -> Result<Placed, Refused> {
        let directory = judged.permit.directory();
        let mut tx = self.db.read().await?;
        let first = store::guards::first_sign_up_time(&mut tx, directory, judged.user).await?;
        let signed_up = self.decide_sign_up(&mut tx, judged, first.is_some()).await?;
        Ok(Placed {
            subscription: Subscription { directory, facts: signed_up.subscription },
            order: Order { directory, facts: signed_up.order },
        })
    }

    async fn sign_up_once(&self, judged: &Judged<'_>) -> Result<Placed, Refused> {
        let (call, permit) = (judged.call, &judged.permit);
        let mut tx = self.db.write().await?;
        if let Some(answer) = idempotency::claim(&mut tx, call).await? {
            return Ok(answer);
        }
        hold::lock(&mut tx, permit.directory(), HOLD_REASON).await?;
        // K12: before anything is decided by it.
        store::directory_states::lock(&mut tx, permit, &judged.directory).await?;
        let locked = store::guards::lock_owner(&mut tx, permit, judged.user).await?;
        let signed_up = self.decide_sign_up(&mut tx, judged, locked.first_sign_up_time.is_some()).await?;
        let subscription =
            store::subscriptions::insert_signed_up(&mut tx, permit, &locked, &signed_up.subscription).await?;
        let order = store::orders::insert(&mut tx, permit, &signed_up.order).await?;
        store::guards::note_signed_up(&mut tx, permit, &locked, signed_up.order.trial, call.now).await?;
        record_placed(&mut tx, permit, call, &subscription, &order).await?;
        assign_owner(&mut tx, judged, &subscription, &signed_up.assignment).await?;
        let placed = Placed { subscription, order };
        idempotency::complete(&mut tx, call, &placed).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(placed)
    }

    async fn decide_sign_up(
        &self,
        tx: &mut Tx,
        judged: &Judged<'_>,
        ever_subscribed: bool,
    ) -> Result<SignedUp, Refused> {
        let Judged { call, order, user, directory, .. } = judged;
        refuse_used_request_id(tx, call).await?;
        directory.require_order(order.command.accept_terms)?;
        let offer = self.catalogue.offer(&order.offer)?;
        let present = store::subscriptions::count_owned(tx, directory.id, *user, call.now).await?;
        let facts = Facts {
            directory,
            offer,
            currency: self.catalogue.currency(),
            owner: OwnerHistory { ever_subscribed, present },
            quota: self.azure_subscriptions_per_owner,
        };
        azure::sign_up(&facts, &order.command, *user, call.now, new_ids(call))
    }
}

/// S-01: the creator gets Owner at the subscription's scope.
async fn assign_owner(
    tx: &mut Tx,
    judged: &Judged<'_>,
    subscription: &Subscription,
    assignment: &OwnerAssignment,
) -> Result<(), Refused> {
    let (call, permit) = (judged.call, &judged.permit);
    store::role_assignments::insert_owner(tx, permit, subscription.facts.id, assignment).await?;
    let record = RoleAssignmentRecord {
        scope: &assignment.scope,
        role_definition: format!("roleDefinitions/{}", assignment.role_definition),
        principal: subscription.owner_name(),
    };
    let change = Change {
        resource: format!("{}/roleAssignments/{}", subscription.name(), assignment.id),
        kind: ChangeKind::Created,
        after: &record,
        changed_fields: &[],
    };
    change_log::append(tx, permit, call, &change).await?;
    Ok(())
}
