//! The one table from refusals of this context to what stands on the wire.

use access::permission::SignUpAzureAlways;
use access::{Permission as _, roles};
use api::subscription::v1::ErrorReason;
use kernel::{Code, DirectoryId, FieldViolation, Reason, Refusal};

use crate::domain::refused::Refused;
use crate::domain::subscription::Kind;

/// E-01: whom to turn to.
const ENTERPRISE_CONTACT: &str = "enterprise administrator";
const ENTERPRISE_MESSAGE: &str = "subscriptions under an Enterprise Agreement are not made here; \
    turn to the enterprise administrator of your enrolment";

fn reason(reason: ErrorReason) -> Reason {
    Reason::new(reason.reason())
}

fn not_found(missing: ErrorReason, name: &str) -> Refusal {
    Refusal::not_found(reason(missing), name)
}

fn failed(cause: ErrorReason, message: impl Into<String>) -> Refusal {
    Refusal::failed_precondition(reason(cause), message)
}

/// What is wrong with one field in itself, though only the catalogue can tell.
fn invalid(cause: ErrorReason, field: &str, description: String) -> Refusal {
    let violation = FieldViolation { field: field.to_owned(), description, reason: reason(cause) };
    Refusal::invalid_fields(vec![violation])
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::ProductNotFound(name) => not_found(ErrorReason::ProductNotFound, &name),
            Refused::OfferNotFound(name) => not_found(ErrorReason::OfferNotFound, &name),
            Refused::OrderNotFound(name) => not_found(ErrorReason::OrderNotFound, &name),
            Refused::DirectoryMismatch { actual, expected } => directory_mismatch(actual, expected),
            Refused::DirectoryNotActive { directory, state } => {
                failed(ErrorReason::DirectoryNotActive, "the directory is not active")
                    .with("directory", format!("directories/{directory}"))
                    .with("state", state)
                    .about(format!("directories/{directory}"))
            }
            Refused::TermsNotAccepted => {
                failed(ErrorReason::TermsNotAccepted, "the terms are not accepted; set accept_terms")
            }
            Refused::OfferNotAvailable { offer, reason } => of_offer(
                ErrorReason::OfferNotAvailable,
                &format!("the offer cannot be taken here: {reason}"),
                offer,
            )
            .with("unavailable_reason", reason),
            Refused::EnterpriseOffer { offer } => enterprise("offer", offer),
            Refused::EnterpriseDirectory(directory) => {
                enterprise("directory", format!("directories/{directory}"))
            }
            Refused::GuestNotAllowed { home_directory } => guest(home_directory),
            Refused::OfferAlreadyUsed { offer } => {
                of_offer(ErrorReason::OfferAlreadyUsed, "the free trial is for who never had Azure", offer)
            }
            Refused::MemberSignUpDisabled(directory) => member_sign_up_disabled(directory),
            Refused::SubscriptionQuota { limit } => quota(limit),
            Refused::TrialAlreadyUsed { product } => failed(
                ErrorReason::TrialAlreadyUsed,
                "the directory has had this product; there is one trial",
            )
            .with("product", &product)
            .about(product),
            Refused::TrialNotOffered { offer } => {
                of_offer(ErrorReason::TrialNotOffered, "the offer has no trial", offer)
            }
            Refused::ProductAlreadySubscribed { subscription } => already_subscribed(subscription),
            Refused::SeatsOutsideOffer { min, max } => {
                invalid(ErrorReason::SeatsOutsideOffer, "seat_count", format!("must be from {min} to {max}"))
                    .with("min", min)
                    .with("max", max)
            }
            Refused::KindMismatch { offer, kind } => kind_mismatch(offer, kind),
            Refused::Common(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

fn directory_mismatch(actual: DirectoryId, expected: DirectoryId) -> Refusal {
    let (actual, expected) = (format!("directories/{actual}"), format!("directories/{expected}"));
    let message = format!("the subscription would land in {actual}, not in {expected}");
    failed(ErrorReason::DirectoryMismatch, message)
        .with("directory", &actual)
        .with("expected_directory", expected)
        .about(actual)
}

fn of_offer(cause: ErrorReason, message: &str, offer: String) -> Refusal {
    failed(cause, message).with("offer", &offer).about(offer)
}

fn enterprise(key: &'static str, resource: String) -> Refusal {
    failed(ErrorReason::EnterpriseAgreementNotEligible, ENTERPRISE_MESSAGE)
        .with(key, &resource)
        .with("contact", ENTERPRISE_CONTACT)
        .about(resource)
}

fn guest(home_directory: String) -> Refusal {
    let message = format!("guests do not sign up here; sign in to {home_directory}");
    failed(ErrorReason::GuestNotAllowed, message)
        .with("home_directory", &home_directory)
        .about(home_directory)
}

fn member_sign_up_disabled(directory: DirectoryId) -> Refusal {
    let message = "the directory leaves the creation of subscriptions to its administrators";
    Refusal::new(Code::PermissionDenied, reason(ErrorReason::MemberSignUpDisabled), message)
        .with("directory", format!("directories/{directory}"))
        .with("roles", roles::that_contain(SignUpAzureAlways::NAME).join(","))
}

fn quota(limit: i64) -> Refusal {
    let message = format!("a user owns at most {limit} Azure subscriptions");
    Refusal::new(Code::ResourceExhausted, reason(ErrorReason::SubscriptionQuota), message)
        .with("limit", limit)
}

fn already_subscribed(subscription: String) -> Refusal {
    let message = "the directory has a subscription of this product";
    Refusal::already_exists(reason(ErrorReason::ProductAlreadySubscribed), message)
        .with("subscription", &subscription)
        .about(subscription)
}

fn kind_mismatch(offer: String, kind: Kind) -> Refusal {
    let description = format!("{offer} is of the kind {}, for another method", kind.as_str());
    invalid(ErrorReason::KindMismatch, "offer", description).with("offer", offer).with("kind", kind.as_str())
}
