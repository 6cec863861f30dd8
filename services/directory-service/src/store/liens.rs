//! Rows of liens. They are written under the lock of their directory's row alone, so that what deletes a directory,
//! under the same lock, sees them all (K11). What was removed leaves its revision behind: one row for all liens of a
//! creator with one origin on one guarded thing.

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, LienId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::lien::{Before, Claim, Guarded, Lien, Restriction};
use crate::store::directories::Locked;

#[derive(FromRow)]
struct Row {
    id: Uuid,
    resource: String,
    restrictions: String,
    reason: String,
    origin: String,
    holder: String,
    revision: i64,
    blockers: String,
    blocker_count: i64,
    create_time: i64,
    create_principal: String,
}

macro_rules! columns {
    () => {
        "id, resource, restrictions, reason, origin, holder, revision, blockers, blocker_count, create_time,
        create_principal"
    };
}

/// Where a page of a list begins: behind this lien.
pub(crate) type Position = (i64, LienId);

/// What there is, or was, on the locked directory of a creator's liens with the claim's origin on what it guards.
pub(crate) async fn before(
    tx: &mut Tx,
    locked: &Locked,
    creator: &str,
    claim: &Claim,
) -> Result<Before, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM liens WHERE directory = $1 AND resource = $2 AND origin = $3 AND create_principal = $4"
    );
    let standing: Option<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(locked.directory().id.uuid())
        .bind(claim.guarded.below())
        .bind(&claim.origin)
        .bind(creator)
        .fetch_optional(c)
        .await)?;
    let select = "SELECT revision FROM removed_liens
        WHERE directory = $1 AND resource = $2 AND origin = $3 AND create_principal = $4";
    let removed_revision: Option<i64> = on!(tx, |c| sqlx::query_scalar(select)
        .bind(locked.directory().id.uuid())
        .bind(claim.guarded.below())
        .bind(&claim.origin)
        .bind(creator)
        .fetch_optional(c)
        .await)?;
    Ok(Before { standing: standing.map(Row::read).transpose()?, removed_revision })
}

/// One lien.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    id: LienId,
) -> Result<Option<Lien>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM liens WHERE directory = $1 AND id = $2");
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(id.uuid()).fetch_optional(c).await)?;
    row.map(Row::read).transpose()
}

/// The liens on something of the locked directory, which restrict what is named.
pub(crate) async fn restricting(
    tx: &mut Tx,
    locked: &Locked,
    guarded: &Guarded,
    restriction: Restriction,
) -> Result<Vec<Lien>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM liens WHERE directory = $1 AND resource = $2 ORDER BY create_time, id"
    );
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(locked.directory().id.uuid())
        .bind(guarded.below())
        .fetch_all(c)
        .await)?;
    let liens = rows.into_iter().map(Row::read);
    liens
        .filter(|lien| lien.as_ref().map_or(true, |lien| lien.claim.restrictions.contains(&restriction)))
        .collect()
}

/// A page of a directory's liens; a test reads its plan.
pub(crate) const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM liens WHERE directory = $1 AND (create_time, id) > ($2, $3) ORDER BY create_time, id LIMIT $4"
);

/// The liens of a directory, oldest first, behind a position.
pub(crate) async fn page(
    tx: &mut Tx,
    directory: DirectoryId,
    after: Option<Position>,
    most: i64,
) -> Result<Vec<Lien>, StoreError> {
    let (time, id) = after.map_or((i64::MIN, Uuid::nil()), |(time, id)| (time, id.uuid()));
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(PAGE)
        .bind(directory.uuid())
        .bind(time)
        .bind(id)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::read).collect()
}

/// Inserts a lien on the locked directory.
pub(crate) async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    lien: &Lien,
) -> Result<(), StoreError> {
    let insert = concat!(
        "INSERT INTO liens (directory, ",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    );
    let claim = &lien.claim;
    let restrictions =
        serde_json::to_string(&claim.restrictions).map_err(|_| StoreError::Corrupt("restrictions"))?;
    let blockers = serde_json::to_string(&claim.blockers).map_err(|_| StoreError::Corrupt("blockers"))?;
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        lien.id.uuid(),
        claim.guarded.below(),
        &restrictions,
        &claim.reason,
        &claim.origin,
        &claim.holder,
        claim.revision,
        &blockers,
        i64::from(claim.blocker_count),
        lien.create_time.micros(),
        &lien.create_principal
    )?;
    Ok(())
}

/// Removes a lien from the locked directory.
pub(crate) async fn delete<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    id: LienId,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM liens WHERE directory = $1 AND id = $2";
    defer!(tx, delete, permit.directory().uuid(), id.uuid())?;
    Ok(())
}

/// Notes the revision of a lien that was removed from the locked directory.
pub(crate) async fn note_removed<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    lien: &Lien,
) -> Result<(), StoreError> {
    let upsert = "INSERT INTO removed_liens (directory, resource, origin, create_principal, revision)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (directory, resource, origin, create_principal) DO UPDATE SET revision = excluded.revision
        WHERE removed_liens.revision < excluded.revision";
    defer!(
        tx,
        upsert,
        permit.directory().uuid(),
        lien.claim.guarded.below(),
        &lien.claim.origin,
        &lien.create_principal,
        lien.claim.revision
    )?;
    Ok(())
}

impl Row {
    fn read(self) -> Result<Lien, StoreError> {
        let guarded = match self.resource.strip_prefix("domains/") {
            Some(domain) => Guarded::Domain(domain.parse().map_err(|_| StoreError::Corrupt("domain"))?),
            None if self.resource.is_empty() => Guarded::Directory,
            None => return Err(StoreError::Corrupt("guarded resource")),
        };
        Ok(Lien {
            id: LienId::from_uuid(self.id),
            claim: Claim {
                guarded,
                restrictions: serde_json::from_str(&self.restrictions)
                    .map_err(|_| StoreError::Corrupt("restrictions"))?,
                reason: self.reason,
                origin: self.origin,
                holder: self.holder,
                revision: self.revision,
                blockers: serde_json::from_str(&self.blockers)
                    .map_err(|_| StoreError::Corrupt("blockers"))?,
                blocker_count: i32::try_from(self.blocker_count)
                    .map_err(|_| StoreError::Corrupt("blocker count"))?,
            },
            create_time: Timestamp::from_micros(self.create_time),
            create_principal: self.create_principal,
        })
    }
}
