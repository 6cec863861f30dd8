//! Reading people and their memberships.

use std::collections::HashMap;

use access::permission::{ReadMemberships, ReadUsers};
use access::{Caller, Consistency, require, require_active, require_peer};
use kernel::{DirectoryId, Principal, UserId};
use runtime::filter::Condition;

use super::UseCases;
use crate::domain::refused::Refused;
use crate::domain::user::{Membership, User, UserState};
use crate::store::{self, After};

/// A person as one caller sees them.
#[derive(Debug, Clone)]
pub(crate) struct SeenUser {
    pub(crate) directory: DirectoryId,
    pub(crate) user: User,
    /// The roles held; `None` for those who may not see them.
    pub(crate) roles: Option<Vec<String>>,
}

/// Which page of people is asked for.
#[derive(Debug, Clone)]
pub(crate) struct ListUsers {
    pub(crate) directory: DirectoryId,
    pub(crate) filter: Vec<Condition>,
    pub(crate) after: After,
    pub(crate) limit: i64,
}

impl UseCases {
    /// One person: themselves, or whoever members may read.
    pub(crate) async fn get_user(&self, caller: &Caller, name: Principal) -> Result<SeenUser, Refused> {
        let (now, directory) = (self.clock.now(), name.directory());
        let consistency = Consistency::AtMostFiveSeconds;
        let own = caller.signed_in().is_some_and(|own| own.principal == name);
        if own {
            require_active(&self.judge, caller, consistency, now).await?;
        } else {
            require::<ReadUsers>(&self.judge, caller, directory, consistency, now).await?;
        }
        let shows_roles = own || self.reads_roles(caller, directory).await?;
        let user = name.user().ok_or(Refused::UserNotFound(name))?;
        let mut tx = self.db.read().await?;
        let found = store::users::find(&mut tx, directory, user).await?;
        let found = found.ok_or(Refused::UserNotFound(name))?;
        let roles = if shows_roles {
            Some(store::role_assignments::roles_of(&mut tx, directory, user, now).await?)
        } else {
            None
        };
        Ok(SeenUser { directory, user: found, roles })
    }

    /// A page of a directory's people.
    pub(crate) async fn list_users(
        &self,
        caller: &Caller,
        query: &ListUsers,
    ) -> Result<Vec<SeenUser>, Refused> {
        let (now, directory) = (self.clock.now(), query.directory);
        let consistency = Consistency::AtMostFiveSeconds;
        require::<ReadUsers>(&self.judge, caller, directory, consistency, now).await?;
        let shows_roles = self.reads_roles(caller, directory).await?;
        let mut tx = self.db.read().await?;
        let users = store::users::list(&mut tx, directory, &query.filter, query.after, query.limit).await?;
        let mut roles: HashMap<UserId, Vec<String>> = HashMap::new();
        if shows_roles {
            let people: Vec<UserId> = users.iter().map(|user| user.id).collect();
            for (user, role) in
                store::role_assignments::roles_on_page(&mut tx, directory, &people, now).await?
            {
                roles.entry(user).or_default().push(role);
            }
        }
        let own = caller.signed_in().map(|own| own.principal);
        let own_roles = match own.and_then(|own| own.user()) {
            Some(user) if !shows_roles && users.iter().any(|shown| shown.id == user) => {
                Some(store::role_assignments::roles_of(&mut tx, directory, user, now).await?)
            }
            _ => None,
        };
        let seen = |user: User| {
            let is_own = own == Some(user.principal(directory));
            let held = shows_roles.then(|| roles.remove(&user.id).unwrap_or_default());
            let held = held.or_else(|| own_roles.clone().filter(|_| is_own));
            SeenUser { directory, user, roles: held }
        };
        Ok(users.into_iter().map(seen).collect())
    }

    /// A page of the directories that a person belongs to (K43); peers alone ask.
    pub(crate) async fn list_memberships(
        &self,
        caller: &Caller,
        name: Principal,
        after: After,
        limit: i64,
    ) -> Result<Vec<Membership>, Refused> {
        require_peer::<ReadMemberships>(caller, name.directory(), self.clock.now())?;
        let mut tx = self.db.read().await?;
        let user = name.user().ok_or(Refused::UserNotFound(name))?;
        let found = store::users::find(&mut tx, name.directory(), user).await?;
        let found = found.filter(|found| found.state != UserState::Deleted);
        // K20: the row of any directory will do; the one at home leads to all.
        let home = found.ok_or(Refused::UserNotFound(name))?.home_user.unwrap_or(name);
        Ok(store::users::memberships(&mut tx, home, after, limit).await?)
    }
}

/// Where a person stands in the order of lists.
pub(crate) fn place(user: &User) -> After {
    After(user.create_time.micros(), user.id.uuid())
}
