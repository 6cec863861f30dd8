//! Lists of a directory's subscriptions: each way to narrow one by an equality has its index, in the order of the list.
//!
//! The state is judged from the stored instants (K27), in the order of whichever index serves the rest.

use database::statement::Statement;
use database::{StoreError, Tx};
use kernel::{DirectoryId, Timestamp};
use uuid::Uuid;

use super::subscriptions::{Row, select};
use crate::domain::lifecycle::State;
use crate::domain::subscription::{Kind, Owner, Subscription};

/// Where the next page begins: after this creation time and id.
pub(crate) type After = (i64, Uuid);

/// What a list is narrowed to.
#[derive(Debug, Clone)]
pub(crate) struct Narrowing {
    pub(crate) by: By,
    /// Whether it is everything else that is listed.
    pub(crate) negated: bool,
}

/// What a list can be narrowed by.
#[derive(Debug, Clone)]
pub(crate) enum By {
    Kind(Kind),
    State(State),
    /// By slugs.
    Offer {
        product: String,
        offer: String,
    },
    Owner(Owner),
}

/// The statement of a page.
fn statement(
    directory: DirectoryId,
    narrowings: &[Narrowing],
    now: Timestamp,
    after: After,
    most: i64,
) -> Statement {
    let mut statement = Statement::new(select!("WHERE directory = $1 AND (create_time, id) > ($2, $3)"));
    statement.bind(directory.uuid());
    statement.bind(after.0);
    statement.bind(after.1);
    for Narrowing { by, negated } in narrowings {
        let condition = match by {
            By::Kind(kind) => format!("kind = {}", statement.bind(kind.as_str())),
            By::State(state) => state_is(*state, &statement.bind(now.micros())),
            By::Offer { product, offer } => {
                let product = statement.bind(product.as_str());
                format!("product = {product} AND offer = {}", statement.bind(offer.as_str()))
            }
            By::Owner(Owner::Directory) => "owner_user IS NULL".to_owned(),
            // Nothing is different from null: without this, what the directory owns would be in neither list.
            By::Owner(Owner::User(user)) if *negated => {
                format!("owner_user IS NOT NULL AND owner_user = {}", statement.bind(user.uuid()))
            }
            By::Owner(Owner::User(user)) => format!("owner_user = {}", statement.bind(user.uuid())),
        };
        statement.push(&format!(" AND {}({condition})", if *negated { "NOT " } else { "" }));
    }
    let directory_owns =
        |narrowing: &Narrowing| !narrowing.negated && matches!(narrowing.by, By::Owner(Owner::Directory));
    // Where all owners are null, it is the same order; PostgreSQL does not see that by itself.
    let owner = if narrowings.iter().any(directory_owns) { "owner_user, " } else { "" };
    let most = statement.bind(most);
    statement.push(&format!(" ORDER BY {owner}create_time, id LIMIT {most}"));
    statement
}

/// `Lifecycle::state_at`, of rows. The plus keeps the index by the end, which has no list's order, out of the plans.
fn state_is(state: State, now: &str) -> String {
    match state {
        State::Active => format!("active_until > {now}"),
        State::InGrace => format!("active_until <= {now} AND disabled_from > {now}"),
        State::Disabled => format!("disabled_from <= {now} AND +deleted_from > {now}"),
        State::Deleted => format!("+deleted_from <= {now}"),
    }
}

/// Some subscriptions of a directory, oldest first; all narrowings hold.
pub(crate) async fn page(
    tx: &mut Tx,
    directory: DirectoryId,
    narrowings: &[Narrowing],
    now: Timestamp,
    after: After,
    most: i64,
) -> Result<Vec<Subscription>, StoreError> {
    let rows: Vec<Row> = statement(directory, narrowings, now, after, most).fetch_all(tx).await?;
    rows.into_iter().map(Row::subscription).collect()
}

#[cfg(test)]
mod tests {
    use kernel::{UserId, new_ids};
    use test_support::clock::START;
    use test_support::database::fresh;
    use test_support::plan::assert_seeks;

    use super::*;

    fn text(narrowings: &[Narrowing]) -> String {
        let directory = DirectoryId::from_uuid(new_ids::derive(&["contoso"]));
        statement(directory, narrowings, START, (0, Uuid::nil()), 50).text().to_owned()
    }

    fn narrowing(by: By) -> Narrowing {
        Narrowing { by, negated: false }
    }

    #[tokio::test]
    async fn k_32_every_way_to_narrow_a_list_has_an_index_in_its_order() {
        let database = fresh("subscription", &crate::migrations()).await;
        let user = Owner::User(UserId::from_uuid(new_ids::derive(&["cy"])));
        let offer = By::Offer { product: "azure".to_owned(), offer: "ms-azr-0044p".to_owned() };
        let cases = [
            (None, "subscriptions_by_create_time"),
            (Some(By::Kind(Kind::AzureUsage)), "subscriptions_by_kind"),
            (Some(By::Owner(Owner::Directory)), "subscriptions_by_owner"),
            (Some(By::Owner(user)), "subscriptions_by_owner"),
            (Some(offer), "subscriptions_by_offer"),
        ];
        for (by, index) in cases {
            let narrowings: Vec<_> = by.map(narrowing).into_iter().collect();
            assert_seeks(&database.db, &text(&narrowings), index, "create_time, id").await;
            // The state narrows what the index gives, in the index's order.
            for state in State::ALL {
                let narrowings = [narrowings.clone(), vec![narrowing(By::State(state))]].concat();
                assert_seeks(&database.db, &text(&narrowings), index, "create_time, id").await;
            }
        }
    }
}
