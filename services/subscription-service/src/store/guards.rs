//! Guard rows: one a product of a directory, one an Azure owner; whoever writes under them has locked them first (K8).
//!
//! The rows also remember, for ever, what was had; the rules that follow stand in `domain/`.

use access::Permit;
use access::permission::{AttachOffice365, SignUpAzure};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp, UserId};

/// Proof that this transaction has locked the guard row of a product in the permit's directory.
#[derive(Debug)]
pub(crate) struct ProductLocked {
    product: String,
    pub(crate) times: ProductTimes,
}

impl ProductLocked {
    pub(crate) fn product(&self) -> &str {
        &self.product
    }
}

/// Proof that this transaction has locked the guard row of an Azure owner in the permit's directory.
#[derive(Debug)]
pub(crate) struct OwnerLocked {
    user: UserId,
    pub(crate) first_sign_up_time: Option<i64>,
}

impl OwnerLocked {
    pub(crate) const fn user(&self) -> UserId {
        self.user
    }
}

/// When a product was first attached, and when its trial was used.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub(crate) struct ProductTimes {
    pub(crate) first_attach_time: Option<i64>,
    pub(crate) trial_time: Option<i64>,
}

/// Locks the guard row of a product, making it where there is none.
pub(crate) async fn lock_product(
    tx: &mut Tx,
    permit: &Permit<AttachOffice365>,
    product: &str,
) -> Result<ProductLocked, StoreError> {
    let upsert = "INSERT INTO product_guards (directory, product, uses) VALUES ($1, $2, 1)
        ON CONFLICT (directory, product) DO UPDATE SET uses = product_guards.uses + 1
        RETURNING first_attach_time, trial_time";
    let times =
        on!(tx, |c| sqlx::query_as(upsert).bind(permit.directory().uuid()).bind(product).fetch_one(c).await)?;
    Ok(ProductLocked { product: product.to_owned(), times })
}

/// What was ever had of a product, read without the lock: for first looks.
pub(crate) async fn product_times(
    tx: &mut Tx,
    directory: DirectoryId,
    product: &str,
) -> Result<ProductTimes, StoreError> {
    let select =
        "SELECT first_attach_time, trial_time FROM product_guards WHERE directory = $1 AND product = $2";
    let row: Option<ProductTimes> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(product).fetch_optional(c).await)?;
    Ok(row.unwrap_or_default())
}

/// Notes an attachment, and its trial, for ever (K25).
pub(crate) async fn note_attached(
    tx: &mut Tx,
    permit: &Permit<AttachOffice365>,
    locked: &ProductLocked,
    trial: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE product_guards SET first_attach_time = COALESCE(first_attach_time, $3),
            trial_time = COALESCE(trial_time, $4)
        WHERE directory = $1 AND product = $2";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        &locked.product,
        now.micros(),
        trial.then_some(now.micros())
    )?;
    Ok(())
}

/// Locks the guard row of an Azure owner, making it where there is none.
pub(crate) async fn lock_owner(
    tx: &mut Tx,
    permit: &Permit<SignUpAzure>,
    user: UserId,
) -> Result<OwnerLocked, StoreError> {
    let upsert = "INSERT INTO azure_owner_guards (directory, owner_user, uses) VALUES ($1, $2, 1)
        ON CONFLICT (directory, owner_user) DO UPDATE SET uses = azure_owner_guards.uses + 1
        RETURNING first_sign_up_time";
    let first_sign_up_time: Option<i64> = on!(tx, |c| sqlx::query_scalar(upsert)
        .bind(permit.directory().uuid())
        .bind(user.uuid())
        .fetch_one(c)
        .await)?;
    Ok(OwnerLocked { user, first_sign_up_time })
}

/// When a user first signed up for Azure, read without the lock: for first looks.
pub(crate) async fn first_sign_up_time(
    tx: &mut Tx,
    directory: DirectoryId,
    user: UserId,
) -> Result<Option<i64>, StoreError> {
    let select = "SELECT first_sign_up_time FROM azure_owner_guards WHERE directory = $1 AND owner_user = $2";
    let time: Option<Option<i64>> = on!(tx, |c| sqlx::query_scalar(select)
        .bind(directory.uuid())
        .bind(user.uuid())
        .fetch_optional(c)
        .await)?;
    Ok(time.flatten())
}

/// Notes a sign-up, and the free trial, for ever (S-04).
pub(crate) async fn note_signed_up(
    tx: &mut Tx,
    permit: &Permit<SignUpAzure>,
    locked: &OwnerLocked,
    free_trial: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE azure_owner_guards SET first_sign_up_time = COALESCE(first_sign_up_time, $3),
            free_trial_time = COALESCE(free_trial_time, $4)
        WHERE directory = $1 AND owner_user = $2";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        locked.user.uuid(),
        now.micros(),
        free_trial.then_some(now.micros())
    )?;
    Ok(())
}
