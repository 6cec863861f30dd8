//! Rows of domains, and the claims that make a verified domain belong to one directory (D-10, D-15).
//!
//! Rows are written under the lock of their directory's row. Of all who race for a domain, the key of the claims lets one
//! pass; and since a sub-domain exists only where the name that was registered is claimed (K46), that key decides between
//! a domain and those below it too.

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::directory_domain::{Challenge, Check, CheckResult, Domain, Rotations, State};
use crate::domain::domain_name::DomainName;
use crate::store::directories::Locked;

#[derive(FromRow)]
struct Row {
    domain: String,
    state: String,
    challenge: Option<String>,
    challenge_expire_time: Option<i64>,
    rotations: i64,
    rotation_day: i64,
    last_check_time: Option<i64>,
    last_check_result: Option<String>,
    create_time: i64,
    verify_time: Option<i64>,
    revision: i64,
}

macro_rules! columns {
    () => {
        "domain, state, challenge, challenge_expire_time, rotations, rotation_day, last_check_time, last_check_result,
        create_time, verify_time, revision"
    };
}

/// Where a page of a list begins: behind this domain.
pub(crate) type Position = (i64, String);

/// Claims the initial domain of the permit's directory, verified (D-10); says whether it was free.
///
/// The directory's row is this transaction's own, so that nobody else writes its domains.
pub(crate) async fn claim_initial<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    domain: &DomainName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !claim(tx, permit, domain).await? {
        return Ok(false);
    }
    insert_row(tx, permit, &Domain::verified(domain.clone(), now)).await?;
    Ok(true)
}

/// Claims a domain for the permit's directory; says whether it was free.
///
/// The claim waits for a rival that is under way, and decides by the unique key alone.
pub(crate) async fn claim<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    domain: &DomainName,
) -> Result<bool, StoreError> {
    let claim = "INSERT INTO domain_claims (domain, reversed, directory) VALUES ($1, $2, $3)
        ON CONFLICT (domain) DO NOTHING";
    let claimed = on!(tx, |c| sqlx::query(claim)
        .bind(domain.as_str())
        .bind(domain.reversed())
        .bind(permit.directory().uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(claimed == 1)
}

/// Whether another directory than the permit's has a domain above this one, or one below it (K46).
pub(crate) async fn is_related_elsewhere<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    domain: &DomainName,
) -> Result<bool, StoreError> {
    // What lies below a name begins, reversed, with the name and a dot; `/` is the character after the dot.
    let below = "SELECT EXISTS (SELECT 1 FROM domain_claims
        WHERE reversed > $1 AND reversed < $2 AND directory <> $3)";
    let reversed = domain.reversed();
    let (first, end) = (format!("{reversed}."), format!("{reversed}/"));
    let found: bool = on!(tx, |c| sqlx::query_scalar(below)
        .bind(&first)
        .bind(&end)
        .bind(permit.directory().uuid())
        .fetch_one(c)
        .await)?;
    if found {
        return Ok(true);
    }
    let same = "SELECT EXISTS (SELECT 1 FROM domain_claims WHERE domain = $1 AND directory <> $2)";
    for name in domain.above() {
        let found: bool = on!(tx, |c| sqlx::query_scalar(same)
            .bind(name.as_str())
            .bind(permit.directory().uuid())
            .fetch_one(c)
            .await)?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Frees the initial domain of a locked directory that was never active (K37).
pub(crate) async fn free_initial<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    locked: &Locked,
) -> Result<(), StoreError> {
    delete(tx, permit, locked, &locked.directory().initial_domain).await
}

/// Removes a domain of the locked directory, and the claim where it has one.
pub(crate) async fn delete<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    domain: &DomainName,
) -> Result<(), StoreError> {
    for delete in [
        "DELETE FROM domain_claims WHERE domain = $1 AND directory = $2",
        "DELETE FROM domains WHERE domain = $1 AND directory = $2",
    ] {
        defer!(tx, delete, domain.as_str(), permit.directory().uuid())?;
    }
    Ok(())
}

/// Inserts a domain of the locked directory.
pub(crate) async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    domain: &Domain,
) -> Result<(), StoreError> {
    insert_row(tx, permit, domain).await
}

async fn insert_row<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    domain: &Domain,
) -> Result<(), StoreError> {
    let insert = concat!(
        "INSERT INTO domains (directory, reversed, ",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    );
    let challenge = domain.challenge.as_ref();
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        domain.name.reversed(),
        domain.name.as_str(),
        domain.state.as_str(),
        challenge.map(|challenge| challenge.record_value.clone()),
        challenge.map(|challenge| challenge.expire_time.micros()),
        domain.rotations.count,
        domain.rotations.day,
        domain.last_check.map(|check| check.time.micros()),
        domain.last_check.map(|check| check.result.as_str()),
        domain.create_time.micros(),
        domain.verify_time.map(Timestamp::micros),
        domain.revision
    )?;
    Ok(())
}

