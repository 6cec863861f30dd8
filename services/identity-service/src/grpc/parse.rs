//! Requests of the session and role methods into commands; every wrong field is told at once.
//!
//! People are parsed in `parse_user`. What needs state is decided later.

use access::{Consistency, Question};
use api::identity::v1 as wire;
use api::types::v1::read_consistency::Level;
use kernel::{DirectoryId, Etag, Parsed, Principal, RoleAssignmentId, SessionId, Violations};
use runtime::filter::{self, Allowed, FieldKind};
use runtime::page_token::page_size;
use runtime::wire::read_timestamp;

use crate::domain::directory::{DirectoryState, Told};
use crate::domain::password::ClaimedPassword;
use crate::use_cases::apply_directory_state::ApplyDirectoryState;
use crate::use_cases::create_role_assignment::CreateRoleAssignment;
use crate::use_cases::delete_role_assignment::DeleteRoleAssignment;
use crate::use_cases::revoke_session::RevokeSession;
use crate::use_cases::sign_in::SignInCommand;

/// The longest user principal name that is looked for (U-02).
const MOST_NAME: usize = 113;
const MOST_CLIENT_DESCRIPTION: usize = 256;
/// The most roles, and the most permissions, of one question.
const MOST_ASKED: usize = 100;
/// The session that does not exist.
const NOBODYS_SESSION: SessionId = SessionId::from_uuid(uuid::Uuid::nil());
const PRINCIPAL_FORM: &str = "must have the form directories/*/users/* or directories/*/serviceAccounts/*";
const ROLE_FORM: &str = "must have the form directoryRoles/*";
const PROVEN: &str = "nothing was wrong";

/// `directories/*`.
pub(super) fn directory(violations: &mut Violations, field: &str, text: &str) -> Option<DirectoryId> {
    violations.name(field, text, "directories/*")
}

/// `directories/*/users/*`.
pub(super) fn user(violations: &mut Violations, field: &str, text: &str) -> Option<Principal> {
    let (directory, user) = violations.nested_name(field, text, "directories/*/users/*")?;
    Some(Principal::User(directory, user))
}

/// A user or a service account.
fn principal(violations: &mut Violations, field: &str, text: &str) -> Option<Principal> {
    let read = text.parse().ok();
    if read.is_none() {
        violations.add(field, PRINCIPAL_FORM);
    }
    read
}

/// `directories/*/users/*/sessions/*`.
fn session(violations: &mut Violations, field: &str, text: &str) -> Option<(Principal, SessionId)> {
    let read = text.rsplit_once("/sessions/").and_then(|(principal, session)| {
        let principal: Principal = principal.parse().ok()?;
        principal.user()?;
        Some((principal, session.parse().ok()?))
    });
    if read.is_none() {
        violations.add(field, "must have the form directories/*/users/*/sessions/*");
    }
    read
}

/// `directoryRoles/*`; whether there is such a role is not asked here.
fn role(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    let slug = slug(text);
    if slug.is_none() {
        violations.add(field, ROLE_FORM);
    }
    slug.map(ToOwned::to_owned)
}

fn slug(name: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let slug = name.strip_prefix("directoryRoles/")?;
    ((1..=100).contains(&slug.len()) && slug.bytes().all(allowed)).then_some(slug)
}

pub(super) fn apply_directory_state(
    request: &wire::ApplyDirectoryStateRequest,
) -> Parsed<ApplyDirectoryState> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "directory", &request.directory);
    let state = match wire::DirectoryState::try_from(request.state) {
        Ok(wire::DirectoryState::Active) => Some(DirectoryState::Active),
        Ok(wire::DirectoryState::Suspended) => Some(DirectoryState::Suspended),
        Ok(wire::DirectoryState::Deleted) => Some(DirectoryState::Deleted),
        Ok(wire::DirectoryState::Unspecified) | Err(_) => None,
    };
    if state.is_none() {
        violations.add("state", "must be a value of DirectoryState");
    }
    if request.revision < 1 {
        violations.add("revision", "must be at least 1");
    }
    violations.finish()?;
    let told = Told { state: state.expect(PROVEN), revision: request.revision };
    Ok(ApplyDirectoryState { directory: directory.expect(PROVEN), told })
}

