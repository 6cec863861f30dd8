//! Attaching Office 365 to a directory: what it costs, what stands against it, what comes of it (X-2, L-01 to L-09).
//!
//! Who may is not decided here, nor is anything asked or stored.

use kernel::{Principal, SubscriptionId, Timestamp};

use super::catalogue::{Offer, Product};
use super::directory::DirectoryFacts;
use super::lifecycle::{self, Lifecycle, State};
use super::money::Money;
use super::order::{OrderFacts, OrderLine};
use super::refused::Refused;
use super::subscription::{self, Kind, NewIds, Owner, SubscriptionFacts};

/// What the person orders.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) seat_count: i32,
    pub(crate) trial: bool,
    pub(crate) accept_terms: bool,
    /// Empty: the product's.
    pub(crate) display_name: String,
}

/// What is known at the moment of the decision.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) directory: &'a DirectoryFacts,
    pub(crate) product: &'a Product,
    pub(crate) offer: &'a Offer,
    pub(crate) owned: Owned,
}

/// What the directory has, or had, of the product.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owned {
    /// The subscription that is not Deleted, judged now.
    pub(crate) present: Option<SubscriptionId>,
    /// Whether there ever was one.
    pub(crate) ever: bool,
    /// Whether a trial of it was used.
    pub(crate) trial_used: bool,
}

/// What comes of it.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) subscription: SubscriptionFacts,
    pub(crate) order: OrderFacts,
}

/// What an order would be.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) line: OrderLine,
    pub(crate) first_charge_time: Option<Timestamp>,
    pub(crate) trial_end_time: Option<Timestamp>,
    /// What the order would be refused for, except the terms, which are accepted with it.
    pub(crate) blockers: Vec<Refused>,
}

/// Decides an order for a directory that orders can be placed for ([`DirectoryFacts::require_order`]).
pub(crate) fn attach(
    facts: &Facts<'_>,
    command: &Command,
    principal: Principal,
    now: Timestamp,
    ids: NewIds,
) -> Result<Attached, Refused> {
    facts.offer.require_taken_as(Kind::Office365Seats)?;
    if let Some(blocker) = trial_blockers(facts, command).into_iter().next() {
        return Err(blocker);
    }
    let seats = seats(facts.offer, command)?;
    if let Some(blocker) = present_subscription(facts) {
        return Err(blocker);
    }
    let trial_end_time = trial_end(facts.offer, command, now);
    let display_name = &command.display_name;
    let subscription = SubscriptionFacts {
        id: ids.subscription,
        kind: Kind::Office365Seats,
        // P-2: the directory itself owns it.
        owner: Owner::Directory,
        product: facts.product.slug.to_string(),
        offer: facts.offer.name.offer.to_string(),
        display_name: if display_name.is_empty() { &facts.product.display_name } else { display_name }
            .clone(),
        seats: Some(seats),
        term: facts.offer.term,
        start_time: now,
        trial_end_time,
        lifecycle: trial_end_time.map_or(Lifecycle::OPEN, Lifecycle::of_office365_trial),
        announced_state: State::Active,
        create_time: now,
        update_time: now,
        revision: 1,
    };
    let next_charge_time = if command.trial { None } else { subscription.term_at(now).1 };
    let order = OrderFacts {
        id: ids.order,
        subscription: ids.subscription,
        product: subscription.product.clone(),
        offer: subscription.offer.clone(),
        line: line(facts, command, seats),
        trial: command.trial,
        place_principal: principal,
        place_time: now,
        next_charge_time,
    };
    Ok(Attached { subscription, order })
}

/// Shows an order for a directory that buys for itself ([`DirectoryFacts::require_self_service`]); what is wrong with
/// the question itself is refused, what stands against the order is listed.
pub(crate) fn preview(facts: &Facts<'_>, command: &Command, now: Timestamp) -> Result<Preview, Refused> {
    facts.offer.require_taken_as(Kind::Office365Seats)?;
    let offers_trial = facts.offer.trial_days > 0;
    // Without a trial to order there is no number of seats that would fit it.
    let seats =
        if command.trial && !offers_trial { command.seat_count } else { seats(facts.offer, command)? };
    let mut blockers: Vec<Refused> = facts.directory.require_active().err().into_iter().collect();
    blockers.extend(trial_blockers(facts, command));
    blockers.extend(present_subscription(facts));
    Ok(Preview {
        line: line(facts, command, seats),
        first_charge_time: (!command.trial).then_some(now),
        trial_end_time: trial_end(facts.offer, command, now),
        blockers,
    })
}

