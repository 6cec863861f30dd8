//! Rows of orders; they never change.

use access::{Permission, Permit};
use database::{StoreError, Tx, defer, on};
use kernel::{DirectoryId, OrderId, SubscriptionId, Timestamp};
use uuid::Uuid;

use crate::domain::order::{Order, OrderFacts};

#[derive(sqlx::FromRow)]
struct Row {
    directory: Uuid,
    id: Uuid,
    subscription: Uuid,
    product: String,
    offer: String,
    line: String,
    trial: bool,
    place_principal: String,
    place_time: i64,
    next_charge_time: Option<i64>,
}

/// Where the next page begins: after this time of placing and id.
pub(crate) type After = (i64, Uuid);

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT directory, id, subscription, product, offer, line, trial, place_principal, place_time,
                next_charge_time FROM orders ",
            $rest
        )
    };
}

/// Stores a receipt.
pub(crate) async fn insert<P: Permission>(
    tx: &mut Tx,
    permit: &Permit<P>,
    facts: &OrderFacts,
) -> Result<Order, StoreError> {
    let insert =
        "INSERT INTO orders (directory, id, subscription, product, offer, line, trial, place_principal,
            place_time, next_charge_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let line = serde_json::to_string(&facts.line).map_err(|_| StoreError::Corrupt("order line"))?;
    defer!(
        tx,
        insert,
        permit.directory().uuid(),
        facts.id.uuid(),
        facts.subscription.uuid(),
        &facts.product,
        &facts.offer,
        &line,
        facts.trial,
        facts.place_principal.to_string(),
        facts.place_time.micros(),
        facts.next_charge_time.map(Timestamp::micros)
    )?;
    Ok(Order { directory: permit.directory(), facts: facts.clone() })
}

/// The order of this name.
pub(crate) async fn find(
    tx: &mut Tx,
    directory: DirectoryId,
    id: OrderId,
) -> Result<Option<Order>, StoreError> {
    let select = select!("WHERE directory = $1 AND id = $2");
    let row: Option<Row> =
        on!(tx, |c| sqlx::query_as(select).bind(directory.uuid()).bind(id.uuid()).fetch_optional(c).await)?;
    row.map(Row::order).transpose()
}

/// A page of a directory's orders; a test reads its plan.
const OF_DIRECTORY: &str =
    select!("WHERE directory = $1 AND (place_time, id) > ($2, $3) ORDER BY place_time, id LIMIT $4");

/// Some orders of a directory in the order of lists.
pub(crate) async fn of_directory(
    tx: &mut Tx,
    directory: DirectoryId,
    after: After,
    most: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(OF_DIRECTORY)
        .bind(directory.uuid())
        .bind(after.0)
        .bind(after.1)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::order).collect()
}

/// A page of one principal's orders; a test reads its plan.
const OF_PRINCIPAL: &str = select!(
    "WHERE directory = $1 AND place_principal = $2 AND (place_time, id) > ($3, $4)
    ORDER BY place_time, id LIMIT $5"
);

/// Some orders that one principal placed, in the order of lists.
pub(crate) async fn of_principal(
    tx: &mut Tx,
    directory: DirectoryId,
    principal: &str,
    after: After,
    most: i64,
) -> Result<Vec<Order>, StoreError> {
    let rows: Vec<Row> = on!(tx, |c| sqlx::query_as(OF_PRINCIPAL)
        .bind(directory.uuid())
        .bind(principal)
        .bind(after.0)
        .bind(after.1)
        .bind(most)
        .fetch_all(c)
        .await)?;
    rows.into_iter().map(Row::order).collect()
}

impl Row {
    fn order(self) -> Result<Order, StoreError> {
        Ok(Order {
            directory: DirectoryId::from_uuid(self.directory),
            facts: OrderFacts {
                id: OrderId::from_uuid(self.id),
                subscription: SubscriptionId::from_uuid(self.subscription),
                product: self.product,
                offer: self.offer,
                line: serde_json::from_str(&self.line).map_err(|_| StoreError::Corrupt("order line"))?,
                trial: self.trial,
                place_principal: self
                    .place_principal
                    .parse()
                    .map_err(|_| StoreError::Corrupt("order principal"))?,
                place_time: Timestamp::from_micros(self.place_time),
                next_charge_time: self.next_charge_time.map(Timestamp::from_micros),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use test_support::database::fresh;
    use test_support::plan::assert_seeks;

    use super::*;

    #[tokio::test]
    async fn k_32_orders_are_listed_from_an_index_in_their_order() {
        let database = fresh("subscription", &crate::migrations()).await;
        let columns = "place_time, id";
        assert_seeks(&database.db, OF_DIRECTORY, "orders_by_place_time", columns).await;
        assert_seeks(&database.db, OF_PRINCIPAL, "orders_by_principal", columns).await;
    }
}
