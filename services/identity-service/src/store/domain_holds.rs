//! Holds on domains that user names have, as a transaction relies on them and as a worker goes through them; the rows are
//! `database::hold`'s.

use access::{Permission, Permit};
use database::hold::{self, HoldLocked};
use database::{Db, StoreError, Tx, on};
use kernel::{DirectoryId, LienId, Timestamp};
use uuid::Uuid;

/// Where the next page begins: after the hold of this time, directory and reason.
pub(crate) type Position = (i64, Uuid, String);

/// Before the first hold.
pub(crate) const BEGINNING: Position = (i64::MIN, Uuid::nil(), String::new());

/// Proof that the hold on a domain is locked by this transaction: what is named under the domain is written under it.
#[derive(Debug)]
pub(crate) struct DomainLocked<'a> {
    reason: &'a str,
    _locked: HoldLocked,
}

impl DomainLocked<'_> {
    /// What the hold's row is found by.
    pub(crate) const fn reason(&self) -> &str {
        self.reason
    }
}

/// Locks the hold on a domain of the permit's directory, which has to be held by this lien; else the use case starts over.
pub(crate) async fn lock<'a, P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    reason: &'a str,
    lien: LienId,
) -> Result<DomainLocked<'a>, StoreError> {
    let locked = hold::lock_lien(tx, permit.directory(), reason, lien).await?;
    Ok(DomainLocked { reason, _locked: locked })
}

/// What a row says of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldState {
    Taking,
    Held,
    Releasing,
}

impl HoldState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Taking => "TAKING",
            Self::Held => "HELD",
            Self::Releasing => "RELEASING",
        }
    }
}

/// A hold that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct LookedAt {
    directory: Uuid,
    pub(crate) reason: String,
    hold_time: i64,
    /// Whether a name has the domain.
    pub(crate) has_cause: bool,
}

impl LookedAt {
    pub(crate) const fn directory(&self) -> DirectoryId {
        DirectoryId::from_uuid(self.directory)
    }

    pub(crate) fn position(&self) -> Position {
        (self.hold_time, self.directory, self.reason.clone())
    }
}

/// A page of holds, needed or not, so that a look costs the same however many are needed; a test reads its plan.
///
/// What is being taken has no cause yet, and what is being let go none any more: that was counted when it was marked.
const PAGE: &str = "SELECT directory, reason, hold_time, (state = 'HELD' AND EXISTS
            (SELECT 1 FROM users WHERE users.directory = holds.directory AND users.domain_hold = holds.reason
                AND users.domain_hold <> '' AND users.state <> 'DELETED')) AS has_cause
        FROM holds WHERE state = $1 AND hold_time < $2 AND (hold_time, directory, reason) > ($3, $4, $5)
        ORDER BY hold_time, directory, reason LIMIT $6";

/// Some holds in a state that were taken before a time, behind a position.
pub(crate) async fn page(
    db: &Db,
    state: HoldState,
    before: Timestamp,
    after: &Position,
    most: i64,
) -> Result<Vec<LookedAt>, StoreError> {
    let mut tx = db.read().await?;
    Ok(on!(&mut tx, |c| sqlx::query_as(PAGE)
        .bind(state.as_str())
        .bind(before.micros())
        .bind(after.0)
        .bind(after.1)
        .bind(&after.2)
        .bind(most)
        .fetch_all(c)
        .await)?)
}

/// Whether a name of the directory has the domain; asked under the hold's lock. Who restores a deleted person takes the
/// hold anew, as who creates one does.
pub(crate) async fn has_cause(tx: &mut Tx, directory: DirectoryId, reason: &str) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM users
        WHERE directory = $1 AND domain_hold = $2 AND domain_hold <> '' AND state <> 'DELETED')";
    Ok(on!(tx, |c| sqlx::query_scalar(select).bind(directory.uuid()).bind(reason).fetch_one(c).await)?)
}

#[cfg(test)]
mod tests {
    use kernel::new_ids;
    use test_support::clock::START;
    use test_support::database::fresh;
    use test_support::plan::assert_seeks;

    use super::*;

    #[tokio::test]
    async fn holds_are_gone_through_from_an_index_a_page_at_a_time() {
        let database = fresh("identity", &crate::migrations()).await;
        assert_seeks(&database.db, PAGE, "holds_by_state", "hold_time, directory, reason").await;
        let (now, later) = (START, START.plus(std::time::Duration::from_secs(1)));
        // Two of one directory.
        for (directory, domain) in [("1", "a.example"), ("1", "b.example"), ("2", "c.example")] {
            let directory = DirectoryId::from_uuid(new_ids::derive(&[directory]));
            let lien = LienId::from_uuid(new_ids::derive(&[domain]));
            hold::begin(&database.db, directory, domain, now).await.unwrap();
            hold::held(&database.db, directory, domain, lien, now.micros(), now).await.unwrap();
        }
        let look =
            async |after: &Position| page(&database.db, HoldState::Held, later, after, 2).await.unwrap();
        let first = look(&BEGINNING).await;
        let second = look(&first[1].position()).await;
        assert_eq!((first.len(), second.len()), (2, 1));
        assert_eq!(look(&second[0].position()).await, []);
    }
}
