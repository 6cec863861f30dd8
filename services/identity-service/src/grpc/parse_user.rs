//! Requests about people into commands: signing up, creating, reading.
//!
//! Passwords are parsed into types that do not show them; no description repeats one.

use api::identity::v1 as wire;
use kernel::{DirectoryId, Parsed, Principal, Reason, RegionCode, Violations};
use runtime::filter::{self, Allowed, Condition, FieldKind};
use runtime::page_token::page_size;

use super::parse::{directory, user};
use crate::domain::password::Password;
use crate::domain::sign_up::{AgreementType, NewDirectory};
use crate::domain::user::{FirstPassword, Profile};
use crate::domain::user_principal_name::{LocalPart, NameInvalid, UserPrincipalName};
use crate::use_cases::create_user::CreateUser;
use crate::use_cases::sign_up::{AdminName, SignUpCommand};

const MOST_DISPLAY_NAME: usize = 256;
const MOST_PART_OF_NAME: usize = 64;
const MOST_MAIL: usize = 254;
const MOST_LANGUAGE: usize = 35;
const MOST_LABEL: usize = 32;
const PROVEN: &str = "nothing was wrong";

/// U-05, U-06: what is told of a person.
fn profile(violations: &mut Violations, prefix: &str, user: &wire::User) -> Option<Profile> {
    let field = |name: &str| format!("{prefix}.{name}");
    let display_name = violations.display_text(&field("display_name"), &user.display_name, MOST_DISPLAY_NAME);
    let given_name = violations.optional_text(&field("given_name"), &user.given_name, MOST_PART_OF_NAME);
    let family_name = violations.optional_text(&field("family_name"), &user.family_name, MOST_PART_OF_NAME);
    let mail = violations.optional_text(&field("mail"), &user.mail, MOST_MAIL);
    if !user.mail.is_empty() && !user.mail.trim_matches('@').contains('@') {
        violations.add(&field("mail"), "must have the form local@domain");
    }
    let region_code = region(violations, &field("region_code"), &user.region_code);
    let language_code = language(violations, &field("language_code"), &user.language_code);
    Some(Profile {
        display_name: display_name?,
        given_name: given_name?,
        family_name: family_name?,
        mail: mail?,
        region_code: region_code?,
        language_code: language_code?,
    })
}

fn region(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    violations.text::<RegionCode>(field, text).map(|code| code.to_string())
}

/// The form of a BCP 47 tag, not whether its parts are registered.
fn language(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_tag = text.len() <= MOST_LANGUAGE && text.split('-').all(part);
    if !text.is_empty() && !is_tag {
        violations.add(field, "must be a BCP 47 tag such as en-GB, of at most 35 characters");
        return None;
    }
    Some(text.to_owned())
}

/// U-20: its own reason, so that a client can say what to do.
fn password(violations: &mut Violations, field: &str, text: &str) -> Option<Password> {
    match Password::parse(text) {
        Ok(password) => Some(password),
        Err(weak) => {
            let reason = Reason::new(wire::ErrorReason::PasswordTooWeak.reason());
            violations.add_reason(field, weak.to_string(), reason);
            None
        }
    }
}

/// A DNS label; the directory context has the last word.
fn label(violations: &mut Violations, field: &str, text: &str) -> Option<String> {
    let label = text.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let inner = !label.starts_with('-') && !label.ends_with('-');
    if label.is_empty() || label.len() > MOST_LABEL || !inner || !label.bytes().all(allowed) {
        violations.add(field, "must have 1 to 32 letters, digits and inner hyphens");
        return None;
    }
    Some(label)
}

fn admin_name(violations: &mut Violations, text: &str, label: Option<&str>) -> Option<AdminName> {
    const FIELD: &str = "admin_user.user_principal_name";
    if !text.contains('@') {
        return violations.take(FIELD, LocalPart::parse(text)).map(AdminName::Local);
    }
    let name: Result<UserPrincipalName, NameInvalid> = UserPrincipalName::parse(text);
    let name = violations.take(FIELD, name)?;
    if label.is_some_and(|label| !name.domain().starts_with(&format!("{label}."))) {
        violations.add(FIELD, "must be under the initial domain, or have no domain");
        return None;
    }
    Some(AdminName::Full(name))
}

