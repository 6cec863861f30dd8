//! May this principal, now (K3)? The facts of one statement in, the answer out.
//!
//! Which permission a method demands is not told here.

use std::collections::BTreeSet;

use access::{Denial, Question, roles};
use kernel::Timestamp;

use super::directory::DirectoryState;
use super::user::{UserState, UserType};

/// What is known of a principal at one moment, all of it from one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// `None` when the directory is not known.
    pub(crate) directory: Option<DirectoryState>,
    pub(crate) state: UserState,
    pub(crate) user_type: UserType,
    /// For a guest: the state of the row at home, `None` when it is gone (K20).
    pub(crate) home: Option<UserState>,
    /// The session that was asked about, where it is the principal's.
    pub(crate) session: Option<SessionFacts>,
    /// The roles assigned, each once, in the order of their slugs; whether one has expired is judged at use.
    pub(crate) roles: Vec<AssignedRole>,
    /// The principal's count of changes (K41).
    pub(crate) revision: i64,
}

/// A role, and until when it is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssignedRole {
    pub(crate) slug: String,
    pub(crate) expire_time: Option<Timestamp>,
}

/// What decides whether a session is live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionFacts {
    pub(crate) revoked: bool,
    pub(crate) expire_time: Timestamp,
}

impl Standing {
    /// The pseudo-role that everybody in the directory holds (K47).
    pub(crate) const fn pseudo_role(&self) -> &'static str {
        match self.user_type {
            UserType::Member => roles::MEMBER,
            UserType::Guest => roles::GUEST,
        }
    }

    /// The slugs of the roles held at this moment, in order.
    pub(crate) fn held(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let live = move |role: &&AssignedRole| role.expire_time.is_none_or(|end| end > now);
        self.roles.iter().filter(live).map(|role| role.slug.as_str())
    }

    /// What the roles held allow, with what every member or guest may: each once, in order.
    pub(crate) fn effective_permissions(&self, now: Timestamp) -> BTreeSet<&'static str> {
        let held = self.held(now).flat_map(roles::permissions_of);
        held.chain(roles::permissions_of(self.pseudo_role())).collect()
    }
}

/// The first cause for a no, in the order of the API; and the asked or sufficient roles for a yes.
pub(crate) fn decide(
    standing: Option<&Standing>,
    question: &Question,
    now: Timestamp,
) -> Result<Vec<String>, Denial> {
    // P-11: the other directory is never looked into.
    if question.principal.directory() != question.directory {
        return Err(Denial::OtherDirectory);
    }
    let standing = standing.ok_or(Denial::PrincipalNotFound)?;
    active(standing)?;
    if question.session.is_some() {
        let live = standing.session.is_some_and(|facts| !facts.revoked && facts.expire_time > now);
        if !live {
            return Err(Denial::SessionRevoked);
        }
    }
    if standing.directory != Some(DirectoryState::Active) {
        return Err(Denial::DirectoryNotActive);
    }
    let (wanted_roles, wanted) = (&question.any_of_roles, &question.any_of_permissions);
    if wanted_roles.is_empty() && wanted.is_empty() {
        return Ok(Vec::new());
    }
    let contains = |role: &str| wanted.iter().any(|permission| roles::contains(role, permission));
    let does = |role: &&str| wanted_roles.iter().any(|wanted| wanted == role) || contains(role);
    let matched: Vec<String> = standing.held(now).filter(does).map(ToOwned::to_owned).collect();
    if matched.is_empty() && !contains(standing.pseudo_role()) {
        return Err(Denial::RoleMissing);
    }
    Ok(matched)
}

