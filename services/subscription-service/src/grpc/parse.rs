//! From messages to commands (S2): all violations at once; whether what is named exists is not asked here.

use api::subscription::v1 as wire;
use kernel::{DirectoryId, OrderId, Parsed, SubscriptionId, Violations};
use runtime::filter::{self, Allowed, Condition, FieldKind, Operator};
use runtime::page_token::page_size;

use crate::domain::catalogue::{OfferName, Slug};
use crate::domain::{azure, office365};
use crate::use_cases::{
    AttachOffice365, ListOffers, ListOrders, ListProducts, ListSubscriptions, PreviewOffice365, Scope,
    SignUpAzure,
};

/// U-05's limit of names to show.
const MOST_NAME: usize = 256;
const DIRECTORY: &str = "directories/*";
const PRODUCT: &str = "products/*";
const OFFER: &str = "products/*/offers/*";

const KINDS: FieldKind = FieldKind::Values(&["KIND_AZURE_USAGE", "KIND_OFFICE365_SEATS"]);
const PRODUCT_FIELDS: &[Allowed] =
    &[Allowed { field: "family", kind: FieldKind::Values(&["FAMILY_AZURE", "FAMILY_OFFICE365"]) }];
const OFFER_FIELDS: &[Allowed] = &[Allowed { field: "kind", kind: KINDS }];
const SUBSCRIPTION_FIELDS: &[Allowed] = &[
    Allowed { field: "kind", kind: KINDS },
    Allowed {
        field: "state",
        kind: FieldKind::Values(&[
            "STATE_ACTIVE",
            "STATE_PAST_DUE",
            "STATE_WARNED",
            "STATE_IN_GRACE",
            "STATE_DISABLED",
            "STATE_EXPIRED",
            "STATE_DELETED",
        ]),
    },
    Allowed { field: "offer", kind: FieldKind::Exact },
    Allowed { field: "owner", kind: FieldKind::Exact },
];

/// Every field that was read has a value once no violation was found.
const COMPLETE: &str = "a field without a value is a violation";

pub(super) fn attach(request: &wire::AttachOffice365SubscriptionRequest) -> Parsed<AttachOffice365> {
    let mut violations = Violations::new();
    let directory = violations.name::<DirectoryId>("parent", &request.parent, DIRECTORY);
    let offer = offer(&mut violations, "offer", &request.offer);
    seat_count(&mut violations, request.seat_count);
    let display_name = violations.optional_text("display_name", &request.display_name, MOST_NAME);
    violations.request_id(&request.request_id);
    violations.finish()?;
    Ok(AttachOffice365 {
        directory: directory.expect(COMPLETE),
        offer: offer.expect(COMPLETE),
        command: office365::Command {
            seat_count: request.seat_count,
            trial: request.trial,
            accept_terms: request.accept_terms,
            display_name: display_name.expect(COMPLETE).trim().to_owned(),
        },
        validate_only: request.validate_only,
    })
}

pub(super) fn preview(request: &wire::PreviewOffice365OrderRequest) -> Parsed<PreviewOffice365> {
    let mut violations = Violations::new();
    let directory = violations.name::<DirectoryId>("parent", &request.parent, DIRECTORY);
    let offer = offer(&mut violations, "offer", &request.offer);
    seat_count(&mut violations, request.seat_count);
    violations.finish()?;
    Ok(PreviewOffice365 {
        directory: directory.expect(COMPLETE),
        offer: offer.expect(COMPLETE),
        command: office365::Command {
            seat_count: request.seat_count,
            trial: request.trial,
            accept_terms: true,
            display_name: String::new(),
        },
    })
}

pub(super) fn sign_up(request: &wire::SignUpAzureSubscriptionRequest) -> Parsed<SignUpAzure> {
    let mut violations = Violations::new();
    let offer = offer(&mut violations, "offer", &request.offer);
    let display_name = violations.optional_text("display_name", &request.display_name, MOST_NAME);
    let expected = &request.expected_directory;
    let expected_directory = if expected.is_empty() {
        None
    } else {
        violations.name::<DirectoryId>("expected_directory", expected, DIRECTORY)
    };
    violations.request_id(&request.request_id);
    violations.finish()?;
    Ok(SignUpAzure {
        offer: offer.expect(COMPLETE),
        command: azure::Command {
            accept_terms: request.accept_terms,
            display_name: display_name.expect(COMPLETE).trim().to_owned(),
        },
        expected_directory,
        validate_only: request.validate_only,
    })
}

