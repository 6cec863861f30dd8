//! The built-in directory roles and what each contains: the vendor's data plus one table of our own (K5).
//!
//! Who holds a role is identity's matter; roles of subscriptions (RBAC) are another system.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::permission::{
    self, AttachOffice365, BeActive, ListDirectories, Permission as _, ProvisionDirectory, ReadDirectory,
    ReadDomains, ReadLiens, ReadMemberships, ReadOrders, ReadRoleAssignments, ReadSubscriptions, ReadUsers,
    ResolveDomain, SignUpAzure, SignUpAzureAlways, SignUpEnterprise, WriteLiens, WriteRoleAssignments,
};

/// The role that P-4 guards.
pub const GLOBAL_ADMINISTRATOR: &str = "global-administrator";
/// The role that buys (L-09).
pub const BILLING_ADMINISTRATOR: &str = "billing-administrator";
/// The role that reads all a Global Administrator can.
pub const GLOBAL_READER: &str = "global-reader";
/// What every member holds without an assignment (K47).
pub const MEMBER: &str = "member";
/// What every guest holds without an assignment (K47).
pub const GUEST: &str = "guest";

/// What the holder of the operator key holds (K36).
pub const OPERATOR: &str = "operator";
/// What a service token holds (K36).
pub const SERVICE: &str = "service";

/// Permissions that are ours, added to the vendor's roles and the pseudo-roles.
const OURS: &[(&str, &[&str])] = &[
    (
        GLOBAL_ADMINISTRATOR,
        &[
            AttachOffice365::NAME,
            SignUpAzureAlways::NAME,
            ReadSubscriptions::NAME,
            ReadOrders::NAME,
            ReadLiens::NAME,
        ],
    ),
    (
        BILLING_ADMINISTRATOR,
        &[AttachOffice365::NAME, SignUpAzureAlways::NAME, ReadSubscriptions::NAME, ReadOrders::NAME],
    ),
    (GLOBAL_READER, &[ReadSubscriptions::NAME, ReadOrders::NAME, ReadLiens::NAME]),
    // U-09: members read the directory's objects; guests read themselves.
    (MEMBER, &[BeActive::NAME, ReadDirectory::NAME, ReadDomains::NAME, ReadUsers::NAME, SignUpAzure::NAME]),
    (GUEST, &[BeActive::NAME, ReadDirectory::NAME]),
    // What the holder of the operator key may: run the platform, never buy for a directory (P-3).
    (
        OPERATOR,
        &[
            ReadRoleAssignments::NAME,
            ListDirectories::NAME,
            ReadDirectory::NAME,
            ReadLiens::NAME,
            ResolveDomain::NAME,
            SignUpEnterprise::NAME,
            WriteLiens::NAME,
            WriteRoleAssignments::NAME,
        ],
    ),
    // What peers may at most; which of them calls which method is told by the table of calls (K1).
    (
        SERVICE,
        &[
            ReadRoleAssignments::NAME,
            ListDirectories::NAME,
            ProvisionDirectory::NAME,
            ReadDirectory::NAME,
            ReadLiens::NAME,
            ReadMemberships::NAME,
            ReadUsers::NAME,
            ResolveDomain::NAME,
            WriteLiens::NAME,
        ],
    ),
];

/// A built-in directory role.
#[derive(Debug, Clone, Deserialize)]
pub struct Role {
    /// The id in names: `directoryRoles/{slug}`.
    pub slug: String,
    /// The id that is equal in all directories.
    pub template_id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether the vendor marks it privileged.
    pub privileged: bool,
    /// What it contains; empty where the data leaves the permissions out.
    #[serde(deserialize_with = "null_as_empty")]
    pub permissions: Vec<String>,
}

fn null_as_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct File {
    roles: Vec<Role>,
}

static ROLES: LazyLock<BTreeMap<String, Role>> = LazyLock::new(|| {
    let file: File = serde_json::from_str(include_str!("../data/directory_roles.json"))
        .expect("the embedded role data is read by a test");
    let mut roles: BTreeMap<_, _> = file.roles.into_iter().map(|role| (role.slug.clone(), role)).collect();
    for (slug, permissions) in OURS {
        if let Some(role) = roles.get_mut(*slug) {
            role.permissions.extend(permissions.iter().map(ToString::to_string));
        }
    }
    roles
});

/// All built-in roles, by slug; the pseudo-roles are not among them.
pub fn all() -> impl Iterator<Item = &'static Role> {
    ROLES.values()
}

