//! The catalogue: what can be subscribed to and under which offers, built from versioned data and the price list.
//!
//! It is the same for every directory and changes only with the program; what a directory has taken stands elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use super::money::Money;
use super::prices::PriceList;
use super::refused::Refused;
use super::subscription::{Kind, Term};

/// The version of the data behind the catalogue: it changes whenever a file in `data/` does.
pub const CATALOGUE_VERSION: &str = "2026-11-22";

/// The slug of the one Azure product.
pub(crate) const AZURE: &str = "azure";
/// The vendor's id of the Azure free trial.
pub(crate) const FREE_TRIAL: &str = "MS-AZR-0044P";
/// How long a trial lasts: one month (L-01), thirty days for Azure (S-20).
const TRIAL_DAYS: i32 = 30;
/// How many seats an Office 365 trial has (L-01).
const TRIAL_SEATS: i32 = 25;
/// The most seats where no document states a cap.
const MOST_SEATS: i32 = 10_000_000;

/// L-01: families whose products have a trial. Left out: Government and Education, which have none by the rule; Voice
/// and Conferencing, Security and Compliance, which are add-ons to other products; and, where no document says that
/// there is one, Developer, Legacy and Other.
const FAMILIES_WITH_TRIAL: &[&str] = &[
    "Business",
    "Device Management",
    "Directory",
    "Dynamics 365",
    "Enterprise Mobility + Security",
    "Exchange Online",
    "Frontline",
    "Microsoft 365 Enterprise",
    "Office 365 Enterprise",
    "Power Platform",
    "Project and Visio",
    "SharePoint and OneDrive",
    "Windows",
];
/// L-01: a part number that ends so is an add-on in a family that is none.
const ADD_ON_SUFFIX: &str = "_ADDON";

/// E-01: offers of Enterprise Agreements, by domain-rules 4.1.
const ENTERPRISE_AGREEMENT: &[&str] = &["MS-AZR-0017P", "MS-AZR-0148P"];
/// Offers of cloud solution providers, made by a partner and not by their customer (domain-rules 4.1).
const PARTNERS: &[&str] = &["MS-AZR-0145P", "MS-AZR-0146P", "MS-AZR-159P"];
/// The vendor's internal offer (domain-rules 4.1).
const INTERNAL: &[&str] = &["MS-AZR-0015P"];

/// The last part of a product's or offer's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slug(String);

/// A text that cannot be the slug of anything.
#[derive(Debug, thiserror::Error)]
#[error("not a slug")]
pub(crate) struct SlugInvalid;

impl Slug {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = SlugInvalid;

    fn from_str(text: &str) -> Result<Self, SlugInvalid> {
        let letters =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if letters && (1..=64).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(SlugInvalid) }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an offer, whether or not there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OfferName {
    pub(crate) product: Slug,
    pub(crate) offer: Slug,
}

impl fmt::Display for OfferName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "products/{}/offers/{}", self.product, self.offer)
    }
}

/// One service within a product.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServicePlan {
    pub(crate) name: String,
    pub(crate) id: String,
}

/// Something that can be subscribed to.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) slug: Slug,
    pub(crate) display_name: String,
    /// What kind its subscriptions are: the family follows from it.
    pub(crate) kind: Kind,
    pub(crate) category: String,
    pub(crate) sku_part_number: String,
    pub(crate) sku_id: String,
    pub(crate) service_plans: Vec<ServicePlan>,
    /// 0: no document states a cap.
    pub(crate) max_seats: i32,
    pub(crate) description: String,
}

/// Whether an offer can be taken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Available,
    /// E-01: it belongs to an Enterprise Agreement.
    EnterpriseAgreement,
    /// It is made by somebody else, for this reason.
    Elsewhere(&'static str),
}

impl Availability {
    /// Why it cannot be taken, for people; empty if it can.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Available => "",
            Self::EnterpriseAgreement => {
                "subscriptions under an Enterprise Agreement are made by the enterprise administrator of the enrolment"
            }
            Self::Elsewhere(reason) => reason,
        }
    }
}