pub(super) fn subscription_name(name: &str) -> Parsed<SubscriptionId> {
    let mut violations = Violations::new();
    let id = violations.name("name", name, "subscriptions/*");
    violations.finish()?;
    Ok(id.expect(COMPLETE))
}

pub(super) fn order_name(name: &str) -> Parsed<(DirectoryId, OrderId)> {
    let mut violations = Violations::new();
    let ids = violations.nested_name("name", name, "directories/*/orders/*");
    violations.finish()?;
    Ok(ids.expect(COMPLETE))
}

pub(super) fn product_name(name: &str) -> Parsed<Slug> {
    let mut violations = Violations::new();
    let slug = violations.name("name", name, PRODUCT);
    violations.finish()?;
    Ok(slug.expect(COMPLETE))
}

pub(super) fn offer_name(name: &str) -> Parsed<OfferName> {
    let mut violations = Violations::new();
    let name = offer(&mut violations, "name", name);
    violations.finish()?;
    Ok(name.expect(COMPLETE))
}

pub(super) fn list_products(request: wire::ListProductsRequest) -> Parsed<ListProducts> {
    let mut violations = Violations::new();
    let page_size = page_size(&mut violations, request.page_size);
    let conditions = filter::parse(&request.filter, PRODUCT_FIELDS);
    let conditions = violations.finish_with(conditions)?;
    Ok(ListProducts {
        page_size: page_size.expect(COMPLETE),
        page_token: request.page_token,
        filter: request.filter,
        conditions,
    })
}

pub(super) fn list_offers(request: wire::ListOffersRequest) -> Parsed<ListOffers> {
    let mut violations = Violations::new();
    let product = if request.parent == "products/-" {
        None
    } else {
        violations.name::<Slug>("parent", &request.parent, PRODUCT)
    };
    let page_size = page_size(&mut violations, request.page_size);
    let conditions = filter::parse(&request.filter, OFFER_FIELDS);
    let conditions = violations.finish_with(conditions)?;
    Ok(ListOffers {
        product,
        page_size: page_size.expect(COMPLETE),
        page_token: request.page_token,
        filter: request.filter,
        conditions,
    })
}

pub(super) fn list_orders(request: wire::ListOrdersRequest) -> Parsed<ListOrders> {
    let mut violations = Violations::new();
    let directory = violations.name::<DirectoryId>("parent", &request.parent, DIRECTORY);
    let page_size = page_size(&mut violations, request.page_size);
    violations.finish()?;
    Ok(ListOrders {
        directory: directory.expect(COMPLETE),
        page_size: page_size.expect(COMPLETE),
        page_token: request.page_token,
    })
}

pub(super) fn list_subscriptions(request: wire::ListSubscriptionsRequest) -> Parsed<ListSubscriptions> {
    let mut violations = Violations::new();
    let conditions = filter::parse(&request.filter, SUBSCRIPTION_FIELDS);
    let scope = if !request.parent.is_empty() {
        violations.name::<DirectoryId>("parent", &request.parent, DIRECTORY).map(Scope::Directory)
    } else if conditions.as_ref().is_ok_and(|conditions| conditions.iter().any(asks_for_mine)) {
        Some(Scope::Mine)
    } else {
        violations
            .add("parent", "must have the form directories/*, or be empty with the filter owner = users/me");
        None
    };
    let page_size = page_size(&mut violations, request.page_size);
    let conditions = violations.finish_with(conditions)?;
    Ok(ListSubscriptions {
        scope: scope.expect(COMPLETE),
        page_size: page_size.expect(COMPLETE),
        page_token: request.page_token,
        filter: request.filter,
        conditions,
    })
}

fn asks_for_mine(condition: &Condition) -> bool {
    condition.field == "owner" && condition.operator == Operator::Equals && condition.value == "users/me"
}

fn offer(violations: &mut Violations, field: &str, name: &str) -> Option<OfferName> {
    let parts = violations.nested_name::<Slug, Slug>(field, name, OFFER);
    parts.map(|(product, offer)| OfferName { product, offer })
}

/// What no offer sells is wrong in itself; the offer's own bounds are its rule.
fn seat_count(violations: &mut Violations, seat_count: i32) {
    if seat_count < 0 {
        violations.add("seat_count", "must not be negative");
    }
}
