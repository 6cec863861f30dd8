//! Rows of directories, and the lock on one, which guards its state, its domains and its liens (K8).

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp};
use runtime::filter::folded;
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::directory::{AgreementType, Directory, Settings, State};

#[derive(FromRow)]
pub(super) struct Row {
    id: Uuid,
    display_name: String,
    initial_domain: String,
    primary_domain: String,
    region_code: String,
    language_code: String,
    labels: String,
    state: String,
    agreement_type: String,
    members_may_create_subscriptions: bool,
    subscriptions_may_leave: bool,
    subscriptions_may_enter: bool,
    exempted_principals: String,
    state_reason: String,
    create_time: i64,
    update_time: i64,
    activate_time: Option<i64>,
    suspend_time: Option<i64>,
    delete_time: Option<i64>,
    purge_time: Option<i64>,
    revision: i64,
}

macro_rules! columns {
    () => {
        "id, display_name, initial_domain, primary_domain, region_code, language_code, labels, state, agreement_type,
        members_may_create_subscriptions, subscriptions_may_leave, subscriptions_may_enter, exempted_principals,
        state_reason, create_time, update_time, activate_time, suspend_time, delete_time, purge_time, revision"
    };
}

/// The columns of a row that is read.
pub(super) const COLUMNS: &str = columns!();

/// Where a page of a list begins: behind this directory.
pub(crate) type Position = (i64, DirectoryId);

/// A directory whose row this transaction has locked; only [`lock`] makes one.
#[derive(Debug)]
pub(crate) struct Locked(Directory);

impl Locked {
    /// The directory as it stands, until the transaction ends.
    pub(crate) const fn directory(&self) -> &Directory {
        &self.0
    }
}

/// Locks the permit's directory, if there is one.
pub(crate) async fn lock<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
) -> Result<Option<Locked>, StoreError> {
    let update = concat!("UPDATE directories SET locks = locks + 1 WHERE id = $1 RETURNING ", columns!());
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(update).bind(permit.directory().uuid()).fetch_optional(c).await)?;
    row.map(|row| row.read().map(Locked)).transpose()
}

/// One directory, in whatever state.
pub(crate) async fn find(tx: &mut Tx, id: DirectoryId) -> Result<Option<Directory>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM directories WHERE id = $1");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select).bind(id.uuid()).fetch_optional(c).await)?;
    row.map(Row::read).transpose()
}

/// Inserts a directory under the permit's id; says whether that id was new.
pub(crate) async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    directory: &Directory,
) -> Result<bool, StoreError> {
    let insert = concat!(
        "INSERT INTO directories (",
        columns!(),
        ", display_name_key, locks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
            $18, $19, $20, $21, $22, 0)
        ON CONFLICT (id) DO NOTHING"
    );
    let (labels, exempted_principals) = texts(directory)?;
    let inserted = on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(&directory.display_name)
        .bind(directory.initial_domain.as_str())
        .bind(directory.primary_domain.as_str())
        .bind(directory.region_code.as_str())
        .bind(&directory.language_code)
        .bind(&labels)
        .bind(directory.state.as_str())
        .bind(directory.agreement_type.as_str())
        .bind(directory.settings.members_may_create_subscriptions)
        .bind(directory.settings.subscriptions_may_leave)
        .bind(directory.settings.subscriptions_may_enter)
        .bind(&exempted_principals)
        .bind(&directory.state_reason)
        .bind(directory.create_time.micros())
        .bind(directory.update_time.micros())
        .bind(directory.activate_time.map(Timestamp::micros))
        .bind(directory.suspend_time.map(Timestamp::micros))
        .bind(directory.delete_time.map(Timestamp::micros))
        .bind(directory.purge_time.map(Timestamp::micros))
        .bind(directory.revision)
        .bind(folded(&directory.display_name))
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(inserted == 1)
}

