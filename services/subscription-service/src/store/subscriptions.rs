//! Rows of subscriptions and where they are; their state is judged by `domain::lifecycle`, never by a stored word.

use access::permission::{AttachOffice365, SignUpAzure};
use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, SubscriptionId, Timestamp, UserId};
use uuid::Uuid;

use super::guards::{OwnerLocked, ProductLocked};
use crate::domain::lifecycle::{Lifecycle, State};
use crate::domain::subscription::{Kind, Owner, Subscription, SubscriptionFacts, Term};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    directory: Uuid,
    id: Uuid,
    kind: String,
    owner_user: Option<Uuid>,
    product: String,
    offer: String,
    display_name: String,
    seats: Option<i64>,
    term: String,
    start_time: i64,
    trial_end_time: Option<i64>,
    active_until: i64,
    disabled_from: i64,
    deleted_from: i64,
    announced_state: String,
    create_time: i64,
    update_time: i64,
    revision: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT directory, id, kind, owner_user, product, offer, display_name, seats, term, start_time,
                trial_end_time, active_until, disabled_from, deleted_from, announced_state, create_time,
                update_time, revision FROM subscriptions ",
            $rest
        )
    };
}
pub(super) use select;

/// Stores an attached Office 365 subscription under its product's guard.
pub(crate) async fn insert_attached(
    tx: &mut Tx,
    permit: &Permit<AttachOffice365>,
    locked: &ProductLocked,
    facts: &SubscriptionFacts,
) -> Result<Subscription, StoreError> {
    debug_assert_eq!(locked.product(), facts.product);
    insert(tx, permit, facts).await
}

/// Stores an Azure subscription under its owner's guard.
pub(crate) async fn insert_signed_up(
    tx: &mut Tx,
    permit: &Permit<SignUpAzure>,
    locked: &OwnerLocked,
    facts: &SubscriptionFacts,
) -> Result<Subscription, StoreError> {
    debug_assert_eq!(Owner::User(locked.user()), facts.owner);
    insert(tx, permit, facts).await
}

/// Whether the id is free was looked at under the call's claim (K39): two of it break the locations' key.
async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    facts: &SubscriptionFacts,
) -> Result<Subscription, StoreError> {
    let locate = "INSERT INTO subscription_locations (id, directory) VALUES ($1, $2)";
    defer!(tx, locate, facts.id.uuid(), permit.directory().uuid())?;
    let insert =
        "INSERT INTO subscriptions (directory, id, kind, owner_user, product, offer, display_name, seats,
            term, start_time, trial_end_time, active_until, disabled_from, deleted_from, announced_state,
            create_time, update_time, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    let owner = match facts.owner {
        Owner::Directory => None,
        Owner::User(user) => Some(user.uuid()),
    };
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        facts.id.uuid(),
        facts.kind.as_str(),
        owner,
        &facts.product,
        &facts.offer,
        &facts.display_name,
        facts.seats.map(i64::from),
        facts.term.as_str(),
        facts.start_time.micros(),
        facts.trial_end_time.map(Timestamp::micros),
        facts.lifecycle.active_until.micros(),
        facts.lifecycle.disabled_from.micros(),
        facts.lifecycle.deleted_from.micros(),
        facts.announced_state.as_str(),
        facts.create_time.micros(),
        facts.update_time.micros(),
        facts.revision
    )?;
    Ok(Subscription { directory: permit.directory(), facts: facts.clone() })
}

/// The subscription of a product that is not announced as Deleted, whatever it is by now.
pub(crate) async fn of_product(
    tx: &mut Tx,
    directory: DirectoryId,
    product: &str,
) -> Result<Option<Subscription>, StoreError> {
    let select = select!(
        "WHERE directory = $1 AND product = $2 AND kind = 'KIND_OFFICE365_SEATS'
            AND announced_state <> 'STATE_DELETED'"
    );
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(product).fetch_optional(c).await)?;
    row.map(Row::subscription).transpose()
}

/// Writes an announced state, under the product's guard (K45).
pub(crate) async fn announce(
    tx: &mut Tx,
    permit: &Permit<AttachOffice365>,
    locked: &ProductLocked,
    facts: &SubscriptionFacts,
) -> Result<(), StoreError> {
    debug_assert_eq!(locked.product(), facts.product);
    let update = "UPDATE subscriptions SET announced_state = $3, update_time = $4, revision = $5
        WHERE directory = $1 AND id = $2";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        facts.id.uuid(),
        facts.announced_state.as_str(),
        facts.update_time.micros(),
        facts.revision
    )?;
    Ok(())
}

/// How many Azure subscriptions of a user are not Deleted at `now`.
pub(crate) async fn count_owned(
    tx: &mut Tx,
    directory: DirectoryId,
    user: UserId,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM subscriptions
        WHERE directory = $1 AND owner_user = $2 AND deleted_from > $3";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(directory.uuid())
        .bind(user.uuid())
        .bind(now.micros())
        .fetch_one(c)
        .await)?)
}

/// Whether there is a subscription of this name, in whatever directory.
pub(crate) async fn is_located(tx: &mut Tx, id: SubscriptionId) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM subscription_locations WHERE id = $1)";
    Ok(on!(tx, |c| sqlx::query_scalar(select).bind(id.uuid()).fetch_one(c).await)?)
}

/// The subscription of this name, if it is in this directory: one that is absent and one that is elsewhere are the
/// same miss of the same key (K33).
pub(crate) async fn find_in(
    tx: &mut Tx,
    directory: DirectoryId,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let select = select!("WHERE directory = $1 AND id = $2");
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(id.uuid()).fetch_optional(c).await)?;
    row.map(Row::subscription).transpose()
}

impl Row {
    pub(super) fn subscription(self) -> Result<Subscription, StoreError> {
        let at = Timestamp::from_micros;
        let seats = self.seats.map(i32::try_from).transpose().map_err(|_| StoreError::Corrupt("seats"))?;
        Ok(Subscription {
            directory: DirectoryId::from_uuid(self.directory),
            facts: SubscriptionFacts {
                id: SubscriptionId::from_uuid(self.id),
                kind: Kind::from_name(&self.kind).ok_or(StoreError::Corrupt("subscription kind"))?,
                owner: self.owner_user.map_or(Owner::Directory, |user| Owner::User(UserId::from_uuid(user))),
                product: self.product,
                offer: self.offer,
                display_name: self.display_name,
                seats,
                term: Term::from_stored(&self.term).ok_or(StoreError::Corrupt("subscription term"))?,
                start_time: at(self.start_time),
                trial_end_time: self.trial_end_time.map(at),
                lifecycle: Lifecycle {
                    active_until: at(self.active_until),
                    disabled_from: at(self.disabled_from),
                    deleted_from: at(self.deleted_from),
                },
                announced_state: State::from_name(&self.announced_state)
                    .ok_or(StoreError::Corrupt("announced state"))?,
                create_time: at(self.create_time),
                update_time: at(self.update_time),
                revision: self.revision,
            },
        })
    }
}
