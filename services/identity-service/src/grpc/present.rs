//! Records into messages; what a caller may not see arrives here as absent already.

use access::roles::Role;
use access::{Denial, Judgement, Question};
use api::identity::v1 as wire;
use kernel::{DirectoryId, Etag, Principal, Timestamp};
use runtime::wire::timestamp;

use crate::domain::directory::{DirectoryState, Told};
use crate::domain::role_assignment::RoleAssignment;
use crate::domain::session::Session;
use crate::domain::sign_up::SignedUp;
use crate::domain::user::{Membership, User, UserState, UserType};
use crate::tokens::TokenPair;
use crate::use_cases::me::Me;
use crate::use_cases::sign_in::SignedIn;
use crate::use_cases::users::SeenUser;

const TOKEN_TYPE: &str = "Bearer";

fn directory_name(directory: DirectoryId) -> String {
    format!("directories/{directory}")
}

pub(super) fn directory_state(directory: DirectoryId, noted: Told) -> wire::ApplyDirectoryStateResponse {
    let state = match noted.state {
        // Only what is being made is in this state, and nobody tells of that.
        DirectoryState::Provisioning => wire::DirectoryState::Unspecified,
        DirectoryState::Active => wire::DirectoryState::Active,
        DirectoryState::Suspended => wire::DirectoryState::Suspended,
        DirectoryState::Deleted => wire::DirectoryState::Deleted,
    };
    wire::ApplyDirectoryStateResponse {
        directory: directory_name(directory),
        state: state.into(),
        revision: noted.revision,
    }
}

pub(super) fn user(seen: SeenUser) -> wire::User {
    let SeenUser { directory, user, roles } = seen;
    let shown = roles.is_some();
    let directory_roles = roles.unwrap_or_default().iter().map(|slug| role_name(slug)).collect();
    wire::User {
        name: user.principal(directory).to_string(),
        uid: user.id.to_string(),
        etag: Etag::of(user.revision).into(),
        last_sign_in_time: user.last_sign_in_time.filter(|_| shown).map(timestamp),
        directory_roles,
        state: match user.state {
            UserState::Active => wire::user::State::Active,
            UserState::Disabled => wire::user::State::Disabled,
            UserState::Deleted => wire::user::State::Deleted,
        }
        .into(),
        user_type: user_type(user.user_type).into(),
        home_user: user.home_user.map(|home| home.to_string()).unwrap_or_default(),
        user_principal_name: user.user_principal_name,
        display_name: user.display_name,
        given_name: user.given_name,
        family_name: user.family_name,
        mail: user.mail,
        region_code: user.region_code,
        language_code: user.language_code,
        password_profile: None,
        password_change_required: user.password_change_required,
        create_time: Some(timestamp(user.create_time)),
        update_time: Some(timestamp(user.update_time)),
        revision: user.revision,
    }
}

/// What a call with `validate_only` would make: it has no name yet.
pub(super) fn unmade_user(directory: DirectoryId, made: User) -> wire::User {
    let shown = user(SeenUser { directory, user: made, roles: None });
    wire::User { name: String::new(), uid: String::new(), etag: String::new(), ..shown }
}

const fn user_type(user_type: UserType) -> wire::UserType {
    match user_type {
        UserType::Member => wire::UserType::Member,
        UserType::Guest => wire::UserType::Guest,
    }
}

pub(super) fn membership(membership: &Membership) -> wire::Membership {
    wire::Membership {
        user: membership.user.to_string(),
        directory: directory_name(membership.user.directory()),
        user_type: user_type(membership.user_type).into(),
    }
}

pub(super) fn signed_up(made: SignedUp) -> wire::SignUpResponse {
    let directory = wire::SignedUpDirectory {
        name: directory_name(made.directory),
        display_name: made.display_name,
        initial_domain: made.initial_domain,
    };
    let roles = Some(vec![access::roles::GLOBAL_ADMINISTRATOR.to_owned()]);
    let user = user(SeenUser { directory: made.directory, user: made.user, roles });
    wire::SignUpResponse { directory: Some(directory), user: Some(user) }
}

pub(super) fn session(directory: DirectoryId, session: &Session, now: Timestamp) -> wire::Session {
    let principal = session.principal(directory);
    let state = if session.revoke_time.is_some() {
        wire::session::State::Revoked
    } else if session.is_live(now) {
        wire::session::State::Active
    } else {
        wire::session::State::Expired
    };
    wire::Session {
        name: format!("{principal}/sessions/{}", session.id),
        principal: principal.to_string(),
        create_time: Some(timestamp(session.create_time)),
        last_refresh_time: session.last_refresh_time.map(timestamp),
        expire_time: Some(timestamp(session.expire_time)),
        client_description: session.client_description.clone(),
        state: state.into(),
    }
}