pub(super) fn sign_in(request: wire::SignInRequest) -> Parsed<SignInCommand> {
    let mut violations = Violations::new();
    let name = &request.user_principal_name;
    if name.is_empty() || name.chars().count() > MOST_NAME {
        violations.add("user_principal_name", "must have 1 to 113 characters");
    }
    if request.password.is_empty() {
        violations.add("password", "must not be empty");
    }
    let client_description =
        violations.optional_text("client_description", &request.client_description, MOST_CLIENT_DESCRIPTION);
    violations.finish()?;
    Ok(SignInCommand {
        password: ClaimedPassword::new(&request.password),
        name: request.user_principal_name,
        client_description: client_description.expect(PROVEN),
    })
}

pub(super) fn refresh_token(request: wire::RefreshSessionRequest) -> Parsed<String> {
    let mut violations = Violations::new();
    if request.refresh_token.is_empty() || request.refresh_token.chars().count() > 1024 {
        violations.add("refresh_token", "must have 1 to 1024 characters");
    }
    violations.finish()?;
    Ok(request.refresh_token)
}

pub(super) fn revoke_session(request: &wire::RevokeSessionRequest) -> Parsed<RevokeSession> {
    let mut violations = Violations::new();
    let name = session(&mut violations, "name", &request.name);
    violations.finish()?;
    let (principal, session) = name.expect(PROVEN);
    Ok(RevokeSession { principal, session })
}

pub(super) fn create_role_assignment(
    request: &wire::CreateRoleAssignmentRequest,
) -> Parsed<CreateRoleAssignment> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "parent", &request.parent);
    violations.request_id(&request.request_id);
    let (mut slug, mut holder, mut expire_time) = (None, None, None);
    if let Some(given) = &request.role_assignment {
        slug = role(&mut violations, "role_assignment.role", &given.role);
        holder = principal(&mut violations, "role_assignment.principal", &given.principal);
        expire_time = given.expire_time.and_then(read_timestamp);
        if given.expire_time.is_some() && expire_time.is_none() {
            violations.add("role_assignment.expire_time", "must be a timestamp from year 1 to 9999");
        }
    } else {
        violations.add("role_assignment", "must be set");
    }
    violations.finish()?;
    Ok(CreateRoleAssignment {
        directory: directory.expect(PROVEN),
        principal: holder.expect(PROVEN),
        role: slug.expect(PROVEN),
        expire_time,
        allow_existing: request.allow_existing,
    })
}

pub(super) fn delete_role_assignment(
    request: &wire::DeleteRoleAssignmentRequest,
) -> Parsed<DeleteRoleAssignment> {
    let mut violations = Violations::new();
    let name: Option<(DirectoryId, RoleAssignmentId)> =
        violations.nested_name("name", &request.name, "directories/*/roleAssignments/*");
    violations.request_id(&request.request_id);
    violations.finish()?;
    let (directory, id) = name.expect(PROVEN);
    let etag = Etag::received(request.etag.clone());
    Ok(DeleteRoleAssignment { directory, id, etag, allow_missing: request.allow_missing })
}

/// A page of role assignments, before its token is read.
#[derive(Debug)]
pub(super) struct RoleAssignmentPage {
    pub(super) directory: DirectoryId,
    pub(super) principal: Option<Principal>,
    pub(super) role: Option<String>,
    pub(super) size: i64,
}

const ROLE_ASSIGNMENT_FILTER: &[Allowed] = &[
    Allowed {
        field: "principal",
        kind: FieldKind::Equals { form: PRINCIPAL_FORM, fits: |text| text.parse::<Principal>().is_ok() },
    },
    Allowed { field: "role", kind: FieldKind::Equals { form: ROLE_FORM, fits: |text| slug(text).is_some() } },
];

pub(super) fn list_role_assignments(
    request: &wire::ListRoleAssignmentsRequest,
) -> Parsed<RoleAssignmentPage> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "parent", &request.parent);
    let size = page_size(&mut violations, request.page_size);
    violations.finish()?;
    let mut page = RoleAssignmentPage {
        directory: directory.expect(PROVEN),
        principal: None,
        role: None,
        size: size.expect(PROVEN),
    };
    for condition in filter::parse(&request.filter, ROLE_ASSIGNMENT_FILTER)? {
        match condition.field {
            "principal" => page.principal = condition.value.parse().ok(),
            _ => page.role = slug(&condition.value).map(ToOwned::to_owned),
        }
    }
    Ok(page)
}

