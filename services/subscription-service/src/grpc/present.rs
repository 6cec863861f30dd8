//! From the domain to messages; nothing is decided or looked up here.

use api::Money as WireMoney;
use api::subscription::v1 as wire;
use kernel::{Etag, Refusal, Timestamp};
use runtime::wire::timestamp;

use crate::domain::catalogue::{Availability, Offer, Product};
use crate::domain::lifecycle::State;
use crate::domain::money::Money;
use crate::domain::order::{Order, OrderLine};
use crate::domain::subscription::{Kind, Owner, Subscription, Term};
use crate::use_cases::{Placed, Previewed};

pub(super) fn product(product: &Product) -> wire::Product {
    wire::Product {
        name: format!("products/{}", product.slug),
        display_name: product.display_name.clone(),
        family: match product.kind {
            Kind::AzureUsage => wire::Family::Azure,
            Kind::Office365Seats => wire::Family::Office365,
        }
        .into(),
        category: product.category.clone(),
        sku_part_number: product.sku_part_number.clone(),
        sku_id: product.sku_id.clone(),
        service_plans: product
            .service_plans
            .iter()
            .map(|plan| wire::ServicePlan { name: plan.name.clone(), id: plan.id.clone() })
            .collect(),
        max_seats: product.max_seats,
        description: product.description.clone(),
    }
}

pub(super) fn offer(offer: &Offer) -> wire::Offer {
    let payment_plan = match offer.kind {
        Kind::Office365Seats => wire::PaymentPlan::Commitment,
        Kind::AzureUsage if offer.is_azure_free_trial() => wire::PaymentPlan::Trial,
        Kind::AzureUsage => wire::PaymentPlan::PayAsYouGo,
    };
    wire::Offer {
        name: offer.name.to_string(),
        display_name: offer.display_name.clone(),
        kind: kind(offer.kind).into(),
        payment_plan: payment_plan.into(),
        term: match offer.term {
            Term::Open => wire::Term::Unspecified,
            Term::Monthly => wire::Term::Monthly,
            Term::Annual => wire::Term::Annual,
        }
        .into(),
        unit_price: offer.unit_price.as_ref().map(money),
        trial_days: offer.trial_days,
        trial_seats: offer.trial_seats,
        min_seats: offer.min_seats,
        max_seats: offer.max_seats,
        offer_id: offer.vendor_id.clone(),
        quota_id: offer.quota_id.clone(),
        available: offer.availability == Availability::Available,
        unavailable_reason: offer.availability.reason().to_owned(),
    }
}

/// A subscription as it is at `now`.
pub(super) fn subscription(subscription: &Subscription, now: Timestamp) -> wire::Subscription {
    let facts = &subscription.facts;
    let owner = match facts.owner {
        Owner::Directory => wire::subscription::Owner::OwnerDirectory(subscription.owner_name()),
        Owner::User(_) => wire::subscription::Owner::OwnerUser(subscription.owner_name()),
    };
    let (term_start_time, term_end_time) = facts.term_at(now);
    wire::Subscription {
        name: subscription.name(),
        uid: facts.id.to_string(),
        kind: kind(facts.kind).into(),
        directory: format!("directories/{}", subscription.directory),
        owner: Some(owner),
        offer: offer_name(&facts.product, &facts.offer),
        product: format!("products/{}", facts.product),
        display_name: facts.display_name.clone(),
        state: state(facts.state_at(now)).into(),
        trial: facts
            .trial_end_time
            .map(|end| wire::Trial { active: now < end, end_time: Some(timestamp(end)) }),
        seats: facts.seats.map(|purchased| wire::Seats { purchased, assigned: 0 }),
        term_start_time: Some(timestamp(term_start_time)),
        term_end_time: term_end_time.map(timestamp),
        create_time: Some(timestamp(facts.create_time)),
        update_time: Some(timestamp(facts.update_time)),
        etag: Etag::of(facts.revision).into(),
        revision: facts.revision,
    }
}

pub(super) fn order(order: &Order) -> wire::Order {
    let facts = &order.facts;
    wire::Order {
        name: order.name(),
        receipt_number: facts.receipt_number(),
        subscription: crate::domain::subscription::name(facts.subscription),
        offer: offer_name(&facts.product, &facts.offer),
        lines: vec![line(&facts.line)],
        total: Some(money(facts.total())),
        trial: facts.trial,
        place_principal: facts.place_principal.to_string(),
        place_time: Some(timestamp(facts.place_time)),
        next_charge_time: facts.next_charge_time.map(timestamp),
    }
}

/// What an order led to, as it was when it was placed: a replayed answer equals the first.
///
/// With `validate_only` nothing came into being, so that nothing has a name (and a receipt no number).
pub(super) fn placed(placed: &Placed, validate_only: bool) -> (wire::Subscription, wire::Order) {
    let mut subscription = subscription(&placed.subscription, placed.subscription.facts.create_time);
    let mut order = order(&placed.order);
    if validate_only {
        for only_of_what_exists in [
            &mut subscription.name,
            &mut subscription.uid,
            &mut subscription.etag,
            &mut order.name,
            &mut order.receipt_number,
            &mut order.subscription,
        ] {
            only_of_what_exists.clear();
        }
    }
    (subscription, order)
}

pub(super) fn preview(previewed: Previewed, offer: String) -> wire::OrderPreview {
    let Previewed { directory, preview } = previewed;
    wire::OrderPreview {
        directory: format!("directories/{}", directory.id),
        directory_display_name: directory.display_name,
        directory_primary_domain: directory.primary_domain,
        offer,
        lines: vec![line(&preview.line)],
        total: Some(money(&preview.line.amount)),
        first_charge_time: preview.first_charge_time.map(timestamp),
        trial_end_time: preview.trial_end_time.map(timestamp),
        blockers: preview
            .blockers
            .into_iter()
            .map(|blocker| {
                let refusal = Refusal::from(blocker);
                wire::Blocker { reason: refusal.reason().to_string(), message: refusal.message().to_owned() }
            })
            .collect(),
    }
}

fn offer_name(product: &str, offer: &str) -> String {
    format!("products/{product}/offers/{offer}")
}

const fn state(state: State) -> wire::subscription::State {
    match state {
        State::Active => wire::subscription::State::Active,
        State::InGrace => wire::subscription::State::InGrace,
        State::Disabled => wire::subscription::State::Disabled,
        State::Deleted => wire::subscription::State::Deleted,
    }
}

const fn kind(kind: Kind) -> wire::Kind {
    match kind {
        Kind::AzureUsage => wire::Kind::AzureUsage,
        Kind::Office365Seats => wire::Kind::Office365Seats,
    }
}

fn line(line: &OrderLine) -> wire::OrderLine {
    wire::OrderLine {
        description: line.description.clone(),
        quantity: line.quantity,
        unit_price: Some(money(&line.unit_price)),
        amount: Some(money(&line.amount)),
    }
}

fn money(amount: &Money) -> WireMoney {
    WireMoney { currency_code: amount.currency.clone(), units: amount.units, nanos: amount.nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_kinds_have_one_spelling_stored_recorded_and_on_the_wire() {
        for each in State::ALL {
            assert_eq!(state(each).as_str_name(), each.as_str());
            assert_eq!(serde_json::to_value(each).unwrap(), each.as_str());
            assert_eq!(State::from_name(each.as_str()), Some(each));
        }
        for each in Kind::ALL {
            assert_eq!(kind(each).as_str_name(), each.as_str());
            assert_eq!(serde_json::to_value(each).unwrap(), each.as_str());
            assert_eq!(Kind::from_name(each.as_str()), Some(each));
        }
    }
}