fn expires_in(tokens: &TokenPair) -> i32 {
    i32::try_from(tokens.expires_in.as_secs()).unwrap_or(i32::MAX)
}

pub(super) fn signed_in(signed_in: SignedIn, now: Timestamp) -> wire::SignInResponse {
    let SignedIn { directory, user: person, roles, session: opened, tokens } = signed_in;
    wire::SignInResponse {
        expires_in: expires_in(&tokens),
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        session: Some(session(directory, &opened, now)),
        password_change_required: person.password_change_required,
        user: Some(user(SeenUser { directory, user: person, roles: Some(roles) })),
        token_type: TOKEN_TYPE.to_owned(),
    }
}

pub(super) fn refreshed(
    refreshed: crate::use_cases::refresh_session::Refreshed,
    now: Timestamp,
) -> wire::RefreshSessionResponse {
    wire::RefreshSessionResponse {
        expires_in: expires_in(&refreshed.tokens),
        access_token: refreshed.tokens.access_token,
        refresh_token: refreshed.tokens.refresh_token,
        session: Some(session(refreshed.directory, &refreshed.session, now)),
    }
}

pub(super) fn key_set(set: access::token::KeySet) -> wire::GetJsonWebKeySetResponse {
    let key = |key: access::token::PublicKey| wire::JsonWebKey {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        kid: key.kid,
        alg: "EdDSA".to_owned(),
        r#use: "sig".to_owned(),
        x: key.x,
    };
    let seconds = i64::try_from(set.max_age.as_secs()).unwrap_or(i64::MAX);
    wire::GetJsonWebKeySetResponse {
        keys: set.keys.into_iter().map(key).collect(),
        max_age: Some(prost_types::Duration { seconds, nanos: 0 }),
    }
}

fn role_name(slug: &str) -> String {
    format!("directoryRoles/{slug}")
}

pub(super) fn role(role: &Role) -> wire::DirectoryRole {
    let mut permissions = role.permissions.clone();
    permissions.sort();
    permissions.dedup();
    wire::DirectoryRole {
        name: role_name(&role.slug),
        template_id: role.template_id.clone(),
        title: role.name.clone(),
        description: role.description.clone(),
        permissions,
        built_in: true,
        privileged: role.privileged,
    }
}

pub(super) fn role_assignment(
    directory: DirectoryId,
    assignment: &RoleAssignment,
) -> wire::DirectoryRoleAssignment {
    wire::DirectoryRoleAssignment {
        name: format!("{}/roleAssignments/{}", directory_name(directory), assignment.id),
        role: role_name(&assignment.role),
        principal: Principal::User(directory, assignment.principal).to_string(),
        create_principal: assignment.create_principal.clone(),
        create_time: Some(timestamp(assignment.create_time)),
        expire_time: assignment.expire_time.map(timestamp),
        etag: Etag::of(assignment.revision).into(),
    }
}

pub(super) fn me(me: Me, now: Timestamp) -> wire::GetMeResponse {
    let directory = me.seen.directory;
    wire::GetMeResponse {
        user: Some(user(me.seen)),
        directory: directory_name(directory),
        memberships: me.memberships.iter().map(membership).collect(),
        role_assignments: me.assignments.iter().map(|held| role_assignment(directory, held)).collect(),
        organizational_roles: me.titles,
        effective_permissions: me.permissions.into_iter().map(ToOwned::to_owned).collect(),
        session: Some(session(directory, &me.session, now)),
    }
}

pub(super) fn judgement(question: &Question, judgement: &Judgement) -> wire::CheckDirectoryRoleResponse {
    let (decision, denial_reason) = match judgement.denied {
        None => (wire::Decision::Allowed, wire::DenialReason::Unspecified),
        Some(denial) => (wire::Decision::Denied, denied(denial)),
    };
    wire::CheckDirectoryRoleResponse {
        directory: directory_name(question.directory),
        principal: question.principal.to_string(),
        decision: decision.into(),
        denial_reason: denial_reason.into(),
        matched_roles: judgement.matched_roles.iter().map(|slug| role_name(slug)).collect(),
        revision: judgement.revision,
    }
}

const fn denied(denial: Denial) -> wire::DenialReason {
    match denial {
        Denial::PrincipalNotFound => wire::DenialReason::PrincipalNotFound,
        Denial::PrincipalDisabled => wire::DenialReason::PrincipalDisabled,
        Denial::PrincipalDeleted => wire::DenialReason::PrincipalDeleted,
        Denial::SessionRevoked => wire::DenialReason::SessionRevoked,
        Denial::OtherDirectory => wire::DenialReason::OtherDirectory,
        Denial::DirectoryNotActive => wire::DenialReason::DirectoryNotActive,
        Denial::RoleMissing => wire::DenialReason::RoleMissing,
    }
}