/// K20: a guest is active when both rows are.
fn active(standing: &Standing) -> Result<(), Denial> {
    let home = match standing.user_type {
        UserType::Member => UserState::Active,
        UserType::Guest => standing.home.unwrap_or(UserState::Deleted),
    };
    match (standing.state, home) {
        (UserState::Deleted, _) | (_, UserState::Deleted) => Err(Denial::PrincipalDeleted),
        (UserState::Disabled, _) | (_, UserState::Disabled) => Err(Denial::PrincipalDisabled),
        (UserState::Active, UserState::Active) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::permission::{AttachOffice365, Permission as _, ReadUsers, SignUpAzure};
    use access::{Consistency, Denial};
    use kernel::{DirectoryId, Principal, SessionId, UserId, new_ids};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn directory(name: &str) -> DirectoryId {
        DirectoryId::from_uuid(new_ids::derive(&[name]))
    }

    fn question(permission: Option<&str>) -> Question {
        let contoso = directory("contoso");
        Question {
            directory: contoso,
            principal: Principal::User(contoso, UserId::from_uuid(new_ids::derive(&["ada"]))),
            session: Some(SessionId::from_uuid(new_ids::derive(&["session"]))),
            any_of_roles: Vec::new(),
            any_of_permissions: permission.into_iter().map(ToOwned::to_owned).collect(),
            consistency: Consistency::Fresh,
        }
    }

    fn permanent(slug: &str) -> AssignedRole {
        AssignedRole { slug: slug.to_owned(), expire_time: None }
    }

    fn member(held: &[&str]) -> Standing {
        Standing {
            directory: Some(DirectoryState::Active),
            state: UserState::Active,
            user_type: UserType::Member,
            home: None,
            session: Some(SessionFacts { revoked: false, expire_time: Timestamp::from_seconds(2_000) }),
            roles: held.iter().map(|slug| permanent(slug)).collect(),
            revision: 3,
        }
    }

    #[test]
    fn the_first_cause_found_is_told() {
        let mut facts = member(&[]);
        let ask = question(Some(AttachOffice365::NAME));
        assert_eq!(decide(Some(&facts), &ask, NOW), Err(Denial::RoleMissing));
        facts.directory = Some(DirectoryState::Suspended);
        assert_eq!(decide(Some(&facts), &ask, NOW), Err(Denial::DirectoryNotActive));
        facts.session = None;
        assert_eq!(decide(Some(&facts), &ask, NOW), Err(Denial::SessionRevoked));
        facts.state = UserState::Disabled;
        assert_eq!(decide(Some(&facts), &ask, NOW), Err(Denial::PrincipalDisabled));
        facts.state = UserState::Deleted;
        assert_eq!(decide(Some(&facts), &ask, NOW), Err(Denial::PrincipalDeleted));
        assert_eq!(decide(None, &ask, NOW), Err(Denial::PrincipalNotFound));
        let elsewhere = Question { directory: directory("fabrikam"), ..ask };
        assert_eq!(decide(Some(&member(&[])), &elsewhere, NOW), Err(Denial::OtherDirectory));
    }

    #[test]
    fn a_role_or_membership_gives_the_permission() {
        let administrator = member(&[roles::BILLING_ADMINISTRATOR]);
        let attach = question(Some(AttachOffice365::NAME));
        assert_eq!(decide(Some(&administrator), &attach, NOW), Ok(vec!["billing-administrator".to_owned()]));
        let sign_up = question(Some(SignUpAzure::NAME));
        assert_eq!(decide(Some(&member(&[])), &sign_up, NOW), Ok(Vec::new()));
    }

    #[test]
    fn a_session_ends_by_the_clock() {
        let facts = member(&[]);
        assert!(decide(Some(&facts), &question(None), NOW).is_ok());
        let end = Timestamp::from_seconds(2_000);
        assert_eq!(decide(Some(&facts), &question(None), end), Err(Denial::SessionRevoked));
    }

    #[test]
    fn a_role_ends_by_the_clock() {
        let end = Timestamp::from_seconds(1_500);
        let until = AssignedRole { expire_time: Some(end), ..permanent(roles::BILLING_ADMINISTRATOR) };
        let facts = Standing { roles: vec![until], ..member(&[]) };
        let attach = question(Some(AttachOffice365::NAME));
        assert!(decide(Some(&facts), &attach, NOW).is_ok());
        assert_eq!(decide(Some(&facts), &attach, end), Err(Denial::RoleMissing));
        assert_eq!(facts.held(NOW).count() + facts.held(end).count(), 1);
    }

    #[test]
    fn k20_a_guest_is_active_when_both_rows_are_and_reads_nobody() {
        let guest = |home| Standing { user_type: UserType::Guest, home, ..member(&[]) };
        let ask = question(None);
        assert!(decide(Some(&guest(Some(UserState::Active))), &ask, NOW).is_ok());
        assert_eq!(
            decide(Some(&guest(Some(UserState::Disabled))), &ask, NOW),
            Err(Denial::PrincipalDisabled)
        );
        assert_eq!(decide(Some(&guest(None)), &ask, NOW), Err(Denial::PrincipalDeleted));
        let read = question(Some(ReadUsers::NAME));
        assert_eq!(decide(Some(&guest(Some(UserState::Active))), &read, NOW), Err(Denial::RoleMissing));
    }

    #[test]
    fn an_asked_role_is_matched_by_its_slug_alone() {
        let ask = Question {
            any_of_roles: vec![
                roles::GLOBAL_ADMINISTRATOR.to_owned(),
                roles::BILLING_ADMINISTRATOR.to_owned(),
            ],
            ..question(None)
        };
        assert_eq!(decide(Some(&member(&[roles::GLOBAL_READER])), &ask, NOW), Err(Denial::RoleMissing));
        assert_eq!(
            decide(Some(&member(&[roles::BILLING_ADMINISTRATOR])), &ask, NOW),
            Ok(vec![roles::BILLING_ADMINISTRATOR.to_owned()])
        );
    }
}
