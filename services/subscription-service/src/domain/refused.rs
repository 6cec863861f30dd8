//! Why something of this context is refused; how it looks on the wire is told in `grpc::status`.

use database::StoreError;
use kernel::DirectoryId;

use super::subscription::Kind;

/// A refusal, named for its reason, with what the caller is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The catalogue has no such product.
    #[error("{0} does not exist")]
    ProductNotFound(String),
    /// The catalogue has no such offer.
    #[error("{0} does not exist")]
    OfferNotFound(String),
    /// The order does not exist, and the caller may know.
    #[error("{0} does not exist")]
    OrderNotFound(String),
    /// S-02: the caller's directory is not the expected one.
    #[error("the subscription would land in another directory than expected")]
    DirectoryMismatch {
        /// The caller's.
        actual: DirectoryId,
        /// The one that was meant.
        expected: DirectoryId,
    },
    /// The directory is not active.
    #[error("the directory is not active")]
    DirectoryNotActive {
        /// Which.
        directory: DirectoryId,
        /// Its state.
        state: String,
    },
    /// The order came without `accept_terms`.
    #[error("the terms are not accepted")]
    TermsNotAccepted,
    /// The offer cannot be taken here.
    #[error("the offer is not available: {reason}")]
    OfferNotAvailable {
        /// Which.
        offer: String,
        /// Why.
        reason: &'static str,
    },
    /// E-01: the offer is under an Enterprise Agreement.
    #[error("the offer is under an Enterprise Agreement")]
    EnterpriseOffer {
        /// Which.
        offer: String,
    },
    /// E-01: the directory is under an Enterprise Agreement.
    #[error("the directory is under an Enterprise Agreement")]
    EnterpriseDirectory(DirectoryId),
    /// K20: a guest signs up at home.
    #[error("the caller is a guest")]
    GuestNotAllowed {
        /// Where the guest is at home, as identity names it.
        home_directory: String,
    },
    /// S-04: the free trial is given once.
    #[error("the free trial was used")]
    OfferAlreadyUsed {
        /// Which offer.
        offer: String,
    },
    /// The directory leaves signing up to its administrators.
    #[error("members of the directory do not sign up")]
    MemberSignUpDisabled(DirectoryId),
    /// The owner has as many subscriptions as one may.
    #[error("the owner has {limit} subscriptions, the most")]
    SubscriptionQuota {
        /// How many one may have.
        limit: i64,
    },
    /// L-01: one trial per product and directory.
    #[error("the trial of the product was used")]
    TrialAlreadyUsed {
        /// Which product.
        product: String,
    },
    /// The offer has no trial.
    #[error("the offer has no trial")]
    TrialNotOffered {
        /// Which offer.
        offer: String,
    },
    /// K25: one subscription of a product.
    #[error("the product is subscribed to already")]
    ProductAlreadySubscribed {
        /// The one that there is.
        subscription: String,
    },
    /// The seats are not within what the offer sells.
    #[error("the seats must be from {min} to {max}")]
    SeatsOutsideOffer {
        /// The fewest.
        min: i32,
        /// The most.
        max: i32,
    },
    /// The offer is of the other kind.
    #[error("the offer is of the other kind")]
    KindMismatch {
        /// Which.
        offer: String,
        /// Its kind.
        kind: Kind,
    },
    /// What is refused for a reason that all contexts share.
    #[error(transparent)]
    Common(#[from] kernel::Refusal),
    /// A failure of storage.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl database::Failure for Refused {
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::ProductNotFound(_)
            | Self::OfferNotFound(_)
            | Self::OrderNotFound(_)
            | Self::DirectoryMismatch { .. }
            | Self::DirectoryNotActive { .. }
            | Self::TermsNotAccepted
            | Self::OfferNotAvailable { .. }
            | Self::EnterpriseOffer { .. }
            | Self::EnterpriseDirectory(_)
            | Self::GuestNotAllowed { .. }
            | Self::OfferAlreadyUsed { .. }
            | Self::MemberSignUpDisabled(_)
            | Self::SubscriptionQuota { .. }
            | Self::TrialAlreadyUsed { .. }
            | Self::TrialNotOffered { .. }
            | Self::ProductAlreadySubscribed { .. }
            | Self::SeatsOutsideOffer { .. }
            | Self::KindMismatch { .. }
            | Self::Common(_) => None,
        }
    }
}
