//! Reading who holds which directory role.

use access::permission::ReadRoleAssignments;
use access::{Caller, Consistency, require, require_active};
use kernel::{DirectoryId, Principal};

use super::UseCases;
use crate::domain::refused::Refused;
use crate::domain::role_assignment::RoleAssignment;
use crate::store::{self, After, role_assignments::Filter};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct ListRoleAssignments {
    pub(crate) directory: DirectoryId,
    pub(crate) principal: Option<Principal>,
    pub(crate) role: Option<String>,
    pub(crate) after: After,
    pub(crate) limit: i64,
}

impl UseCases {
    /// A page of assignments: everybody's own, and all of them for whoever may read them.
    pub(crate) async fn list_role_assignments(
        &self,
        caller: &Caller,
        query: &ListRoleAssignments,
    ) -> Result<Vec<RoleAssignment>, Refused> {
        let (now, consistency) = (self.clock.now(), Consistency::AtMostFiveSeconds);
        let own = caller.signed_in().map(|own| own.principal);
        if own.is_some_and(|own| own.directory() == query.directory && query.principal == Some(own)) {
            require_active(&self.judge, caller, consistency, now).await?;
        } else {
            require::<ReadRoleAssignments>(&self.judge, caller, query.directory, consistency, now).await?;
        }
        // A principal of another directory, or one that is no user, holds nothing here.
        let here =
            |principal: Principal| principal.user().filter(|_| principal.directory() == query.directory);
        let principal = query.principal.map(here);
        if principal == Some(None) {
            return Ok(Vec::new());
        }
        let filter = Filter { principal: principal.flatten(), role: query.role.clone() };
        let mut tx = self.db.read().await?;
        let page = (query.after, query.limit);
        Ok(store::role_assignments::list(&mut tx, query.directory, &filter, now, page).await?)
    }
}
