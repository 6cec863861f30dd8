//! Get and List: a right, a read transaction, rows, an answer; nothing is changed.

use access::permission::{ListDirectories, ReadDirectory, ReadLiens, ResolveDomain};
use access::{Caller, Consistency, require, require_active};
use database::read_one;
use kernel::{DirectoryId, LienId};
use runtime::filter::{Condition, Operator, folded};
use runtime::order_by::{Offered, Order};
use runtime::page_token::PageRequest;

use super::{UseCases, require_everywhere};
use crate::domain::directory::{Directory, State};
use crate::domain::domain_name::DomainName;
use crate::domain::lien::Lien;
use crate::domain::refused::Refused;
use crate::store;
use crate::store::directory_lists::{self, Asked, By, Name, Narrowing};

const LIST_DIRECTORIES: &str = "/tenure.directory.v1.DirectoryService/ListDirectories";
const LIST_MY_DIRECTORIES: &str = "/tenure.directory.v1.DirectoryService/ListMyDirectories";
const LIST_LIENS: &str = "/tenure.directory.v1.LienService/ListLiens";

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most entries.
    pub size: i64,
    /// The token of the page before, as received.
    pub token: String,
}

/// The list of all directories as parsed.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryList {
    pub page: Page,
    /// The filter's text, which a page token is bound to.
    pub filter: String,
    pub conditions: Vec<Condition>,
    /// The order's text, which a page token is bound to.
    pub order_by: String,
    /// One of [`DIRECTORY_ORDERS`].
    pub order: Order,
    /// Whether the deleted ones are listed, too.
    pub shows_deleted: bool,
}

const CREATE_TIME: Offered = &["create_time"];

/// The orders of the list of all directories; equal names are ordered by their creation, asked for or not.
pub(crate) const DIRECTORY_ORDERS: &[Offered] =
    &[CREATE_TIME, &["display_name"], &["display_name", "create_time"]];

/// A part of a list, and the token of the next one; empty at the end.
pub(super) type Part<T> = (Vec<T>, String);

impl UseCases {
    /// `GetDirectory`.
    pub(crate) async fn get_directory(&self, caller: &Caller, id: DirectoryId) -> Result<Directory, Refused> {
        self.require_reading::<ReadDirectory>(caller, id).await?;
        let found = read_one!(self.db, |tx| store::directories::find(tx, id).await)?;
        self.unless_purged(found).ok_or(Refused::DirectoryNotFound(id))
    }

    /// `ListDirectories`: the operator sees directories that are still being made too, so that a sign-up that hangs
    /// can be seen.
    pub(crate) async fn list_directories(
        &self,
        caller: &Caller,
        list: &DirectoryList,
    ) -> Result<Part<Directory>, Refused> {
        require_everywhere::<ListDirectories>(caller, "directories")?;
        let actor = caller.actor();
        let scope = [&*list.filter, &*list.order_by, if list.shows_deleted { "with deleted" } else { "" }];
        let request = PageRequest { method: LIST_DIRECTORIES, actor: &actor, directory: None, scope: &scope };
        let asked = Asked {
            narrowings: list.conditions.iter().filter_map(narrowing).collect(),
            shows_deleted: list.shows_deleted,
            by_name: list.order.fields != CREATE_TIME,
            descending: list.order.descending,
            after: self.page_tokens.after_key(&request, &list.page.token)?,
            most: list.page.size + 1,
        };
        let rows = read_one!(self.db, |tx| directory_lists::page(tx, &asked).await)?;
        Ok(self.page_tokens.cut(&request, rows, list.page.size, directory_lists::place))
    }