pub(super) fn sign_up(request: &wire::SignUpRequest) -> Parsed<SignUpCommand> {
    let mut violations = Violations::new();
    let display_name = violations.display_text(
        "organization_display_name",
        &request.organization_display_name,
        MOST_DISPLAY_NAME,
    );
    let label = label(&mut violations, "domain_label", &request.domain_label);
    let region_code = region(&mut violations, "region_code", &request.region_code);
    let agreement_type = match wire::AgreementType::try_from(request.agreement_type) {
        Ok(wire::AgreementType::Unspecified | wire::AgreementType::SelfService) => {
            Some(AgreementType::SelfService)
        }
        Ok(wire::AgreementType::Enterprise) => Some(AgreementType::Enterprise),
        Err(_) => {
            violations.add("agreement_type", "is not known");
            None
        }
    };
    let (mut name, mut about) = (None, None);
    if let Some(user) = &request.admin_user {
        name = admin_name(&mut violations, &user.user_principal_name, label.as_deref());
        about = profile(&mut violations, "admin_user", user);
        if user.password_profile.is_some() {
            violations
                .add("admin_user.password_profile", "must be unset: the password has a field of its own");
        }
        member_type(&mut violations, "admin_user.user_type", user);
    } else {
        violations.add("admin_user", "must be set");
    }
    let password = password(&mut violations, "password", &request.password);
    let request_id = violations.required_request_id(&request.request_id);
    violations.finish()?;
    Ok(SignUpCommand {
        request_id: request_id.expect(PROVEN),
        new_directory: NewDirectory {
            display_name: display_name.expect(PROVEN),
            label: label.expect(PROVEN),
            region_code: region_code.expect(PROVEN),
            agreement_type: agreement_type.expect(PROVEN),
        },
        name: name.expect(PROVEN),
        profile: about.expect(PROVEN),
        password: password.expect(PROVEN),
    })
}

/// Guests are not created but invited (U-10).
fn member_type(violations: &mut Violations, field: &str, user: &wire::User) {
    match wire::UserType::try_from(user.user_type) {
        Ok(wire::UserType::Unspecified | wire::UserType::Member) => {}
        Ok(wire::UserType::Guest) | Err(_) => {
            violations.add(field, "must be USER_TYPE_MEMBER or unset: guests are invited");
        }
    }
}

pub(super) fn create_user(request: &wire::CreateUserRequest) -> Parsed<CreateUser> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "parent", &request.parent);
    let (mut name, mut about, mut first) = (None, None, None);
    if let Some(user) = &request.user {
        let read = UserPrincipalName::parse(&user.user_principal_name);
        name = violations.take("user.user_principal_name", read);
        about = profile(&mut violations, "user", user);
        member_type(&mut violations, "user.user_type", user);
        if let Some(given) = &user.password_profile {
            let password = password(&mut violations, "user.password_profile.password", &given.password);
            first =
                password.map(|password| FirstPassword { password, change_required: given.change_required });
        }
    } else {
        violations.add("user", "must be set");
    }
    violations.request_id(&request.request_id);
    violations.finish()?;
    Ok(CreateUser {
        directory: directory.expect(PROVEN),
        name: name.expect(PROVEN),
        profile: about.expect(PROVEN),
        password: first,
        validate_only: request.validate_only,
    })
}

/// A user's name, with `me` for the caller's own.
pub(super) fn get_user(name: &str, own: Option<Principal>) -> Parsed<Principal> {
    let mut violations = Violations::new();
    let me =
        own.filter(|own| name == "users/me" || name == format!("directories/{}/users/me", own.directory()));
    let read = me.or_else(|| user(&mut violations, "name", name));
    violations.finish()?;
    Ok(read.expect(PROVEN))
}

/// A page of people, before its token is read.
#[derive(Debug)]
pub(super) struct UserPage {
    pub(super) directory: DirectoryId,
    pub(super) filter: Vec<Condition>,
    pub(super) size: i64,
}

const USER_FILTER: &[Allowed] = &[
    Allowed { field: "state", kind: FieldKind::Values(&["STATE_ACTIVE", "STATE_DISABLED", "STATE_DELETED"]) },
    Allowed { field: "user_type", kind: FieldKind::Values(&["USER_TYPE_MEMBER", "USER_TYPE_GUEST"]) },
    Allowed { field: "display_name", kind: FieldKind::Prefix },
    Allowed { field: "user_principal_name", kind: FieldKind::Prefix },
];

pub(super) fn list_users(request: &wire::ListUsersRequest) -> Parsed<UserPage> {
    let mut violations = Violations::new();
    let directory = directory(&mut violations, "parent", &request.parent);
    let size = page_size(&mut violations, request.page_size);
    violations.finish()?;
    let filter = filter::parse(&request.filter, USER_FILTER)?;
    Ok(UserPage { directory: directory.expect(PROVEN), filter, size: size.expect(PROVEN) })
}