/// Conditions under which a product can be had.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) name: OfferName,
    pub(crate) display_name: String,
    pub(crate) kind: Kind,
    pub(crate) term: Term,
    /// Of one seat for one term; `None` for Azure.
    pub(crate) unit_price: Option<Money>,
    pub(crate) trial_days: i32,
    pub(crate) trial_seats: i32,
    pub(crate) min_seats: i32,
    pub(crate) max_seats: i32,
    pub(crate) vendor_id: String,
    pub(crate) quota_id: String,
    pub(crate) availability: Availability,
}

impl Offer {
    /// Whether it is the Azure free trial.
    pub(crate) fn is_azure_free_trial(&self) -> bool {
        self.vendor_id == FREE_TRIAL
    }

    /// Refuses an offer of the other kind, or one that cannot be taken here.
    pub(crate) fn require_taken_as(&self, kind: Kind) -> Result<(), Refused> {
        if self.kind != kind {
            return Err(Refused::KindMismatch { offer: self.name.to_string(), kind: self.kind });
        }
        match self.availability {
            Availability::Available => Ok(()),
            Availability::EnterpriseAgreement => {
                Err(Refused::EnterpriseOffer { offer: self.name.to_string() })
            }
            Availability::Elsewhere(reason) => {
                Err(Refused::OfferNotAvailable { offer: self.name.to_string(), reason })
            }
        }
    }
}

/// All products and offers, with this installation's prices.
#[derive(Debug)]
pub(crate) struct Catalogue {
    products: BTreeMap<Slug, Product>,
    offers: BTreeMap<String, Offer>,
    currency: String,
}

impl Catalogue {
    /// The catalogue at these prices.
    pub(crate) fn new(prices: &PriceList) -> Self {
        let mut products = BTreeMap::from([(slug(AZURE), azure_product())]);
        let mut offers: Vec<Offer> = AZURE_OFFERS.iter().map(azure_offer).collect();
        for row in OFFICE365_PRODUCTS.iter() {
            let product = office365_product(row);
            offers.extend(office365_offers(&product, row, prices));
            products.insert(product.slug.clone(), product);
        }
        let offers = offers.into_iter().map(|offer| (offer.name.to_string(), offer)).collect();
        Self { products, offers, currency: prices.currency().to_owned() }
    }

    /// The currency of every amount.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// The product, or `PRODUCT_NOT_FOUND`.
    pub(crate) fn product(&self, slug: &Slug) -> Result<&Product, Refused> {
        self.products.get(slug).ok_or_else(|| Refused::ProductNotFound(format!("products/{slug}")))
    }

    /// The offer, or `OFFER_NOT_FOUND`.
    pub(crate) fn offer(&self, name: &OfferName) -> Result<&Offer, Refused> {
        let name = name.to_string();
        self.offers.get(&name).ok_or(Refused::OfferNotFound(name))
    }

    /// All products, by name.
    pub(crate) fn products(&self) -> impl Iterator<Item = &Product> {
        self.products.values()
    }

    /// All offers, by name.
    pub(crate) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }
}

#[derive(Deserialize)]
struct ProductRow {
    sku_part_number: String,
    sku_id: String,
    display_name: String,
    family: String,
    max_seats: Option<i32>,
    service_plans: Vec<ServicePlan>,
}

#[derive(Deserialize)]
struct AzureOfferRow {
    offer_id: String,
    name: String,
    quota_id: Option<String>,
}

#[derive(Deserialize)]
struct ProductsFile {
    products: Vec<ProductRow>,
}

#[derive(Deserialize)]
struct AzureOffersFile {
    offers: Vec<AzureOfferRow>,
}

static OFFICE365_PRODUCTS: LazyLock<Vec<ProductRow>> = LazyLock::new(|| {
    let file: ProductsFile = serde_json::from_str(include_str!("../../data/office365_products.json"))
        .expect("the embedded product data is read by a test");
    file.products
});

