//! The catalogue's four reads, for every signed-in principal; the catalogue itself stands in memory.

use access::{Caller, Consistency};
use runtime::filter::{Condition, Operator};
use runtime::page_token::PageRequest;

use super::{Page, UseCases};
use crate::domain::catalogue::{Offer, OfferName, Product, Slug};
use crate::domain::refused::Refused;
use crate::domain::subscription::Kind;

/// A list of products as parsed.
#[derive(Debug)]
pub(crate) struct ListProducts {
    pub(crate) page_size: i64,
    pub(crate) page_token: String,
    pub(crate) filter: String,
    pub(crate) conditions: Vec<Condition>,
}

/// A list of offers as parsed; `None` is every product.
#[derive(Debug)]
pub(crate) struct ListOffers {
    pub(crate) product: Option<Slug>,
    pub(crate) page_size: i64,
    pub(crate) page_token: String,
    pub(crate) filter: String,
    pub(crate) conditions: Vec<Condition>,
}

impl UseCases {
    /// Reads one product.
    pub(crate) async fn get_product(&self, caller: &Caller, slug: &Slug) -> Result<Product, Refused> {
        self.require_active(caller).await?;
        self.catalogue.product(slug).cloned()
    }

    /// Lists products by name.
    pub(crate) async fn list_products(
        &self,
        caller: &Caller,
        list: &ListProducts,
    ) -> Result<Page<Product>, Refused> {
        self.require_active(caller).await?;
        let actor = caller.actor();
        let scope = [list.filter.as_str()];
        let request = PageRequest { method: "ListProducts", actor: &actor, directory: None, scope: &scope };
        let products = self
            .catalogue
            .products()
            .filter(|product| meets(&list.conditions, family_of(product.kind)))
            .map(|product| (product.slug.to_string(), product));
        self.page(&request, &list.page_token, list.page_size, products)
    }

    /// Reads one offer.
    pub(crate) async fn get_offer(&self, caller: &Caller, name: &OfferName) -> Result<Offer, Refused> {
        self.require_active(caller).await?;
        self.catalogue.offer(name).cloned()
    }

    /// Lists offers by name, those that cannot be taken included.
    pub(crate) async fn list_offers(
        &self,
        caller: &Caller,
        list: &ListOffers,
    ) -> Result<Page<Offer>, Refused> {
        self.require_active(caller).await?;
        if let Some(product) = &list.product {
            self.catalogue.product(product)?;
        }
        let actor = caller.actor();
        let scope = [list.product.as_ref().map_or("-", Slug::as_str), list.filter.as_str()];
        let request = PageRequest { method: "ListOffers", actor: &actor, directory: None, scope: &scope };
        let offers = self
            .catalogue
            .offers()
            .filter(|offer| list.product.as_ref().is_none_or(|product| *product == offer.name.product))
            .filter(|offer| meets(&list.conditions, offer.kind.as_str()))
            .map(|offer| (offer.name.to_string(), offer));
        self.page(&request, &list.page_token, list.page_size, offers)
    }

    async fn require_active(&self, caller: &Caller) -> Result<(), Refused> {
        let consistency = Consistency::AtMostFiveSeconds;
        access::require_active(&self.judge, caller, consistency, self.clock.now()).await?;
        Ok(())
    }

    /// A page of what is ordered by its key.
    fn page<'a, T: Clone + 'a>(
        &self,
        request: &PageRequest<'_>,
        page_token: &str,
        page_size: i64,
        keyed: impl Iterator<Item = (String, &'a T)>,
    ) -> Result<Page<T>, Refused> {
        let after: Option<String> = self.page_tokens.after_key(request, page_token)?;
        let enough = usize::try_from(page_size).unwrap_or(usize::MAX).saturating_add(1);
        let rest = keyed.filter(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        let rows = rest.take(enough).collect();
        let (rows, next_page_token) = self.page_tokens.cut(request, rows, page_size, |(key, _)| key.clone());
        let entries = rows.into_iter().map(|(_, entry)| entry.clone()).collect();
        Ok(Page { entries, next_page_token })
    }
}

/// The family of a product by the kind of its subscriptions, as filters name it.
const fn family_of(kind: Kind) -> &'static str {
    match kind {
        Kind::AzureUsage => "FAMILY_AZURE",
        Kind::Office365Seats => "FAMILY_OFFICE365",
    }
}

/// Each of these lists has one field to filter by.
fn meets(conditions: &[Condition], value: &str) -> bool {
    conditions.iter().all(|condition| match condition.operator {
        Operator::Equals | Operator::HasPrefix => condition.value == value,
        Operator::NotEquals => condition.value != value,
    })
}
