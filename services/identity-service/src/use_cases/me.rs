//! `GetMe`: who the caller is here, and what follows from it (R-22, "how to know your role").

use std::collections::BTreeSet;

use access::{Caller, Consistency, require_active, roles};
use kernel::Principal;

use super::UseCases;
use super::users::SeenUser;
use crate::domain::refused::Refused;
use crate::domain::role_assignment::RoleAssignment;
use crate::domain::session::Session;
use crate::domain::user::Membership;
use crate::store::role_assignments::Filter;
use crate::store::{self, After};

/// How many directories a person belongs to at most (U-08).
const MOST_MEMBERSHIPS: i64 = 500;
/// There are 123 roles, and each is held once.
const MOST_ASSIGNMENTS: i64 = 1_000;

/// Who the caller is here.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) seen: SeenUser,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) assignments: Vec<RoleAssignment>,
    pub(crate) titles: Vec<String>,
    pub(crate) permissions: BTreeSet<&'static str>,
    pub(crate) session: Session,
}

impl UseCases {
    /// Tells the caller who they are here.
    pub(crate) async fn get_me(&self, caller: &Caller) -> Result<Me, Refused> {
        let now = self.clock.now();
        require_active(&self.judge, caller, Consistency::AtMostFiveSeconds, now).await?;
        let own = caller.require_signed_in()?;
        let (name, directory) = (own.principal, own.principal.directory());
        let user = name.user().ok_or(Refused::UserNotFound(name))?;
        let mut tx = self.db.read().await?;
        let found = store::users::find(&mut tx, directory, user).await?;
        let found = found.ok_or(Refused::UserNotFound(name))?;
        let home: Principal = found.home_user.unwrap_or(name);
        let memberships =
            store::users::memberships(&mut tx, home, After::BEGINNING, MOST_MEMBERSHIPS).await?;
        let filter = Filter { principal: Some(user), role: None };
        let page = (After::BEGINNING, MOST_ASSIGNMENTS);
        let assignments = store::role_assignments::list(&mut tx, directory, &filter, now, page).await?;
        let standing = store::standing::find(&mut tx, name).await?;
        let session = store::sessions::find(&mut tx, directory, own.session).await?;
        let standing = standing.ok_or(Refused::UserNotFound(name))?;
        Ok(Me {
            titles: titles(standing.held(now)),
            permissions: standing.effective_permissions(now),
            seen: SeenUser {
                directory,
                user: found,
                roles: Some(standing.held(now).map(ToOwned::to_owned).collect()),
            },
            memberships,
            assignments,
            session: session.ok_or(Refused::SessionNotFound(name, own.session))?,
        })
    }
}

/// the titles of the roles held, or `User`.
fn titles<'a>(held: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut titles: Vec<String> = held.filter_map(roles::find).map(|role| role.name.clone()).collect();
    titles.sort();
    if titles.is_empty() {
        titles.push("User".to_owned());
    }
    titles
}
