//! Signing up for Azure: what stands against it and what comes of it (X-1, S-01 to S-05, S-20).
//!
//! Who may is not decided here, nor is anything asked or stored.

use kernel::{DirectoryId, Principal, Timestamp, UserId};
use uuid::Uuid;

use super::catalogue::Offer;
use super::directory::DirectoryFacts;
use super::lifecycle::{self, Lifecycle, State};
use super::money::Money;
use super::order::{OrderFacts, OrderLine};
use super::refused::Refused;
use super::subscription::{self, Kind, NewIds, Owner, SubscriptionFacts, Term};

/// The built-in role Owner (domain-rules 6.2).
pub(crate) const OWNER_ROLE: Uuid = Uuid::from_u128(0x8e3a_f657_a8ff_443c_a75c_2fe8_c4bc_b635);

/// What the person orders.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) accept_terms: bool,
    /// Empty: the offer's.
    pub(crate) display_name: String,
}

/// What is known at the moment of the decision.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) directory: &'a DirectoryFacts,
    pub(crate) offer: &'a Offer,
    pub(crate) currency: &'a str,
    pub(crate) owner: OwnerHistory,
    /// The most Azure subscriptions that one user may own at once.
    pub(crate) quota: i64,
}

/// What the person has, or had, of Azure.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnerHistory {
    /// Whether the person ever had an Azure subscription of any offer, the free trial included.
    pub(crate) ever_subscribed: bool,
    /// How many there are that are not Deleted, judged now.
    pub(crate) present: i64,
}

/// The role that the owner gets at the subscription's scope (S-01).
#[derive(Debug)]
pub(crate) struct OwnerAssignment {
    pub(crate) id: Uuid,
    pub(crate) role_definition: Uuid,
    pub(crate) scope: String,
    pub(crate) user: UserId,
    pub(crate) create_time: Timestamp,
}

/// What comes of it.
#[derive(Debug)]
pub(crate) struct SignedUp {
    pub(crate) subscription: SubscriptionFacts,
    pub(crate) order: OrderFacts,
    pub(crate) assignment: OwnerAssignment,
}

/// S-02: refuses when the caller's directory is not the one that was meant.
pub(crate) fn check_directory(actual: DirectoryId, expected: Option<DirectoryId>) -> Result<(), Refused> {
    match expected {
        Some(expected) if expected != actual => Err(Refused::DirectoryMismatch { actual, expected }),
        _ => Ok(()),
    }
}

/// Decides a sign-up in a directory that orders can be placed for ([`DirectoryFacts::require_order`]): the subscription
/// belongs to the user who makes it, in the user's directory (P-1, P-2).
pub(crate) fn sign_up(
    facts: &Facts<'_>,
    command: &Command,
    user: UserId,
    now: Timestamp,
    ids: NewIds,
) -> Result<SignedUp, Refused> {
    facts.offer.require_taken_as(Kind::AzureUsage)?;
    let free_trial = facts.offer.is_azure_free_trial();
    // S-04, P-14: once per person, and not for whoever ever had any Azure subscription.
    if free_trial && facts.owner.ever_subscribed {
        return Err(Refused::OfferAlreadyUsed { offer: facts.offer.name.to_string() });
    }
    if facts.owner.present >= facts.quota {
        return Err(Refused::SubscriptionQuota { limit: facts.quota });
    }
    let trial_end_time = free_trial.then(|| lifecycle::trial_end(now, facts.offer.trial_days));
    let display_name = &command.display_name;
    let subscription = SubscriptionFacts {
        id: ids.subscription,
        kind: Kind::AzureUsage,
        owner: Owner::User(user),
        product: facts.offer.name.product.to_string(),
        offer: facts.offer.name.offer.to_string(),
        display_name: if display_name.is_empty() { &facts.offer.display_name } else { display_name }.clone(),
        seats: None,
        term: Term::Open,
        start_time: now,
        trial_end_time,
        lifecycle: trial_end_time.map_or(Lifecycle::OPEN, Lifecycle::of_azure_free_trial),
        announced_state: State::Active,
        create_time: now,
        update_time: now,
        revision: 1,
    };
    let description = format!("Azure, {}, charged by use", facts.offer.display_name);
    let order = OrderFacts {
        id: ids.order,
        subscription: ids.subscription,
        product: subscription.product.clone(),
        offer: subscription.offer.clone(),
        line: OrderLine::new(description, 1, Money::zero(facts.currency)),
        trial: free_trial,
        place_principal: Principal::User(facts.directory.id, user),
        place_time: now,
        next_charge_time: None,
    };
    let assignment = OwnerAssignment {
        id: ids.role_assignment,
        role_definition: OWNER_ROLE,
        scope: subscription::name(ids.subscription),
        user,
        create_time: now,
    };
    Ok(SignedUp { subscription, order, assignment })
}