/// The built-in role with this slug.
pub fn find(slug: &str) -> Option<&'static Role> {
    ROLES.get(slug)
}

/// What a role or pseudo-role contains.
pub fn permissions_of(slug: &str) -> impl Iterator<Item = &'static str> {
    let assigned = find(slug).map(|role| role.permissions.as_slice()).unwrap_or_default();
    let pseudo = OURS.iter().filter(move |(name, _)| *name == slug && find(slug).is_none());
    assigned.iter().map(String::as_str).chain(pseudo.flat_map(|(_, permissions)| permissions.iter().copied()))
}

/// A role's permissions, made ready to be asked: a Global Administrator's are hundreds.
struct Contained {
    exact: HashSet<&'static str>,
    /// Those that abbreviate others.
    scopes: Vec<&'static str>,
}

static CONTAINED: LazyLock<HashMap<&'static str, Contained>> = LazyLock::new(|| {
    let slugs = ROLES.keys().map(String::as_str).chain(OURS.iter().map(|(slug, _)| *slug));
    let contained = |slug| Contained {
        exact: permissions_of(slug).collect(),
        scopes: permissions_of(slug).filter(|held| permission::is_scope(held)).collect(),
    };
    slugs.map(|slug| (slug, contained(slug))).collect()
});

/// Whether a role or pseudo-role contains the permission.
pub fn contains(slug: &str, wanted: &str) -> bool {
    CONTAINED.get(slug).is_some_and(|role| {
        role.exact.contains(wanted) || role.scopes.iter().any(|held| permission::covers(held, wanted))
    })
}

/// The slugs of the assignable roles that contain the permission, so that a refusal can name them.
pub fn that_contain(wanted: &str) -> Vec<&'static str> {
    ROLES.keys().map(String::as_str).filter(|slug| contains(slug, wanted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{CreateUsers, WriteDomains};

    #[test]
    fn the_data_has_every_role_once() {
        assert_eq!(all().count(), 123);
        assert!([MEMBER, GUEST, OPERATOR, SERVICE].into_iter().all(|pseudo| find(pseudo).is_none()));
        assert_eq!(find(GLOBAL_ADMINISTRATOR).unwrap().template_id, "62e90394-69f5-4237-9190-012177145e10");
    }

    #[test]
    fn only_global_and_billing_administrators_attach_office365() {
        assert_eq!(that_contain(AttachOffice365::NAME), [BILLING_ADMINISTRATOR, GLOBAL_ADMINISTRATOR]);
    }

    #[test]
    fn roles_are_given_by_global_and_privileged_role_administrators() {
        assert_eq!(
            that_contain(WriteRoleAssignments::NAME),
            [GLOBAL_ADMINISTRATOR, "privileged-role-administrator"]
        );
    }

    #[test]
    fn users_are_created_by_global_and_user_administrators() {
        assert_eq!(that_contain(CreateUsers::NAME), [GLOBAL_ADMINISTRATOR, "user-administrator"]);
    }

    #[test]
    fn d_14_domains_are_written_by_global_and_domain_name_administrators() {
        assert_eq!(that_contain(WriteDomains::NAME), ["domain-name-administrator", GLOBAL_ADMINISTRATOR]);
        assert!(contains(MEMBER, ReadDomains::NAME) && !contains(GUEST, ReadDomains::NAME));
    }

    #[test]
    fn what_is_contained_is_what_some_permission_covers() {
        let ours = [MEMBER, GUEST, OPERATOR, SERVICE];
        let mut asked: HashSet<&str> = ROLES.keys().flat_map(|slug| permissions_of(slug)).collect();
        asked.extend(ours.iter().flat_map(|slug| permissions_of(slug)));
        for slug in [GLOBAL_ADMINISTRATOR, GLOBAL_READER, BILLING_ADMINISTRATOR, "nobody"].iter().chain(&ours)
        {
            for wanted in &asked {
                let covered = permissions_of(slug).any(|held| permission::covers(held, wanted));
                assert_eq!(contains(slug, wanted), covered, "{slug}: {wanted}");
            }
        }
    }

    #[test]
    fn a_member_reads_and_signs_up_but_does_not_attach() {
        assert!(contains(MEMBER, SignUpAzure::NAME) && contains(MEMBER, ReadUsers::NAME));
        assert!(!contains(MEMBER, AttachOffice365::NAME) && !contains(GUEST, ReadUsers::NAME));
    }
}