static AZURE_OFFERS: LazyLock<Vec<AzureOfferRow>> = LazyLock::new(|| {
    let file: AzureOffersFile = serde_json::from_str(include_str!("../../data/azure_offers.json"))
        .expect("the embedded offer data is read by a test");
    file.offers
});

/// The part numbers of all Office 365 products.
pub(crate) fn part_numbers() -> Vec<&'static str> {
    OFFICE365_PRODUCTS.iter().map(|row| row.sku_part_number.as_str()).collect()
}

fn slug(text: &str) -> Slug {
    text.to_lowercase().replace('_', "-").parse().expect("a test reads every id of the data")
}

fn azure_product() -> Product {
    Product {
        slug: slug(AZURE),
        display_name: "Azure".to_owned(),
        kind: Kind::AzureUsage,
        category: "Azure".to_owned(),
        sku_part_number: String::new(),
        sku_id: String::new(),
        service_plans: Vec::new(),
        max_seats: 0,
        description: "An Azure subscription, owned by the user who signs up for it and paid by use."
            .to_owned(),
    }
}

fn azure_offer(row: &AzureOfferRow) -> Offer {
    let id = row.offer_id.as_str();
    let availability = if ENTERPRISE_AGREEMENT.contains(&id) {
        Availability::EnterpriseAgreement
    } else if PARTNERS.contains(&id) {
        Availability::Elsewhere("offers of cloud solution providers are made by a partner for its customer")
    } else if INTERNAL.contains(&id) {
        Availability::Elsewhere("the offer is internal to the vendor")
    } else {
        Availability::Available
    };
    Offer {
        name: OfferName { product: slug(AZURE), offer: slug(id) },
        display_name: row.name.clone(),
        kind: Kind::AzureUsage,
        term: Term::Open,
        unit_price: None,
        trial_days: if id == FREE_TRIAL { TRIAL_DAYS } else { 0 },
        trial_seats: 0,
        min_seats: 0,
        max_seats: 0,
        vendor_id: id.to_owned(),
        quota_id: row.quota_id.clone().unwrap_or_default(),
        availability,
    }
}

fn office365_product(row: &ProductRow) -> Product {
    let count = row.service_plans.len();
    let plans = if count == 1 { "service plan" } else { "service plans" };
    Product {
        slug: slug(&row.sku_part_number),
        display_name: row.display_name.clone(),
        kind: Kind::Office365Seats,
        category: row.family.clone(),
        sku_part_number: row.sku_part_number.clone(),
        sku_id: row.sku_id.clone(),
        service_plans: row.service_plans.clone(),
        max_seats: row.max_seats.unwrap_or(0),
        description: format!("{} ({}), {count} {plans}, sold by seats.", row.display_name, row.family),
    }
}

fn office365_offers(product: &Product, row: &ProductRow, prices: &PriceList) -> [Offer; 2] {
    let trial =
        FAMILIES_WITH_TRIAL.contains(&row.family.as_str()) && !row.sku_part_number.ends_with(ADD_ON_SUFFIX);
    let price = prices.of(&row.sku_part_number);
    [("monthly", Term::Monthly, &price.monthly), ("annual", Term::Annual, &price.annual)].map(
        |(name, term, price)| Offer {
            name: OfferName { product: product.slug.clone(), offer: slug(name) },
            display_name: format!("{}, {name}", product.display_name),
            kind: Kind::Office365Seats,
            term,
            unit_price: Some(price.clone()),
            trial_days: if trial { TRIAL_DAYS } else { 0 },
            trial_seats: if trial { TRIAL_SEATS } else { 0 },
            min_seats: 1,
            max_seats: row.max_seats.unwrap_or(MOST_SEATS),
            vendor_id: String::new(),
            quota_id: String::new(),
            availability: Availability::Available,
        },
    )
}

#[cfg(test)]
mod tests;