#[cfg(test)]
mod tests {
    use kernel::{OrderId, SubscriptionId, new_ids};

    use super::super::catalogue::Catalogue;
    use super::super::directory::contoso;
    use super::super::prices::PriceList;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);
    const FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
    const PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";

    fn cy() -> UserId {
        UserId::from_uuid(new_ids::derive(&["cy"]))
    }

    fn sign_up_with(offer: &str, owner: OwnerHistory) -> Result<SignedUp, Refused> {
        let catalogue = Catalogue::new(&PriceList::default());
        let offer = catalogue.offers().find(|one| one.name.to_string() == offer).unwrap();
        let directory = contoso();
        let facts = Facts { directory: &directory, offer, currency: "USD", owner, quota: 50 };
        let ids = NewIds {
            subscription: SubscriptionId::from_uuid(new_ids::derive(&["subscription"])),
            order: OrderId::from_uuid(new_ids::derive(&["order"])),
            role_assignment: new_ids::derive(&["role"]),
        };
        sign_up(&facts, &Command { accept_terms: true, display_name: String::new() }, cy(), NOW, ids)
    }

    #[test]
    fn the_creator_owns_the_subscription_and_gets_the_role_owner_on_it() {
        // P-2, S-01.
        let made = sign_up_with(PAY_AS_YOU_GO, OwnerHistory::default()).unwrap();
        assert_eq!(made.subscription.owner, Owner::User(cy()));
        assert_eq!(made.assignment.scope, format!("subscriptions/{}", made.subscription.id));
        assert_eq!(made.assignment.role_definition.to_string(), "8e3af657-a8ff-443c-a75c-2fe8c4bcb635");
        assert_eq!((made.subscription.term_at(NOW), made.order.total().units), ((NOW, None), 0));
    }

    #[test]
    fn the_free_trial_ends_after_thirty_days() {
        // S-20.
        let made = sign_up_with(FREE_TRIAL, OwnerHistory::default()).unwrap();
        let end = NOW.plus(std::time::Duration::from_hours(30 * 24));
        assert_eq!((made.subscription.trial_end_time, made.order.trial), (Some(end), true));
        assert_eq!(made.subscription.state_at(end), State::Disabled);
    }

    #[test]
    fn the_free_trial_is_not_for_whoever_ever_had_azure() {
        // S-04: also when nothing of it is left.
        let had = OwnerHistory { ever_subscribed: true, present: 0 };
        assert!(matches!(sign_up_with(FREE_TRIAL, had.clone()), Err(Refused::OfferAlreadyUsed { .. })));
        assert!(sign_up_with(PAY_AS_YOU_GO, had).is_ok());
    }

    #[test]
    fn a_user_owns_at_most_the_quota() {
        let full = OwnerHistory { ever_subscribed: true, present: 50 };
        assert!(matches!(sign_up_with(PAY_AS_YOU_GO, full), Err(Refused::SubscriptionQuota { limit: 50 })));
    }

    #[test]
    fn enterprise_offers_partner_offers_and_office365_offers_are_refused() {
        let refused = |offer| sign_up_with(offer, OwnerHistory::default()).unwrap_err();
        assert!(matches!(refused("products/azure/offers/ms-azr-0148p"), Refused::EnterpriseOffer { .. }));
        assert!(matches!(refused("products/azure/offers/ms-azr-0145p"), Refused::OfferNotAvailable { .. }));
        assert!(matches!(refused("products/spb/offers/annual"), Refused::KindMismatch { .. }));
    }

    #[test]
    fn another_directory_than_expected_is_refused() {
        // S-02.
        let other = DirectoryId::from_uuid(new_ids::derive(&["fabrikam"]));
        assert!(check_directory(contoso().id, None).is_ok());
        assert!(check_directory(contoso().id, Some(contoso().id)).is_ok());
        assert!(matches!(
            check_directory(contoso().id, Some(other)),
            Err(Refused::DirectoryMismatch { expected, .. }) if expected == other
        ));
    }
}
