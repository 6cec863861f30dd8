//! The operator's price list: what one seat costs for one term; which offers there are is the catalogue's matter.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::money::Money;

const DEFAULT: &str = include_str!("../../data/default_prices.json");
/// Prices stay below this, so that no total overflows.
const MOST_UNITS: i64 = 1_000_000;

/// The price of one seat of one product.
#[derive(Debug, Clone)]
pub(crate) struct SeatPrices {
    pub(crate) monthly: Money,
    pub(crate) annual: Money,
}

/// What a seat of each Office 365 product costs, for a month and for a year.
#[derive(Debug, Clone)]
pub struct PriceList {
    currency: String,
    prices: BTreeMap<String, SeatPrices>,
}

/// Why a text is no price list.
#[derive(Debug, thiserror::Error)]
pub enum PriceListInvalid {
    /// It is not JSON of the form of the default list.
    #[error("the price list cannot be read: {0}")]
    Form(#[from] serde_json::Error),
    /// The currency is not three capital letters.
    #[error("the price list's currency {0:?} is not three capital letters (ISO 4217)")]
    Currency(String),
    /// A price is negative, or too large, or its nanos are not below one unit.
    #[error("the price of {0} must be from 0 to below {MOST_UNITS}, with nanos from 0 to 999999999")]
    Price(String),
    /// A product of the catalogue has no price, or a price belongs to none.
    #[error("the price list lacks {missing:?} and names unknown products {unknown:?}")]
    Products {
        /// Part numbers without a price.
        missing: Vec<String>,
        /// Part numbers that the catalogue does not have.
        unknown: Vec<String>,
    },
}

#[derive(Deserialize)]
struct File {
    currency: String,
    prices: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Row {
    monthly: Amount,
    annual: Amount,
}

#[derive(Deserialize)]
struct Amount {
    units: i64,
    #[serde(default)]
    nanos: i32,
}

impl PriceList {
    /// Reads a price list: JSON with `currency` and, in `prices`, `monthly` and `annual` for each part number.
    ///
    /// It must have a price for every product of the catalogue and none for another.
    pub fn from_json(text: &str) -> Result<Self, PriceListInvalid> {
        let file: File = serde_json::from_str(text)?;
        if file.currency.len() != 3 || !file.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
            return Err(PriceListInvalid::Currency(file.currency));
        }
        let mut prices = BTreeMap::new();
        for (part_number, row) in file.prices {
            let seat = SeatPrices {
                monthly: row.monthly.money(&file.currency, &part_number)?,
                annual: row.annual.money(&file.currency, &part_number)?,
            };
            prices.insert(part_number, seat);
        }
        let list = Self { currency: file.currency, prices };
        list.check_against_catalogue()?;
        Ok(list)
    }

    /// The currency of all prices.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// The price of a product, by its part number.
    pub(crate) fn of(&self, part_number: &str) -> &SeatPrices {
        self.prices.get(part_number).expect("reading the list has compared it with the catalogue")
    }

    fn check_against_catalogue(&self) -> Result<(), PriceListInvalid> {
        let known = super::catalogue::part_numbers();
        let missing: Vec<_> = known.iter().filter(|part| !self.prices.contains_key(**part)).collect();
        let unknown: Vec<_> = self.prices.keys().filter(|part| !known.contains(&part.as_str())).collect();
        if missing.is_empty() && unknown.is_empty() {
            return Ok(());
        }
        Err(PriceListInvalid::Products {
            missing: missing.into_iter().map(ToString::to_string).collect(),
            unknown: unknown.into_iter().cloned().collect(),
        })
    }
}

impl Default for PriceList {
    /// The example prices of `data/default_prices.json`: this project's own, in US dollars, not the vendor's.
    fn default() -> Self {
        Self::from_json(DEFAULT).expect("the embedded list is read by a test")
    }
}

impl Amount {
    fn money(&self, currency: &str, part_number: &str) -> Result<Money, PriceListInvalid> {
        if !(0..MOST_UNITS).contains(&self.units) || !(0..1_000_000_000).contains(&self.nanos) {
            return Err(PriceListInvalid::Price(part_number.to_owned()));
        }
        Ok(Money { currency: currency.to_owned(), units: self.units, nanos: self.nanos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_list_has_a_price_for_every_product_and_says_whose_prices_they_are() {
        let list = PriceList::default();
        assert_eq!((list.prices.len(), list.currency()), (90, "USD"));
        assert!(DEFAULT.contains("not the vendor's prices"));
    }

    #[test]
    fn a_list_that_lacks_a_product_is_refused_by_name() {
        let mut file: serde_json::Value = serde_json::from_str(DEFAULT).unwrap();
        let prices = file["prices"].as_object_mut().unwrap();
        let price = prices.remove("ENTERPRISEPACK").unwrap();
        prices.insert("ENTERPRISEPAK".to_owned(), price);
        let error = PriceList::from_json(&file.to_string()).unwrap_err().to_string();
        assert!(error.contains("\"ENTERPRISEPACK\"") && error.contains("\"ENTERPRISEPAK\""), "{error}");
    }

    #[test]
    fn a_negative_price_and_a_wrong_currency_are_refused() {
        let negative = DEFAULT.replacen("\"units\": 1,", "\"units\": -1,", 1);
        assert!(matches!(PriceList::from_json(&negative), Err(PriceListInvalid::Price(_))));
        let currency = DEFAULT.replacen("\"USD\"", "\"usd\"", 1);
        assert!(matches!(PriceList::from_json(&currency), Err(PriceListInvalid::Currency(_))));
        assert!(matches!(PriceList::from_json("{"), Err(PriceListInvalid::Form(_))));
    }
}