/// Writes what can change of the locked directory, as it is now.
pub(crate) async fn update<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    after: &Directory,
) -> Result<(), StoreError> {
    let update =
        "UPDATE directories SET display_name = $2, primary_domain = $3, language_code = $4, labels = $5,
            state = $6, members_may_create_subscriptions = $7, subscriptions_may_leave = $8,
            subscriptions_may_enter = $9, exempted_principals = $10, state_reason = $11, update_time = $12,
            activate_time = $13, suspend_time = $14, delete_time = $15, purge_time = $16, revision = $17,
            display_name_key = $18
        WHERE id = $1";
    let (labels, exempted_principals) = texts(after)?;
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        &after.display_name,
        after.primary_domain.as_str(),
        &after.language_code,
        &labels,
        after.state.as_str(),
        after.settings.members_may_create_subscriptions,
        after.settings.subscriptions_may_leave,
        after.settings.subscriptions_may_enter,
        &exempted_principals,
        &after.state_reason,
        after.update_time.micros(),
        after.activate_time.map(Timestamp::micros),
        after.suspend_time.map(Timestamp::micros),
        after.delete_time.map(Timestamp::micros),
        after.purge_time.map(Timestamp::micros),
        after.revision,
        folded(&after.display_name)
    )?;
    Ok(())
}

const DUE: &str = "SELECT id FROM directories
    WHERE state = 'DELETED' AND purge_time <= $1 ORDER BY purge_time LIMIT 1";
const DUE_LOCKED: &str = "SELECT id FROM directories
    WHERE state = 'DELETED' AND purge_time <= $1 ORDER BY purge_time LIMIT 1
    FOR UPDATE SKIP LOCKED";

/// The deleted directory whose content is due to go first, if there is one; replicas that ask at once are given different
/// ones.
pub(crate) async fn due_for_purge(tx: &mut Tx, now: Timestamp) -> Result<Option<DirectoryId>, StoreError> {
    let select = if tx.is_postgres() { DUE_LOCKED } else { DUE };
    let due: Option<Uuid> =
        on!(tx, |c| sqlx::query_scalar(select).bind(now.micros()).fetch_optional(c).await)?;
    Ok(due.map(DirectoryId::from_uuid))
}

/// What is stored as JSON: the labels, and the exempted principals.
fn texts(directory: &Directory) -> Result<(String, String), StoreError> {
    let labels = serde_json::to_string(&directory.labels).map_err(|_| StoreError::Corrupt("labels"))?;
    let exempted = serde_json::to_string(&directory.settings.exempted_principals);
    Ok((labels, exempted.map_err(|_| StoreError::Corrupt("exempted principals"))?))
}

impl Row {
    pub(super) fn read(self) -> Result<Directory, StoreError> {
        let name = |text: String| text.try_into().map_err(|_| StoreError::Corrupt("domain"));
        let state = State::ALL.into_iter().find(|state| state.as_str() == self.state);
        let agreement = AgreementType::ALL.into_iter().find(|kind| kind.as_str() == self.agreement_type);
        Ok(Directory {
            id: DirectoryId::from_uuid(self.id),
            display_name: self.display_name,
            initial_domain: name(self.initial_domain)?,
            primary_domain: name(self.primary_domain)?,
            region_code: self.region_code.parse().map_err(|_| StoreError::Corrupt("region"))?,
            language_code: self.language_code,
            labels: serde_json::from_str(&self.labels).map_err(|_| StoreError::Corrupt("labels"))?,
            state: state.ok_or(StoreError::Corrupt("directory state"))?,
            state_reason: self.state_reason,
            agreement_type: agreement.ok_or(StoreError::Corrupt("agreement type"))?,
            settings: Settings {
                members_may_create_subscriptions: self.members_may_create_subscriptions,
                subscriptions_may_leave: self.subscriptions_may_leave,
                subscriptions_may_enter: self.subscriptions_may_enter,
                exempted_principals: serde_json::from_str(&self.exempted_principals)
                    .map_err(|_| StoreError::Corrupt("exempted principals"))?,
            },
            create_time: Timestamp::from_micros(self.create_time),
            update_time: Timestamp::from_micros(self.update_time),
            activate_time: self.activate_time.map(Timestamp::from_micros),
            suspend_time: self.suspend_time.map(Timestamp::from_micros),
            delete_time: self.delete_time.map(Timestamp::from_micros),
            purge_time: self.purge_time.map(Timestamp::from_micros),
            revision: self.revision,
        })
    }
}
