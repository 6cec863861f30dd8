//! P-4: an active directory always has an enabled, non-guest person with a permanent Global Administrator assignment.
//!
//! Who counts is decided by the store in one statement under the guard row; what follows is decided here.

use access::roles;
use kernel::{DirectoryId, Principal, Timestamp};

use super::refused::Refused;
use super::role_assignment::RoleAssignment;

/// Decides whether the assignment may be taken away.
///
/// `others` counts the enabled, non-guest persons beside its holder with a permanent Global Administrator assignment.
pub(crate) fn may_remove(
    assignment: &RoleAssignment,
    directory: DirectoryId,
    caller: Option<Principal>,
    others: i64,
    now: Timestamp,
) -> Result<(), Refused> {
    if assignment.role != roles::GLOBAL_ADMINISTRATOR || !assignment.is_in_force(now) {
        return Ok(());
    }
    // R-02, K17: nobody takes the role from themselves, however many there are.
    if caller.and_then(|caller| caller.user()) == Some(assignment.principal) {
        return Err(Refused::OwnGlobalAdministrator);
    }
    // P-4, K17: one that expires never counted.
    if assignment.expire_time.is_none() && others == 0 {
        return Err(Refused::LastGlobalAdministrator(directory));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{RoleAssignmentId, UserId, new_ids};
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn user(name: &str) -> UserId {
        UserId::from_uuid(new_ids::derive(&[name]))
    }

    fn contoso() -> DirectoryId {
        DirectoryId::from_uuid(new_ids::derive(&["contoso"]))
    }

    fn caller(name: &str) -> Principal {
        Principal::User(contoso(), user(name))
    }

    fn assignment(holder: &str, role: &str, expire_time: Option<Timestamp>) -> RoleAssignment {
        RoleAssignment {
            id: RoleAssignmentId::from_uuid(new_ids::derive(&["assignment"])),
            principal: user(holder),
            role: role.to_owned(),
            create_principal: "operators/x".to_owned(),
            create_time: NOW,
            expire_time,
            revision: 1,
        }
    }

    #[test]
    fn the_last_global_administrator_stays() {
        let last = assignment("ada", roles::GLOBAL_ADMINISTRATOR, None);
        assert!(matches!(
            may_remove(&last, contoso(), Some(caller("bo")), 0, NOW),
            Err(Refused::LastGlobalAdministrator(_))
        ));
        assert!(matches!(
            may_remove(&last, contoso(), None, 0, NOW),
            Err(Refused::LastGlobalAdministrator(_))
        ));
        assert!(may_remove(&last, contoso(), Some(caller("bo")), 1, NOW).is_ok());
    }

    #[test]
    fn r02_nobody_removes_their_own_global_administrator_role() {
        let own = assignment("ada", roles::GLOBAL_ADMINISTRATOR, None);
        assert!(matches!(
            may_remove(&own, contoso(), Some(caller("ada")), 5, NOW),
            Err(Refused::OwnGlobalAdministrator)
        ));
        let other = assignment("ada", roles::BILLING_ADMINISTRATOR, None);
        assert!(may_remove(&other, contoso(), Some(caller("ada")), 0, NOW).is_ok());
    }

    #[test]
    fn k17_an_assignment_that_expires_never_counted() {
        let expiring = assignment("cy", roles::GLOBAL_ADMINISTRATOR, Some(NOW.plus(Duration::from_mins(1))));
        assert!(may_remove(&expiring, contoso(), Some(caller("bo")), 0, NOW).is_ok());
    }
}