    /// `ListMyDirectories`: what identity says the caller belongs to, as far as it exists here.
    pub(crate) async fn list_my_directories(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Part<Directory>, Refused> {
        let permit =
            require_active(&self.judge, caller, Consistency::AtMostFiveSeconds, self.clock.now()).await?;
        let actor = caller.actor();
        let directory = Some(permit.directory());
        let request = PageRequest { method: LIST_MY_DIRECTORIES, actor: &actor, directory, scope: &[] };
        let after: Option<store::directories::Position> =
            self.page_tokens.after_key(&request, &page.token)?;
        let memberships = self.identity.memberships(&caller.require_signed_in()?.principal).await?;
        let mut mine = Vec::new();
        let mut tx = self.db.read().await?;
        // P-15: as many look-ups as the caller has memberships, however many directories there are.
        for id in memberships {
            mine.extend(store::directories::find(&mut tx, id).await?);
        }
        mine.retain(|directory| directory.state != State::Deleted && Some(position(directory)) > after);
        mine.sort_by_key(position);
        Ok(self.page_tokens.cut(&request, mine, page.size, position))
    }

    /// `ResolveDomain`.
    pub(crate) async fn resolve_domain(
        &self,
        caller: &Caller,
        domain: &DomainName,
    ) -> Result<DirectoryId, Refused> {
        require_everywhere::<ResolveDomain>(caller, domain.as_str())?;
        let directory = read_one!(self.db, |tx| store::domains::resolve(tx, domain).await)?;
        directory.ok_or_else(|| Refused::DomainNotFound(domain.clone()))
    }

    /// `GetLien`.
    pub(crate) async fn get_lien(
        &self,
        caller: &Caller,
        directory: DirectoryId,
        lien: LienId,
    ) -> Result<Lien, Refused> {
        self.require_reading::<ReadLiens>(caller, directory).await?;
        let found = read_one!(self.db, |tx| store::liens::find(tx, directory, lien).await)?;
        found.ok_or(Refused::LienNotFound { directory, lien })
    }

    /// `ListLiens`.
    pub(crate) async fn list_liens(
        &self,
        caller: &Caller,
        directory: DirectoryId,
        page: &Page,
    ) -> Result<Part<Lien>, Refused> {
        self.require_reading::<ReadLiens>(caller, directory).await?;
        let actor = caller.actor();
        let request =
            PageRequest { method: LIST_LIENS, actor: &actor, directory: Some(directory), scope: &[] };
        let after = self.page_tokens.after_key(&request, &page.token)?;
        let mut tx = self.db.read().await?;
        if self.unless_purged(store::directories::find(&mut tx, directory).await?).is_none() {
            return Err(Refused::DirectoryNotFound(directory));
        }
        let rows = store::liens::page(&mut tx, directory, after, page.size + 1).await?;
        Ok(self.page_tokens.cut(&request, rows, page.size, |lien| (lien.create_time.micros(), lien.id)))
    }

    /// P-14: what is over by the clock is not there, whether or not anybody has purged it.
    fn unless_purged(&self, found: Option<Directory>) -> Option<Directory> {
        let now = self.clock.now();
        found.filter(|directory| !directory.is_purged_at(now))
    }

    async fn require_reading<P: access::Permission>(
        &self,
        caller: &Caller,
        directory: DirectoryId,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        require::<P>(&self.judge, caller, directory, Consistency::AtMostFiveSeconds, now).await?;
        Ok(())
    }
}

/// What a condition compares with; which fields there are is decided where requests are parsed.
fn narrowing(condition: &Condition) -> Option<Narrowing> {
    let name = match condition.field {
        "display_name" => Name::Display,
        "initial_domain" => Name::InitialDomain,
        "primary_domain" => Name::PrimaryDomain,
        _ => {
            let state = condition.value.strip_prefix("STATE_")?;
            let state = State::ALL.into_iter().find(|known| known.as_str() == state)?;
            return Some(Narrowing {
                by: By::State(state),
                negated: condition.operator == Operator::NotEquals,
            });
        }
    };
    let value = folded(&condition.value);
    let (by, negated) = match condition.operator {
        Operator::Equals => (By::Name(name, value), false),
        Operator::NotEquals => (By::Name(name, value), true),
        Operator::HasPrefix => (By::Prefix(name, value), false),
    };
    Some(Narrowing { by, negated })
}

const fn position(directory: &Directory) -> store::directories::Position {
    (directory.create_time.micros(), directory.id)
}
