//! Rows of subscriptions and where they are; their state is judged by `domain::lifecycle`, never by a stored word.

use access::permission::{AttachOffice365, SignUpAzure};
use access::{Permission, Permit};
use database::{StoreError, Tx, on};
use kernel::{DirectoryId, SubscriptionId, Timestamp, UserId};
use uuid::Uuid;

use super::guards::{OwnerLocked, ProductLocked};
use crate::domain::lifecycle::Lifecycle;
use crate::domain::subscription::{Kind, Owner, Subscription, SubscriptionFacts, Term};

#[derive(sqlx::FromRow)]
struct Row {
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
    create_time: i64,
    update_time: i64,
    revision: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.directory, s.id, s.kind, s.owner_user, s.product, s.offer, s.display_name, s.seats, s.term,
                s.start_time, s.trial_end_time, s.active_until, s.disabled_from, s.deleted_from, s.create_time,
                s.update_time, s.revision FROM subscriptions AS s ",
            $rest
        )
    };
}

/// Where the next page begins: after this creation time and id.
pub(crate) type After = (i64, Uuid);

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

/// The location comes first: a derived id that exists without a record is refused there (K39).
async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    facts: &SubscriptionFacts,
) -> Result<Subscription, StoreError> {
    let locate =
        "INSERT INTO subscription_locations (id, directory) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let located = on!(tx, |c| sqlx::query(locate)
        .bind(facts.id.uuid())
        .bind(permit.directory().uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if located == 0 {
        return Err(StoreError::RequestIdReused);
    }
    let insert =
        "INSERT INTO subscriptions (directory, id, kind, owner_user, product, offer, display_name, seats,
            term, start_time, trial_end_time, active_until, disabled_from, deleted_from, announced_state,
            create_time, update_time, revision)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    let owner = match facts.owner {
        Owner::Directory => None,
        Owner::User(user) => Some(user.uuid()),
    };
    on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(facts.id.uuid())
        .bind(facts.kind.as_str())
        .bind(owner)
        .bind(&facts.product)
        .bind(&facts.offer)
        .bind(&facts.display_name)
        .bind(facts.seats.map(i64::from))
        .bind(facts.term.as_str())
        .bind(facts.start_time.micros())
        .bind(facts.trial_end_time.map(Timestamp::micros))
        .bind(facts.lifecycle.active_until.micros())
        .bind(facts.lifecycle.disabled_from.micros())
        .bind(facts.lifecycle.deleted_from.micros())
        .bind(facts.state_at(facts.create_time).as_str())
        .bind(facts.create_time.micros())
        .bind(facts.update_time.micros())
        .bind(facts.revision)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(Subscription { directory: permit.directory(), facts: facts.clone() })
}

/// The subscription of a product that is not announced as Deleted, whatever it is by now.
pub(crate) async fn of_product(
    tx: &mut Tx,
    directory: DirectoryId,
    product: &str,
) -> Result<Option<Subscription>, StoreError> {
    let select = select!(
        "WHERE s.directory = $1 AND s.product = $2 AND s.kind = 'KIND_OFFICE365_SEATS'
            AND s.announced_state <> 'STATE_DELETED'"
    );
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(product).fetch_optional(c).await)?;
    row.map(Row::subscription).transpose()
}

/// Writes the state judged now, under the product's guard (K45); gives the subscription as it is then.
pub(crate) async fn announce(
    tx: &mut Tx,
    permit: &Permit<AttachOffice365>,
    _locked: &ProductLocked,
    mut subscription: Subscription,
    now: Timestamp,
) -> Result<Subscription, StoreError> {
    subscription.facts.revision += 1;
    subscription.facts.update_time = now;
    let update = "UPDATE subscriptions SET announced_state = $3, update_time = $4, revision = $5
        WHERE directory = $1 AND id = $2";
    on!(tx, |c| sqlx::query(update)
        .bind(permit.directory().uuid())
        .bind(subscription.facts.id.uuid())
        .bind(subscription.facts.state_at(now).as_str())
        .bind(now.micros())
        .bind(subscription.facts.revision)
        .execute(c)
        .await
        .map(|_| ()))?;
    Ok(subscription)
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

/// The subscription of this name, if it is in this directory: absent and foreign ones take the same work (K33).
pub(crate) async fn find_in(
    tx: &mut Tx,
    directory: DirectoryId,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let select = select!(
        "JOIN subscription_locations AS l ON l.directory = s.directory AND l.id = s.id
        WHERE l.id = $1 AND s.id = $1 AND s.directory = $2"
    );
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(id.uuid()).bind(directory.uuid()).fetch_optional(c).await)?;
    row.map(Row::subscription).transpose()
}

/// Some subscriptions of a directory in the order of lists.
pub(crate) async fn of_directory(
    tx: &mut Tx,
    directory: DirectoryId,
    after: After,
    most: i64,
) -> Result<Vec<Subscription>, StoreError> {
    let select = select!(
        "WHERE s.directory = $1 AND (s.create_time > $2 OR (s.create_time = $2 AND s.id > $3))
        ORDER BY s.create_time, s.id LIMIT $4"
    );
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(directory.uuid())
        .bind(after.0)
        .bind(after.1)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::subscription).collect()
}

/// Some subscriptions of one owner in the order of lists.
pub(crate) async fn of_owner(
    tx: &mut Tx,
    directory: DirectoryId,
    user: UserId,
    after: After,
    most: i64,
) -> Result<Vec<Subscription>, StoreError> {
    let select = select!(
        "WHERE s.directory = $1 AND s.owner_user = $2
            AND (s.create_time > $3 OR (s.create_time = $3 AND s.id > $4))
        ORDER BY s.create_time, s.id LIMIT $5"
    );
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(directory.uuid())
        .bind(user.uuid())
        .bind(after.0)
        .bind(after.1)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::subscription).collect()
}

impl Row {
    fn subscription(self) -> Result<Subscription, StoreError> {
        let at = Timestamp::from_micros;
        let seats = self.seats.map(i32::try_from).transpose().map_err(|_| StoreError::Corrupt("seats"))?;
        Ok(Subscription {
            directory: DirectoryId::from_uuid(self.directory),
            facts: SubscriptionFacts {
                id: SubscriptionId::from_uuid(self.id),
                kind: Kind::from_stored(&self.kind).ok_or(StoreError::Corrupt("subscription kind"))?,
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
                create_time: at(self.create_time),
                update_time: at(self.update_time),
                revision: self.revision,
            },
        })
    }
}
