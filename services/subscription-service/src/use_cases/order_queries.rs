//! `GetOrder` and `ListOrders`: whoever reads a directory's orders sees all, others what they placed.

use access::permission::ReadOrders;
use access::{Caller, Permission as _, roles};
use kernel::{DirectoryId, OrderId, Refusal};
use runtime::page_token::PageRequest;
use uuid::Uuid;

use super::sight::Sight;
use super::{Page, UseCases};
use crate::domain::order::Order;
use crate::domain::refused::Refused;
use crate::store::orders::{self, After};

/// The list as parsed.
#[derive(Debug)]
pub(crate) struct ListOrders {
    pub(crate) directory: DirectoryId,
    pub(crate) page_size: i64,
    pub(crate) page_token: String,
}

impl UseCases {
    /// Reads one order; permission comes before existence.
    pub(crate) async fn get_order(
        &self,
        caller: &Caller,
        directory: DirectoryId,
        id: OrderId,
    ) -> Result<Order, Refused> {
        let sight = self.sight::<ReadOrders>(caller, directory).await?;
        let mut tx = self.db.read().await?;
        let found = orders::find(&mut tx, directory, id).await?;
        let name = format!("directories/{directory}/orders/{id}");
        match sight {
            Sight::All => found.ok_or(Refused::OrderNotFound(name)),
            Sight::Own(principal) => {
                found.filter(|order| order.facts.place_principal == principal).ok_or_else(|| {
                    let right = ReadOrders::NAME;
                    Refusal::permission_denied(right, name)
                        .with("roles", roles::that_contain(right).join(","))
                        .into()
                })
            }
        }
    }

    /// Lists orders, oldest first.
    pub(crate) async fn list_orders(
        &self,
        caller: &Caller,
        list: &ListOrders,
    ) -> Result<Page<Order>, Refused> {
        let directory = list.directory;
        let sight = self.sight::<ReadOrders>(caller, directory).await?;
        let actor = caller.actor();
        let parent = directory.to_string();
        let scope = [parent.as_str()];
        let request =
            PageRequest { method: "ListOrders", actor: &actor, directory: Some(directory), scope: &scope };
        let after: Option<After> = self.page_tokens.after_key(&request, &list.page_token)?;
        let after = after.unwrap_or((i64::MIN, Uuid::nil()));
        let most = list.page_size + 1;
        let mut tx = self.db.read().await?;
        let rows = match sight {
            Sight::All => orders::of_directory(&mut tx, directory, after, most).await?,
            Sight::Own(principal) => {
                orders::of_principal(&mut tx, directory, &principal.to_string(), after, most).await?
            }
        };
        let key = |order: &Order| (order.facts.place_time.micros(), order.facts.id.uuid());
        let (entries, next_page_token) = self.page_tokens.cut(&request, rows, list.page_size, key);
        Ok(Page { entries, next_page_token })
    }
}
