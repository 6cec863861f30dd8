//! Get and List: a right, a read transaction, rows, an answer; nothing is changed.

use access::permission::{ListDirectories, ReadDirectory, ReadDomains, ReadLiens, ResolveDomain};
use access::{Caller, Consistency, require, require_active};
use database::read_one;
use kernel::{DirectoryId, LienId};
use runtime::page_token::PageRequest;

use super::{DomainOf, UseCases, require_everywhere};
use crate::domain::directory::{Directory, State};
use crate::domain::directory_domain::{Domain, Seen};
use crate::domain::domain_name::DomainName;
use crate::domain::lien::Lien;
use crate::domain::refused::Refused;
use crate::store;

const LIST_DIRECTORIES: &str = "/tenure.directory.v1.DirectoryService/ListDirectories";
const LIST_MY_DIRECTORIES: &str = "/tenure.directory.v1.DirectoryService/ListMyDirectories";
const LIST_DOMAINS: &str = "/tenure.directory.v1.DomainService/ListDomains";
const LIST_LIENS: &str = "/tenure.directory.v1.LienService/ListLiens";

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most entries.
    pub size: i64,
    /// The token of the page before, as received.
    pub token: String,
}

/// A part of a list, and the token of the next one; empty at the end.
pub(super) type Part<T> = (Vec<T>, String);

impl UseCases {
    /// `GetDirectory`.
    pub(crate) async fn get_directory(&self, caller: &Caller, id: DirectoryId) -> Result<Directory, Refused> {
        self.require_reading::<ReadDirectory>(caller, id).await?;
        let found = read_one!(self.db, |tx| store::directories::find(tx, id).await)?;
        found.ok_or(Refused::DirectoryNotFound(id))
    }

    /// `ListDirectories`: the operator sees directories that are still being made too, so that a sign-up that hangs
    /// can be seen.
    pub(crate) async fn list_directories(
        &self,
        caller: &Caller,
        page: &Page,
    ) -> Result<Part<Directory>, Refused> {
        require_everywhere::<ListDirectories>(caller, "directories")?;
        let actor = caller.actor();
        let request = PageRequest { method: LIST_DIRECTORIES, actor: &actor, directory: None, scope: &[] };
        let after = self.page_tokens.after_key(&request, &page.token)?;
        let rows = read_one!(self.db, |tx| store::directories::page(tx, after, page.size + 1).await)?;
        Ok(self.page_tokens.cut(&request, rows, page.size, position))
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

    /// `GetDomain`.
    pub(crate) async fn get_domain(&self, caller: &Caller, named: &DomainOf) -> Result<Seen, Refused> {
        self.require_reading::<ReadDomains>(caller, named.directory).await?;
        let missing = || Refused::DomainNotFound(named.name.clone());
        let mut tx = self.db.read().await?;
        let directory = store::directories::find(&mut tx, named.directory).await?.ok_or_else(missing)?;
        let domain = store::domains::find(&mut tx, named.directory, &named.name).await?;
        Ok(domain.ok_or_else(missing)?.seen_in(&directory))
    }

    /// `ListDomains`.
    pub(crate) async fn list_domains(
        &self,
        caller: &Caller,
        directory: DirectoryId,
        page: &Page,
    ) -> Result<Part<Seen>, Refused> {
        self.require_reading::<ReadDomains>(caller, directory).await?;
        let actor = caller.actor();
        let request =
            PageRequest { method: LIST_DOMAINS, actor: &actor, directory: Some(directory), scope: &[] };
        let after = self.page_tokens.after_key(&request, &page.token)?;
        let mut tx = self.db.read().await?;
        let found = store::directories::find(&mut tx, directory).await?;
        let found = found.ok_or(Refused::DirectoryNotFound(directory))?;
        let rows = store::domains::page(&mut tx, directory, after, page.size + 1).await?;
        let key = |domain: &Domain| (domain.create_time.micros(), domain.name.to_string());
        let (domains, next) = self.page_tokens.cut(&request, rows, page.size, key);
        Ok((domains.into_iter().map(|domain| domain.seen_in(&found)).collect(), next))
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
        if store::directories::find(&mut tx, directory).await?.is_none() {
            return Err(Refused::DirectoryNotFound(directory));
        }
        let rows = store::liens::page(&mut tx, directory, after, page.size + 1).await?;
        Ok(self.page_tokens.cut(&request, rows, page.size, |lien| (lien.create_time.micros(), lien.id)))
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

const fn position(directory: &Directory) -> store::directories::Position {
    (directory.create_time.micros(), directory.id)
}
