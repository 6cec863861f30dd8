//! What a subscription is, as stored and recorded; how its state follows from the clock stands in `lifecycle`.

use kernel::{DirectoryId, OrderId, Principal, SubscriptionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lifecycle::{Lifecycle, State};

/// What kind of subscription an offer makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Owned by one user, paid by use.
    #[serde(rename = "KIND_AZURE_USAGE")]
    AzureUsage,
    /// Owned by the directory, paid by seats.
    #[serde(rename = "KIND_OFFICE365_SEATS")]
    Office365Seats,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::AzureUsage, Self::Office365Seats];

    /// The kind as it is stored, recorded, filtered by, and named on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AzureUsage => "KIND_AZURE_USAGE",
            Self::Office365Seats => "KIND_OFFICE365_SEATS",
        }
    }

    pub(crate) fn from_name(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How long a subscription runs until it renews itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Term {
    /// Until it is cancelled.
    Open,
    /// A calendar month.
    Monthly,
    /// Twelve calendar months.
    Annual,
}

impl Term {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Monthly => "MONTHLY",
            Self::Annual => "ANNUAL",
        }
    }

    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        [Self::Open, Self::Monthly, Self::Annual].into_iter().find(|term| term.as_str() == text)
    }

    /// The calendar months of one term.
    pub(crate) const fn months(self) -> Option<i64> {
        match self {
            Self::Open => None,
            Self::Monthly => Some(1),
            Self::Annual => Some(12),
        }
    }
}

/// Who owns a subscription (P-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Owner {
    /// The directory that it belongs to.
    Directory,
    /// One user of the directory that it belongs to.
    User(UserId),
}

/// A subscription, whichever directory it is of: a decision does not carry the directory that it is written to (K9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionFacts {
    /// The id in its name.
    pub(crate) id: SubscriptionId,
    /// Azure or Office 365.
    pub(crate) kind: Kind,
    /// Who owns it.
    pub(crate) owner: Owner,
    /// The product's slug.
    pub(crate) product: String,
    /// The offer's slug.
    pub(crate) offer: String,
    /// The name to show.
    pub(crate) display_name: String,
    /// How many seats there are; none for Azure.
    pub(crate) seats: Option<i32>,
    /// How long one term is.
    pub(crate) term: Term,
    /// When its first term began.
    pub(crate) start_time: Timestamp,
    /// When its trial ends or ended; none if it never was one.
    pub(crate) trial_end_time: Option<Timestamp>,
    /// The instants from which its state follows.
    pub(crate) lifecycle: Lifecycle,
    /// The state that was last told; what it is now follows from the lifecycle (K27).
    #[serde(rename = "state")]
    pub(crate) announced_state: State,
    /// When it was made.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
    /// Counts its changes, from 1.
    pub(crate) revision: i64,
}

/// A subscription of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// The directory that it belongs to (P-1).
    pub(crate) directory: DirectoryId,
    /// Everything else.
    #[serde(flatten)]
    pub(crate) facts: SubscriptionFacts,
}

impl Subscription {
    /// Its name.
    pub(crate) fn name(&self) -> String {
        name(self.facts.id)
    }

    /// With its state at an instant announced.
    pub(crate) fn announced(self, now: Timestamp) -> Self {
        Self { facts: self.facts.announced(now), ..self }
    }

    /// Whether it is gone at an instant.
    pub(crate) fn is_deleted_at(&self, now: Timestamp) -> bool {
        self.facts.state_at(now) == State::Deleted
    }

    /// Whether the principal owns it, alone.
    pub(crate) fn is_owned_by(&self, principal: Principal) -> bool {
        match (self.facts.owner, principal) {
            (Owner::User(owner), Principal::User(directory, user)) => {
                directory == self.directory && owner == user
            }
            (Owner::Directory, _) | (Owner::User(_), Principal::ServiceAccount(..)) => false,
        }
    }

    /// The owner's name.
    pub(crate) fn owner_name(&self) -> String {
        match self.facts.owner {
            Owner::Directory => format!("directories/{}", self.directory),
            Owner::User(user) => Principal::User(self.directory, user).to_string(),
        }
    }
}

/// The name of a subscription.
pub(crate) fn name(id: SubscriptionId) -> String {
    format!("subscriptions/{id}")
}

/// The ids of what one order makes, derived from its request (K7, K39).
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewIds {
    pub(crate) subscription: SubscriptionId,
    pub(crate) order: OrderId,
    pub(crate) role_assignment: Uuid,
}
