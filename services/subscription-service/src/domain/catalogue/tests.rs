//! The catalogue as the data and the default prices make it.

use super::*;

fn catalogue() -> Catalogue {
    Catalogue::new(&PriceList::default())
}

fn offer(catalogue: &Catalogue, name: &str) -> Offer {
    catalogue.offers().find(|offer| offer.name.to_string() == name).unwrap().clone()
}

#[test]
fn the_data_has_ninety_products_and_thirty_three_azure_offers() {
    let catalogue = catalogue();
    assert_eq!(catalogue.products().count(), 90 + 1);
    let (azure, office): (Vec<_>, Vec<_>) =
        catalogue.offers().partition(|offer| offer.kind == Kind::AzureUsage);
    assert_eq!((azure.len(), office.len()), (33, 180));
    let plans = catalogue.products().flat_map(|product| product.service_plans.iter().map(|plan| &plan.id));
    assert_eq!(plans.collect::<std::collections::HashSet<_>>().len(), 176);
}

#[test]
fn a_trial_has_thirty_days_and_twenty_five_seats() {
    let e3 = offer(&catalogue(), "products/enterprisepack/offers/annual");
    assert_eq!((e3.trial_days, e3.trial_seats, e3.min_seats, e3.max_seats), (30, 25, 1, 10_000_000));
    let business = offer(&catalogue(), "products/o365-business-premium/offers/monthly");
    assert_eq!(business.max_seats, 300);
}

#[test]
fn government_education_and_add_ons_have_no_trial() {
    // L-01.
    let catalogue = catalogue();
    for product in
        ["enterprisepack-usgov-dod", "m365edu-a1", "mcomeetadv", "exchangearchive-addon", "power-bi-addon"]
    {
        let offer = offer(&catalogue, &format!("products/{product}/offers/annual"));
        assert_eq!((offer.trial_days, offer.trial_seats), (0, 0), "{product}");
    }
}

#[test]
fn enterprise_partner_and_internal_offers_are_listed_and_cannot_be_taken() {
    let catalogue = catalogue();
    let refused: Vec<_> = catalogue
        .offers()
        .filter(|offer| offer.availability != Availability::Available)
        .map(|offer| offer.vendor_id.as_str())
        .collect();
    assert_eq!(
        refused,
        ["MS-AZR-0015P", "MS-AZR-0017P", "MS-AZR-0145P", "MS-AZR-0146P", "MS-AZR-0148P", "MS-AZR-159P"]
    );
    let enterprise = offer(&catalogue, "products/azure/offers/ms-azr-0017p");
    assert!(matches!(enterprise.require_taken_as(Kind::AzureUsage), Err(Refused::EnterpriseOffer { .. })));
    assert!(matches!(enterprise.require_taken_as(Kind::Office365Seats), Err(Refused::KindMismatch { .. })));
}

#[test]
fn the_azure_free_trial_lasts_thirty_days() {
    // S-20.
    let trial = offer(&catalogue(), "products/azure/offers/ms-azr-0044p");
    assert!(trial.is_azure_free_trial());
    assert_eq!((trial.trial_days, trial.trial_seats, trial.unit_price), (30, 0, None));
}