fn trial_blockers(facts: &Facts<'_>, command: &Command) -> Vec<Refused> {
    let mut blockers = Vec::new();
    if !command.trial {
        return blockers;
    }
    if facts.offer.trial_days == 0 {
        blockers.push(Refused::TrialNotOffered { offer: facts.offer.name.to_string() });
    }
    // L-01, K25: one trial per product and directory, and never for what was bought already.
    if facts.owned.trial_used || facts.owned.ever {
        blockers.push(Refused::TrialAlreadyUsed { product: format!("products/{}", facts.product.slug) });
    }
    blockers
}

fn present_subscription(facts: &Facts<'_>) -> Option<Refused> {
    let subscription = subscription::name(facts.owned.present?);
    Some(Refused::ProductAlreadySubscribed { subscription })
}

/// The seats that are bought. A trial has the offer's number, also when 0 is asked for (L-04); without a trial the
/// number must be said: nobody is charged for seats that were left out.
fn seats(offer: &Offer, command: &Command) -> Result<i32, Refused> {
    let (min, max) = if command.trial {
        (offer.trial_seats, offer.trial_seats)
    } else {
        (offer.min_seats, offer.max_seats)
    };
    let asked = if command.trial && command.seat_count == 0 { offer.trial_seats } else { command.seat_count };
    if (min..=max).contains(&asked) { Ok(asked) } else { Err(Refused::SeatsOutsideOffer { min, max }) }
}

fn trial_end(offer: &Offer, command: &Command, now: Timestamp) -> Option<Timestamp> {
    (command.trial && offer.trial_days > 0).then(|| lifecycle::trial_end(now, offer.trial_days))
}

fn line(facts: &Facts<'_>, command: &Command, seats: i32) -> OrderLine {
    let price = facts.offer.unit_price.clone().expect("require_taken_as lets only Office 365 offers pass");
    let price = if command.trial { Money::zero(&price.currency) } else { price };
    let what = if command.trial { "trial" } else { facts.offer.name.offer.as_str() };
    OrderLine::new(format!("{}, {what}, per seat", facts.product.display_name), i64::from(seats), price)
}

#[cfg(test)]
mod tests {
    use kernel::{OrderId, UserId, new_ids};

