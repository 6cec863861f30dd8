//! A person in a directory, as stored and as recorded; without the directory, which comes from the permit (K9).
//!
//! Credentials are no part of it: whatever stands here may be logged as a change.

use kernel::{DirectoryId, Principal, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::password::Password;
use super::user_principal_name::UserPrincipalName;

stored! {
    /// Whether the person may sign in.
    UserState {
        /// They may.
        Active = "ACTIVE",
        /// Sign-in is blocked.
        Disabled = "DISABLED",
        /// Deleted, and not yet purged.
        Deleted = "DELETED",
    }
}

stored! {
    /// What a person is to the directory.
    UserType {
        /// At home here.
        Member = "MEMBER",
        /// At home elsewhere (K20).
        Guest = "GUEST",
    }
}

/// A person in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) user_principal_name: String,
    pub(crate) display_name: String,
    pub(crate) given_name: String,
    pub(crate) family_name: String,
    pub(crate) mail: String,
    pub(crate) region_code: String,
    pub(crate) language_code: String,
    pub(crate) state: UserState,
    pub(crate) user_type: UserType,
    pub(crate) home_user: Option<Principal>,
    pub(crate) password_change_required: bool,
    pub(crate) last_sign_in_time: Option<Timestamp>,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
    pub(crate) revision: i64,
}

/// What is told of a new person, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) display_name: String,
    pub(crate) given_name: String,
    pub(crate) family_name: String,
    pub(crate) mail: String,
    pub(crate) region_code: String,
    pub(crate) language_code: String,
}

/// A person's first password.
#[derive(Debug, Clone)]
pub(crate) struct FirstPassword {
    pub(crate) password: Password,
    pub(crate) change_required: bool,
}

impl User {
    /// A new, active member.
    pub(crate) fn new_member(
        id: UserId,
        name: &UserPrincipalName,
        profile: &Profile,
        password_change_required: bool,
        now: Timestamp,
    ) -> Self {
        let profile = profile.clone();
        Self {
            id,
            user_principal_name: name.as_str().to_owned(),
            display_name: profile.display_name,
            given_name: profile.given_name,
            family_name: profile.family_name,
            mail: profile.mail,
            region_code: profile.region_code,
            language_code: profile.language_code,
            state: UserState::Active,
            user_type: UserType::Member,
            home_user: None,
            password_change_required,
            last_sign_in_time: None,
            create_time: now,
            update_time: now,
            revision: 1,
        }
    }

    /// The person as a principal of their directory.
    pub(crate) const fn principal(&self, directory: DirectoryId) -> Principal {
        Principal::User(directory, self.id)
    }
}

/// That a person belongs to a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) user: Principal,
    pub(crate) user_type: UserType,
    pub(crate) create_time: Timestamp,
}
