//! Rows of domains, and the claims that make a verified domain belong to one directory (D-10, D-15).
//!
//! Domains exist here with their directory, and are verified from the start.

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, Timestamp};
use uuid::Uuid;

use crate::domain::domain_name::DomainName;
use crate::store::directories::Locked;

/// How far a stored domain has come; no other state is reached yet.
const VERIFIED: &str = "VERIFIED";

/// Claims the initial domain of the permit's directory, verified (D-10); says whether it was free.
///
/// The claim waits for a rival that is under way, and decides by the unique key alone.
pub(crate) async fn claim_initial<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    domain: &DomainName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let claim =
        "INSERT INTO domain_claims (domain, directory) VALUES ($1, $2) ON CONFLICT (domain) DO NOTHING";
    let claimed = on!(tx, |c| sqlx::query(claim)
        .bind(domain.as_str())
        .bind(permit.directory().uuid())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    if claimed == 0 {
        return Ok(false);
    }
    let insert = "INSERT INTO domains (directory, domain, state, create_time, verify_time) VALUES ($1, $2, $3, $4, $4)";
    defer!(tx, insert, permit.directory().uuid(), domain.as_str(), VERIFIED, now.micros())?;
    Ok(true)
}

/// Frees the initial domain of a locked directory that was never active (K37).
pub(crate) async fn free_initial<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    locked: &Locked,
) -> Result<(), StoreError> {
    let domain = locked.directory().initial_domain.as_str();
    for delete in [
        "DELETE FROM domain_claims WHERE domain = $1 AND directory = $2",
        "DELETE FROM domains WHERE domain = $1 AND directory = $2",
    ] {
        defer!(tx, delete, domain, permit.directory().uuid())?;
    }
    Ok(())
}

/// Frees the domains of a locked directory that is purged: all but the initial one, which is never given again (K37).
pub(crate) async fn free_all<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    locked: &Locked,
) -> Result<(), StoreError> {
    let initial = locked.directory().initial_domain.as_str();
    // By the domains' own key: no claim of another directory is looked at (P-15).
    let free = "DELETE FROM domain_claims WHERE directory = $1 AND domain IN
        (SELECT domain FROM domains WHERE directory = $1 AND domain <> $2)";
    defer!(tx, free, permit.directory().uuid(), initial)?;
    defer!(tx, "DELETE FROM domains WHERE directory = $1", permit.directory().uuid())?;
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

/// Whether the locked directory has the domain.
pub(crate) async fn has(tx: &mut Tx, locked: &Locked, domain: &DomainName) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM domains WHERE directory = $1 AND domain = $2)";
    Ok(on!(tx, |c| sqlx::query_scalar(select)
        .bind(locked.directory().id.uuid())
        .bind(domain.as_str())
        .fetch_one(c)
        .await)?)
}
