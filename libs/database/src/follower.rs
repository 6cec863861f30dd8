//! How far this context has followed another's feed: the token is written in the transaction of its effects (K14).
//!
//! One replica at a time follows: whoever claims raises the fence, and what an earlier claim began does not commit.

use std::time::Duration;

use kernel::Timestamp;
use uuid::Uuid;

use crate::connect::Db;
use crate::error::StoreError;
use crate::retry::bookkeeping;
use crate::tx::Tx;
use crate::{defer, on};

/// How long a claim keeps others away after it was last heard of.
pub const LEASE: Duration = Duration::from_secs(20);

/// Where following stands.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Progress {
    /// The token behind the last message that was taken in; empty where a snapshot is to begin.
    pub resume_token: String,
    /// Whether a snapshot is under way, or to begin.
    pub in_snapshot: bool,
    /// Whether the snapshot counts even where something newer is known: the source was restored.
    pub overrules: bool,
    /// How far the snapshot has come.
    pub snapshot_after: Option<Uuid>,
}

impl Progress {
    /// At the beginning of a snapshot.
    pub const fn snapshot(overrules: bool) -> Self {
        Self { resume_token: String::new(), in_snapshot: true, overrules, snapshot_after: None }
    }
}

/// The right to follow a feed, until somebody else claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    feed: &'static str,
    fence: i64,
}

/// Claims a feed for a process; `None` while another one is at it.
pub async fn claim(
    db: &Db,
    feed: &'static str,
    holder: Uuid,
    now: Timestamp,
) -> Result<Option<(Claim, Progress)>, StoreError> {
    bookkeeping(|| claim_once(db, feed, holder, now)).await
}

async fn claim_once(
    db: &Db,
    feed: &'static str,
    holder: Uuid,
    now: Timestamp,
) -> Result<Option<(Claim, Progress)>, StoreError> {
    let insert = "INSERT INTO followers
            (feed, fence, holder, lease_time, resume_token, in_snapshot, overrules, snapshot_after)
        VALUES ($1, 0, $2, 0, '', TRUE, FALSE, NULL) ON CONFLICT (feed) DO NOTHING";
    let claim = "UPDATE followers SET fence = fence + 1, holder = $2, lease_time = $3
        WHERE feed = $1 AND (holder = $2 OR lease_time < $4) RETURNING fence";
    let select = "SELECT resume_token, in_snapshot, overrules, snapshot_after FROM followers WHERE feed = $1";
    let mut tx = db.write().await?;
    defer!(&mut tx, insert, feed, holder)?;
    let fence: Option<i64> = on!(&mut tx, |c| sqlx::query_scalar(claim)
        .bind(feed)
        .bind(holder)
        .bind(now.plus(LEASE).micros())
        .bind(now.micros())
        .fetch_optional(c)
        .await)?;
    let Some(fence) = fence else { return Ok(None) };
    let progress = on!(&mut tx, |c| sqlx::query_as(select).bind(feed).fetch_one(c).await)?;
    tx.commit_bookkeeping().await?;
    Ok(Some((Claim { feed, fence }, progress)))
}

/// Writes how far it has come, as the first statement of a transaction with effects; says whether the claim holds, and
/// locks it until the transaction ends.
pub async fn advance(
    tx: &mut Tx,
    claim: &Claim,
    progress: &Progress,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let update =
        "UPDATE followers SET resume_token = $3, in_snapshot = $4, overrules = $5, snapshot_after = $6,
            lease_time = $7
        WHERE feed = $1 AND fence = $2";
    let updated = on!(tx, |c| sqlx::query(update)
        .bind(claim.feed)
        .bind(claim.fence)
        .bind(&progress.resume_token)
        .bind(progress.in_snapshot)
        .bind(progress.overrules)
        .bind(progress.snapshot_after)
        .bind(now.plus(LEASE).micros())
        .execute(c)
        .await
        .map(|done| done.rows_affected()))?;
    Ok(updated == 1)
}