    use super::super::catalogue::Catalogue;
    use super::super::directory::contoso;
    use super::super::prices::PriceList;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_768_478_400);

    struct Shop {
        catalogue: Catalogue,
        directory: DirectoryFacts,
        owned: Owned,
    }

    impl Shop {
        fn new() -> Self {
            let catalogue = Catalogue::new(&PriceList::default());
            Self { catalogue, directory: contoso(), owned: Owned::default() }
        }

        fn facts(&self, offer: &str) -> Facts<'_> {
            let offer = self.catalogue.offers().find(|one| one.name.to_string() == offer).unwrap();
            let product = self.catalogue.product(&offer.name.product).unwrap();
            Facts { directory: &self.directory, product, offer, owned: self.owned.clone() }
        }

        fn attach(&self, offer: &str, command: &Command) -> Result<Attached, Refused> {
            attach(&self.facts(offer), command, ada(), NOW, ids())
        }
    }

    fn ada() -> Principal {
        Principal::User(contoso().id, UserId::from_uuid(new_ids::derive(&["ada"])))
    }

    fn ids() -> NewIds {
        NewIds {
            subscription: SubscriptionId::from_uuid(new_ids::derive(&["subscription"])),
            order: OrderId::from_uuid(new_ids::derive(&["order"])),
            role_assignment: new_ids::derive(&["role"]),
        }
    }

    fn paid(seat_count: i32) -> Command {
        Command { seat_count, trial: false, accept_terms: true, display_name: String::new() }
    }

    fn trial() -> Command {
        Command { trial: true, ..paid(0) }
    }

    const E3: &str = "products/enterprisepack/offers/annual";
    const E3_MONTHLY: &str = "products/enterprisepack/offers/monthly";

    #[test]
    fn the_directory_owns_what_is_attached_and_pays_for_the_term() {
        let attached = Shop::new().attach(E3, &paid(10)).unwrap();
        assert_eq!((attached.subscription.owner, attached.subscription.seats), (Owner::Directory, Some(10)));
        assert_eq!((attached.order.total().units, attached.order.total().nanos), (2_880, 0));
        let next_year = Timestamp::from_seconds(1_800_014_400);
        assert_eq!(attached.order.next_charge_time, Some(next_year));
        assert_eq!(attached.subscription.term_at(NOW), (NOW, Some(next_year)));
        assert_eq!(attached.subscription.display_name, "Office 365 Enterprise E3");
    }

    #[test]
    fn a_trial_is_free_has_twenty_five_seats_and_thirty_days() {
        // L-01.
        let attached = Shop::new().attach(E3, &trial()).unwrap();
        assert_eq!((attached.subscription.seats, attached.order.total().units), (Some(25), 0));
        let end = NOW.plus(std::time::Duration::from_hours(30 * 24));
        assert_eq!(attached.subscription.trial_end_time, Some(end));
        assert_eq!(attached.subscription.state_at(end), State::InGrace);
        assert_eq!(attached.order.next_charge_time, None);
    }

    #[test]
    fn a_trial_is_had_once_and_never_of_what_was_bought() {
        // L-01, K25: for ever, also after the subscription is gone, whichever offer of the product it was.
        let mut shop = Shop::new();
        for owned in
            [Owned { trial_used: true, ever: true, present: None }, Owned { ever: true, ..Owned::default() }]
        {
            shop.owned = owned;
            for offer in [E3, E3_MONTHLY] {
                assert!(matches!(shop.attach(offer, &trial()), Err(Refused::TrialAlreadyUsed { .. })));
            }
            assert!(shop.attach(E3, &paid(1)).is_ok());
        }
    }

    #[test]
    fn a_product_is_subscribed_to_once() {
        let mut shop = Shop::new();
        shop.owned = Owned { present: Some(ids().subscription), ever: true, trial_used: false };
        assert!(matches!(shop.attach(E3, &paid(1)), Err(Refused::ProductAlreadySubscribed { .. })));
    }

    #[test]
    fn seats_stay_within_the_offer() {
        let shop = Shop::new();
        for seats in [0, -1, 10_000_001] {
            assert!(matches!(
                shop.attach(E3, &paid(seats)),
                Err(Refused::SeatsOutsideOffer { min: 1, max: 10_000_000 })
            ));
        }
        assert!(matches!(
            shop.attach("products/spb/offers/annual", &paid(301)),
            Err(Refused::SeatsOutsideOffer { min: 1, max: 300 })
        ));
        // L-04: the number of a trial's seats is fixed.
        let more = Command { seat_count: 26, ..trial() };
        assert!(matches!(shop.attach(E3, &more), Err(Refused::SeatsOutsideOffer { min: 25, max: 25 })));
    }

    #[test]
    fn offers_of_the_other_kind_and_trials_that_are_not_offered_are_refused() {
        let shop = Shop::new();
        let azure = "products/azure/offers/ms-azr-0003p";
        assert!(matches!(shop.attach(azure, &paid(1)), Err(Refused::KindMismatch { .. })));
        assert!(matches!(
            shop.attach("products/mcoev/offers/annual", &trial()),
            Err(Refused::TrialNotOffered { .. })
        ));
    }

    #[test]
    fn a_preview_lists_everything_that_an_order_would_be_refused_for() {
        let mut shop = Shop::new();
        shop.owned = Owned { present: Some(ids().subscription), ever: true, trial_used: true };
        shop.directory.is_active = false;
        let preview = preview(&shop.facts("products/mcoev/offers/annual"), &trial(), NOW).unwrap();
        assert!(matches!(
            preview.blockers.as_slice(),
            [
                Refused::DirectoryNotActive { .. },
                Refused::TrialNotOffered { .. },
                Refused::TrialAlreadyUsed { .. },
                Refused::ProductAlreadySubscribed { .. }
            ]
        ));
    }

    #[test]
    fn a_preview_prices_as_the_order_does() {
        let shop = Shop::new();
        for command in [paid(7), trial()] {
            let preview = preview(&shop.facts(E3), &command, NOW).unwrap();
            let attached = shop.attach(E3, &command).unwrap();
            assert_eq!(preview.line, attached.order.line);
            assert_eq!(preview.trial_end_time, attached.subscription.trial_end_time);
            assert!(preview.blockers.is_empty());
        }
    }
}
