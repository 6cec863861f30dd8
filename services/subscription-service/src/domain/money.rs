//! Amounts of money as `google.type.Money` has them; which currency it is, the price list says.

use serde::{Deserialize, Serialize};

const NANOS_PER_UNIT: i128 = 1_000_000_000;

/// An amount that is not negative, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Money {
    /// The currency's three letters (ISO 4217).
    pub(crate) currency: String,
    /// Whole units.
    pub(crate) units: i64,
    /// Billionths of a unit, below one unit.
    pub(crate) nanos: i32,
}

impl Money {
    /// Nothing, in a currency.
    pub(crate) fn zero(currency: &str) -> Self {
        Self { currency: currency.to_owned(), units: 0, nanos: 0 }
    }

    /// The amount for so many of them.
    pub(crate) fn times(&self, quantity: i64) -> Self {
        let nanos = (i128::from(self.units) * NANOS_PER_UNIT + i128::from(self.nanos)) * i128::from(quantity);
        Self {
            currency: self.currency.clone(),
            // A unit price is below a million and a quantity at most ten million, so that this is far below 2^63.
            units: i64::try_from(nanos.div_euclid(NANOS_PER_UNIT))
                .expect("prices and quantities are bounded"),
            nanos: i32::try_from(nanos.rem_euclid(NANOS_PER_UNIT)).expect("below a billion"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fractions_of_units_add_up_to_units() {
        let price = Money { currency: "USD".to_owned(), units: 28, nanos: 800_000_000 };
        assert_eq!(price.times(25), Money { currency: "USD".to_owned(), units: 720, nanos: 0 });
    }

    proptest! {
        #[test]
        fn buying_one_more_costs_one_price_more(units in 0_i64..1_000_000, nanos in 0_i32..1_000_000_000, count in 0_i64..10_000_000) {
            let price = Money { currency: "USD".to_owned(), units, nanos };
            let total = |money: &Money| i128::from(money.units) * NANOS_PER_UNIT + i128::from(money.nanos);
            prop_assert_eq!(total(&price.times(count + 1)), total(&price.times(count)) + total(&price));
        }
    }
}
