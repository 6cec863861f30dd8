//! Orders: what is bought, for how much, and the receipt that stays; nothing is charged here.

use kernel::{DirectoryId, OrderId, Principal, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::money::Money;

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderLine {
    /// What it is, for people.
    pub(crate) description: String,
    /// How many.
    pub(crate) quantity: i64,
    /// The price of one.
    pub(crate) unit_price: Money,
    /// Quantity times price.
    pub(crate) amount: Money,
}

impl OrderLine {
    pub(crate) fn new(description: String, quantity: i64, unit_price: Money) -> Self {
        let amount = unit_price.times(quantity);
        Self { description, quantity, unit_price, amount }
    }
}

/// A receipt, whichever directory it is of (K9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderFacts {
    /// The id in its name.
    pub(crate) id: OrderId,
    /// The subscription that came of it.
    pub(crate) subscription: SubscriptionId,
    /// The product's slug.
    pub(crate) product: String,
    /// The offer's slug.
    pub(crate) offer: String,
    /// What was bought: one line, as long as an order is for one product.
    pub(crate) line: OrderLine,
    /// Whether a trial was ordered.
    pub(crate) trial: bool,
    /// Who ordered.
    pub(crate) place_principal: Principal,
    /// When it was ordered.
    pub(crate) place_time: Timestamp,
    /// When the next charge is due.
    pub(crate) next_charge_time: Option<Timestamp>,
}

impl OrderFacts {
    /// The number on the receipt: the last twelve hexadecimal digits of the order's id, in two groups.
    ///
    /// It follows from the id, so that a replayed answer shows the same; it is for people, the name is the identity.
    pub(crate) fn receipt_number(&self) -> String {
        let digits = self.id.uuid().simple().to_string().to_uppercase();
        format!("R-{}-{}", &digits[20..26], &digits[26..32])
    }

    /// The sum of the lines.
    pub(crate) const fn total(&self) -> &Money {
        &self.line.amount
    }
}

/// An order of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The directory that it was placed for.
    pub(crate) directory: DirectoryId,
    /// Everything else.
    #[serde(flatten)]
    pub(crate) facts: OrderFacts,
}

impl Order {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        format!("directories/{}/orders/{}", self.directory, self.facts.id)
    }
}