pub(super) fn list_memberships(request: &wire::ListMembershipsRequest) -> Parsed<(Principal, i64)> {
    let mut violations = Violations::new();
    let name = user(&mut violations, "user", &request.user);
    let size = page_size(&mut violations, request.page_size);
    violations.finish()?;
    Ok((name.expect(PROVEN), size.expect(PROVEN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Refusal;

    fn fields(refusal: &Refusal) -> Vec<&str> {
        refusal.violations().iter().map(|violation| violation.field.as_str()).collect()
    }

    fn good_sign_up() -> wire::SignUpRequest {
        wire::SignUpRequest {
            organization_display_name: "Contoso".into(),
            domain_label: "Contoso".into(),
            admin_user: Some(wire::User {
                user_principal_name: "ada".into(),
                display_name: "Ada".into(),
                ..Default::default()
            }),
            password: "Passw0rd!".into(),
            request_id: "8d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".into(),
            ..Default::default()
        }
    }

    #[test]
    fn every_wrong_field_of_a_sign_up_is_told_at_once() {
        let request = wire::SignUpRequest {
            domain_label: "-contoso".into(),
            region_code: "us".into(),
            agreement_type: 9,
            admin_user: Some(wire::User {
                user_principal_name: "ada.".into(),
                mail: "ada".into(),
                language_code: "en_GB".into(),
                password_profile: Some(wire::PasswordProfile::default()),
                user_type: wire::UserType::Guest.into(),
                ..Default::default()
            }),
            password: "s3cret".into(),
            ..Default::default()
        };
        let refusal = sign_up(&request).unwrap_err();
        assert_eq!(
            fields(&refusal),
            [
                "organization_display_name",
                "domain_label",
                "region_code",
                "agreement_type",
                "admin_user.user_principal_name",
                "admin_user.display_name",
                "admin_user.mail",
                "admin_user.language_code",
                "admin_user.password_profile",
                "admin_user.user_type",
                "password",
                "request_id"
            ]
        );
        assert!(!format!("{refusal:?}").contains("s3cret"), "no description repeats a password");
    }

    #[test]
    fn a_weak_password_alone_has_its_own_reason() {
        let request = wire::SignUpRequest { password: "password".into(), ..good_sign_up() };
        assert_eq!(sign_up(&request).unwrap_err().reason().as_str(), "PASSWORD_TOO_WEAK");
    }

    #[test]
    fn the_first_user_is_named_in_full_or_by_the_local_part() {
        assert_eq!(sign_up(&good_sign_up()).unwrap().new_directory.label, "contoso");
        let named = |name: &str| {
            let mut request = good_sign_up();
            request.admin_user.as_mut().unwrap().user_principal_name = name.into();
            sign_up(&request)
        };
        assert!(matches!(named("ada@contoso.tenure.internal").unwrap().name, AdminName::Full(_)));
        assert_eq!(
            fields(&named("ada@fabrikam.tenure.internal").unwrap_err()),
            ["admin_user.user_principal_name"]
        );
    }

    #[test]
    fn every_wrong_field_of_a_new_user_is_told_at_once() {
        let request = wire::CreateUserRequest {
            parent: "directories/".into(),
            user: Some(wire::User {
                user_principal_name: "nobody".into(),
                display_name: "x".repeat(257),
                given_name: "y".repeat(65),
                region_code: "XX".into(),
                user_type: wire::UserType::Guest.into(),
                password_profile: Some(wire::PasswordProfile {
                    password: "short".into(),
                    change_required: false,
                }),
                ..Default::default()
            }),
            request_id: "1".into(),
            ..Default::default()
        };
        assert_eq!(
            fields(&create_user(&request).unwrap_err()),
            [
                "parent",
                "user.user_principal_name",
                "user.display_name",
                "user.given_name",
                "user.region_code",
                "user.user_type",
                "user.password_profile.password",
                "request_id"
            ]
        );
    }

    #[test]
    fn me_is_the_caller_in_the_callers_directory_alone() {
        let own: Principal =
            "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6"
                .parse()
                .unwrap();
        assert_eq!(get_user("users/me", Some(own)).unwrap(), own);
        assert_eq!(get_user(&format!("directories/{}/users/me", own.directory()), Some(own)).unwrap(), own);
        assert!(get_user("users/me", None).is_err());
        assert!(get_user("directories/3d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/me", Some(own)).is_err());
    }
}
