//! Holds as a worker goes through them, and whether they have lost their cause; the rows are `database::hold`'s.

use database::{Db, StoreError, Tx, on};
use kernel::{DirectoryId, Timestamp};
use uuid::Uuid;

/// Where the next page begins: after the hold of this time and directory.
pub(crate) type Position = (i64, Uuid);

/// Before the first hold.
pub(crate) const BEGINNING: Position = (i64::MIN, Uuid::nil());

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct LookedAt {
    directory: Uuid,
    hold_time: i64,
    /// Whether something is under it.
    pub(crate) has_cause: bool,
}

impl LookedAt {
    pub(crate) const fn directory(&self) -> DirectoryId {
        DirectoryId::from_uuid(self.directory)
    }

    pub(crate) const fn position(&self) -> Position {
        (self.hold_time, self.directory)
    }
}

/// A page of holds, needed or not, so that a look costs the same however many are needed; a test reads its plan.
///
/// What is being taken has no cause yet, and what is being let go none any more: that was counted when it was marked.
const PAGE: &str = "SELECT directory, hold_time, (state = 'HELD' AND EXISTS
            (SELECT 1 FROM subscriptions
             WHERE subscriptions.directory = holds.directory AND subscriptions.deleted_from > $7)) AS has_cause
        FROM holds WHERE reason = $1 AND state = $2 AND hold_time < $3 AND (hold_time, directory) > ($4, $5)
        ORDER BY hold_time, directory LIMIT $6";

/// Which holds are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) reason: &'a str,
    pub(crate) state: HoldState,
    /// Those that were taken before.
    pub(crate) before: Timestamp,
    pub(crate) most: i64,
}

/// Some holds behind a position, judged at `now`.
pub(crate) async fn page(
    db: &Db,
    look: &Look<'_>,
    after: Position,
    now: Timestamp,
) -> Result<Vec<LookedAt>, StoreError> {
    let mut tx = db.read().await?;
    Ok(on!(&mut tx, |c| sqlx::query_as(PAGE)
        .bind(look.reason)
        .bind(look.state.as_str())
        .bind(look.before.micros())
        .bind(after.0)
        .bind(after.1)
        .bind(look.most)
        .bind(now.micros())
        .fetch_all(c)
        .await)?)
}

/// Whether any subscription of the directory is not Deleted at `now`; asked under the hold's lock.
pub(crate) async fn has_cause(
    tx: &mut Tx,
    directory: DirectoryId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM subscriptions WHERE directory = $1 AND deleted_from > $2)";
    Ok(on!(tx, |c| sqlx::query_scalar(select).bind(directory.uuid()).bind(now.micros()).fetch_one(c).await)?)
}

#[cfg(test)]
mod tests {
    use database::hold;
    use kernel::{LienId, new_ids};
    use test_support::clock::START;
    use test_support::database::fresh;
    use test_support::plan::assert_seeks;

    use super::*;

    #[tokio::test]
    async fn holds_are_gone_through_from_an_index_a_page_at_a_time() {
        let database = fresh("subscription", &crate::migrations()).await;
        assert_seeks(&database.db, PAGE, "holds_by_state", "hold_time, directory").await;
        let now = START;
        for number in ["1", "2", "3"] {
            let directory = DirectoryId::from_uuid(new_ids::derive(&[number]));
            let lien = LienId::from_uuid(new_ids::derive(&[number, "lien"]));
            hold::begin(&database.db, directory, "subscriptions", now).await.unwrap();
            hold::held(&database.db, directory, "subscriptions", lien, now.micros(), now).await.unwrap();
        }
        let later = now.plus(std::time::Duration::from_secs(1));
        let held = Look { reason: "subscriptions", state: HoldState::Held, before: later, most: 2 };
        let look = async |after| page(&database.db, &held, after, later).await.unwrap();
        let first = look(BEGINNING).await;
        let second = look(first[1].position()).await;
        assert_eq!((first.len(), second.len()), (2, 1));
        assert_eq!(look(second[0].position()).await, []);
    }
}