/// What is asked of a judge. An unknown role is wrong in itself: it is a misspelling, and a no would hide it.
pub(super) fn check_directory_role(request: &wire::CheckDirectoryRoleRequest) -> Parsed<Question> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "directory", &request.directory);
    let principal = principal(&mut violations, "principal", &request.principal);
    let session = match request.session.as_str() {
        "" => None,
        text => session(&mut violations, "session", text).map(|(holder, session)| {
            // Somebody else's session is none of the principal's, whatever its id.
            if Some(holder) == principal { session } else { NOBODYS_SESSION }
        }),
    };
    for (field, count) in [
        ("any_of_roles", request.any_of_roles.len()),
        ("any_of_permissions", request.any_of_permissions.len()),
    ] {
        if count > MOST_ASKED {
            violations.add(field, format!("must have at most {MOST_ASKED} entries"));
        }
    }
    let mut any_of_roles = Vec::new();
    for (index, name) in request.any_of_roles.iter().take(MOST_ASKED).enumerate() {
        let field = format!("any_of_roles[{index}]");
        let Some(slug) = role(&mut violations, &field, name) else { continue };
        if access::roles::find(&slug).is_none() {
            violations.add(&field, "is no directory role");
        }
        any_of_roles.push(slug);
    }
    for (index, permission) in request.any_of_permissions.iter().take(MOST_ASKED).enumerate() {
        let field = format!("any_of_permissions[{index}]");
        violations.display_text(&field, permission, 256);
    }
    violations.finish()?;
    let level = request.consistency.and_then(|consistency| consistency.level);
    Ok(Question {
        directory: directory.expect(PROVEN),
        principal: principal.expect(PROVEN),
        session,
        any_of_roles,
        any_of_permissions: request.any_of_permissions.clone(),
        consistency: match level {
            Some(Level::MinimizeLatency(true)) => Consistency::AtMostFiveSeconds,
            Some(Level::MinimizeLatency(false) | Level::FullyConsistent(_)) | None => Consistency::Fresh,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Refusal;

    fn fields(refusal: &Refusal) -> Vec<&str> {
        refusal.violations().iter().map(|violation| violation.field.as_str()).collect()
    }

    #[test]
    fn every_wrong_field_of_a_role_assignment_is_told_at_once() {
        let request = wire::CreateRoleAssignmentRequest {
            parent: "directories/x".into(),
            role_assignment: Some(wire::DirectoryRoleAssignment {
                role: "directoryRoles/Global Admin".into(),
                principal: "users/me".into(),
                expire_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..Default::default()
            }),
            request_id: "again".into(),
            ..Default::default()
        };
        let refusal = create_role_assignment(&request).unwrap_err();
        assert_eq!(
            fields(&refusal),
            [
                "parent",
                "request_id",
                "role_assignment.role",
                "role_assignment.principal",
                "role_assignment.expire_time"
            ]
        );
    }

    #[test]
    fn a_question_with_unknown_roles_is_wrong_in_itself() {
        let request = wire::CheckDirectoryRoleRequest {
            directory: "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".into(),
            principal: "nobody".into(),
            session: "sessions/1".into(),
            any_of_roles: vec!["directoryRoles/emperor".into(), "emperor".into()],
            ..Default::default()
        };
        let refusal = check_directory_role(&request).unwrap_err();
        assert_eq!(fields(&refusal), ["principal", "session", "any_of_roles[0]", "any_of_roles[1]"]);
    }

    #[test]
    fn signing_in_needs_a_name_and_a_password_and_nothing_of_their_form() {
        let refusal = sign_in(wire::SignInRequest::default()).unwrap_err();
        assert_eq!(fields(&refusal), ["user_principal_name", "password"]);
        let odd = wire::SignInRequest {
            user_principal_name: "not a name".into(),
            password: "\0".repeat(9_000),
            ..Default::default()
        };
        assert_eq!(sign_in(odd).unwrap().password.expose().len(), 1024);
    }

    #[test]
    fn a_list_of_assignments_is_filtered_by_principal_and_role() {
        let request = |filter: &str| wire::ListRoleAssignmentsRequest {
            parent: "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".into(),
            filter: filter.into(),
            ..Default::default()
        };
        let page = list_role_assignments(&request("role = \"directoryRoles/global-administrator\"")).unwrap();
        assert_eq!(page.role.as_deref(), Some("global-administrator"));
        for wrong in [
            "role != \"directoryRoles/x\"",
            "role = \"x\"",
            "principal = \"x\"",
            "principal = \"directories/x/users/y\"",
            "principal = \"a\0b\"",
            "etag = \"x\"",
            "OR",
        ] {
            let refusal = list_role_assignments(&request(wrong)).unwrap_err();
            assert_eq!(refusal.reason(), kernel::reason::FILTER_INVALID, "{wrong}");
            assert!(matches!(refusal.metadata(), [("position", _), ("cause", _)]), "{wrong}: {refusal:?}");
        }
    }
}