/// Writes a domain of the locked directory as it is after a step.
pub(crate) async fn update<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    _locked: &Locked,
    after: &Domain,
) -> Result<(), StoreError> {
    let update = "UPDATE domains SET state = $3, challenge = $4, challenge_expire_time = $5, rotations = $6,
            rotation_day = $7, last_check_time = $8, last_check_result = $9, verify_time = $10, revision = $11
        WHERE directory = $1 AND domain = $2";
    let challenge = after.challenge.as_ref();
    defer!(
        tx,
        update,
        permit.directory().uuid(),
        after.name.as_str(),
        after.state.as_str(),
        challenge.map(|challenge| challenge.record_value.clone()),
        challenge.map(|challenge| challenge.expire_time.micros()),
        after.rotations.count,
        after.rotations.day,
        after.last_check.map(|check| check.time.micros()),
        after.last_check.map(|check| check.result.as_str()),
        after.verify_time.map(Timestamp::micros),
        after.revision
    )?;
    Ok(())
}

/// The directory in which the domain is verified, unless that is deleted.
pub(crate) async fn resolve(tx: &mut Tx, domain: &DomainName) -> Result<Option<DirectoryId>, StoreError> {
    let select = "SELECT domain_claims.directory FROM domain_claims
        JOIN directories ON directories.id = domain_claims.directory
        WHERE domain_claims.domain = $1 AND directories.state <> 'DELETED'";
    let directory: Option<Uuid> =
        on!(tx, |c| sqlx::query_scalar(select).bind(domain.as_str()).fetch_optional(c).await)?;
    Ok(directory.map(DirectoryId::from_uuid))
}

/// One domain of a directory.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    domain: &DomainName,
) -> Result<Option<Domain>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM domains WHERE directory = $1 AND domain = $2");
    let row: Option<Row> = on!(tx, |c| sqlx::query_as(select)
        .bind(directory.uuid())
        .bind(domain.as_str())
        .fetch_optional(c)
        .await)?;
    row.map(Row::read).transpose()
}

/// A page of a directory's domains; a test reads its plan.
pub(crate) const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM domains WHERE directory = $1 AND (create_time, domain) > ($2, $3) ORDER BY create_time, domain LIMIT $4"
);

/// The domains of a directory, oldest first, behind a position.
pub(crate) async fn page(
    tx: &mut Tx,
    directory: DirectoryId,
    after: Option<Position>,
    most: i64,
) -> Result<Vec<Domain>, StoreError> {
    let (time, domain) = after.unwrap_or((i64::MIN, String::new()));
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(PAGE)
        .bind(directory.uuid())
        .bind(time)
        .bind(&domain)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::read).collect()
}

/// Whether the locked directory has the domain.
pub(crate) async fn has(tx: &mut Tx, locked: &Locked, domain: &DomainName) -> Result<bool, StoreError> {
    Ok(find(tx, locked.directory().id, domain).await?.is_some())
}

/// Whether the locked directory has a verified domain above this one.
pub(crate) async fn has_verified_above(
    tx: &mut Tx,
    locked: &Locked,
    domain: &DomainName,
) -> Result<bool, StoreError> {
    for name in domain.above() {
        let above = find(tx, locked.directory().id, &name).await?;
        if above.is_some_and(|above| above.state == State::Verified) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the locked directory has a domain below this one.
pub(crate) async fn has_below(tx: &mut Tx, locked: &Locked, domain: &DomainName) -> Result<bool, StoreError> {
    let select =
        "SELECT EXISTS (SELECT 1 FROM domains WHERE directory = $1 AND reversed > $2 AND reversed < $3)";
    let reversed = domain.reversed();
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(locked.directory().id.uuid())
        .bind(format!("{reversed}."))
        .bind(format!("{reversed}/"))
        .fetch_one(c)
        .await)?)
}

/// How many domains the locked directory has.
pub(crate) async fn count(tx: &mut Tx, locked: &Locked) -> Result<i64, StoreError> {
    let select = "SELECT CAST(COUNT(*) AS BIGINT) FROM domains WHERE directory = $1";
    Ok(on!(tx, |c| sqlx::query_scalar(select).bind(locked.directory().id.uuid()).fetch_one(c).await)?)
}

impl Row {
    fn read(self) -> Result<Domain, StoreError> {
        let state = State::ALL.into_iter().find(|state| state.as_str() == self.state);
        let challenge = self.challenge.zip(self.challenge_expire_time).map(|(record_value, time)| {
            Challenge { record_value, expire_time: Timestamp::from_micros(time) }
        });
        let last_check = self.last_check_time.zip(self.last_check_result).map(|(time, stored)| {
            let result = CheckResult::ALL.into_iter().find(|result| result.as_str() == stored);
            let result = result.ok_or(StoreError::Corrupt("check result"))?;
            Ok::<_, StoreError>(Check { time: Timestamp::from_micros(time), result })
        });
        Ok(Domain {
            name: self.domain.parse().map_err(|_| StoreError::Corrupt("domain"))?,
            state: state.ok_or(StoreError::Corrupt("domain state"))?,
            challenge,
            rotations: Rotations { day: self.rotation_day, count: self.rotations },
            last_check: last_check.transpose()?,
            create_time: Timestamp::from_micros(self.create_time),
            verify_time: self.verify_time.map(Timestamp::from_micros),
            revision: self.revision,
        })
    }
}
