//! Rows of directories, and the lock on one, which guards its state, its domains and its liens (K8).

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::directory::{AgreementType, Directory, Settings, State};

#[derive(FromRow)]
struct Row {
    id: Uuid,
    display_name: String,
    initial_domain: String,
    primary_domain: String,
    region_code: String,
    state: String,
    agreement_type: String,
    members_may_create_subscriptions: bool,
    create_time: i64,
    update_time: i64,
    activate_time: Option<i64>,
    revision: i64,
}

macro_rules! columns {
    () => {
        "id, display_name, initial_domain, primary_domain, region_code, state, agreement_type,
        members_may_create_subscriptions, create_time, update_time, activate_time, revision"
    };
}

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

/// The first statement of a page of all directories but the deleted ones; a test reads its plan.
pub(crate) const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM directories WHERE state <> 'DELETED' AND (create_time, id) > ($1, $2)
    ORDER BY create_time, id LIMIT $3"
);

/// Directories that are not deleted, oldest first, behind a position.
pub(crate) async fn page(
    tx: &mut Tx,
    after: Option<Position>,
    most: i64,
) -> Result<Vec<Directory>, StoreError> {
    let (time, id) = after.map_or((i64::MIN, Uuid::nil()), |(time, id)| (time, id.uuid()));
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(PAGE).bind(time).bind(id).bind(most).fetch_all(c).await)?;
    rows.into_iter().map(Row::read).collect()
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
        ", locks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0) ON CONFLICT (id) DO NOTHING"
    );
    let inserted = on!(tx, |c| sqlx::query(insert)
        .bind(permit.directory().uuid())
        .bind(&directory.display_name)
        .bind(directory.initial_domain.as_str())
        .bind(directory.primary_domain.as_str())
        .bind(directory.region_code.as_str())
        .bind(directory.state.as_str())
        .bind(directory.agreement_type.as_str())
        .bind(directory.settings.members_may_create_subscriptions)
        .bind(directory.create_time.micros())
        .bind(directory.update_time.micros())
        .bind(directory.activate_time.map(Timestamp::micros))
        .bind(directory.revision)
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(inserted == 1)
}

/// Writes the state of the locked directory as it is after a step.
pub(crate) async fn update_state<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    after: &Directory,
) -> Result<(), StoreError> {
    let update = "UPDATE directories SET state = $2, update_time = $3, activate_time = $4, revision = $5 WHERE id = $1";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        after.state.as_str(),
        after.update_time.micros(),
        after.activate_time.map(Timestamp::micros),
        after.revision
    )?;
    Ok(())
}

/// Writes the primary domain of the locked directory as it is after a step (D-11).
pub(crate) async fn update_primary_domain<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    after: &Directory,
) -> Result<(), StoreError> {
    let update = "UPDATE directories SET primary_domain = $2, update_time = $3, revision = $4 WHERE id = $1";
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        after.primary_domain.as_str(),
        after.update_time.micros(),
        after.revision
    )?;
    Ok(())
}

impl Row {
    fn read(self) -> Result<Directory, StoreError> {
        let name = |text: String| text.try_into().map_err(|_| StoreError::Corrupt("domain"));
        let state = State::ALL.into_iter().find(|state| state.as_str() == self.state);
        let agreement = AgreementType::ALL.into_iter().find(|kind| kind.as_str() == self.agreement_type);
        Ok(Directory {
            id: DirectoryId::from_uuid(self.id),
            display_name: self.display_name,
            initial_domain: name(self.initial_domain)?,
            primary_domain: name(self.primary_domain)?,
            region_code: self.region_code.parse().map_err(|_| StoreError::Corrupt("region"))?,
            state: state.ok_or(StoreError::Corrupt("directory state"))?,
            agreement_type: agreement.ok_or(StoreError::Corrupt("agreement type"))?,
            settings: Settings { members_may_create_subscriptions: self.members_may_create_subscriptions },
            create_time: Timestamp::from_micros(self.create_time),
            update_time: Timestamp::from_micros(self.update_time),
            activate_time: self.activate_time.map(Timestamp::from_micros),
            revision: self.revision,
        })
    }
}
