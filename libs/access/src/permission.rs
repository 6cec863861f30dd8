//! The permissions that methods name, one unit struct each (K5); which roles contain them is told in `roles`.

/// A right that a method demands.
pub trait Permission: Send + Sync + 'static {
    /// The permission in Graph's form: `namespace/entity/propertySet/action`.
    const NAME: &'static str;
}

macro_rules! permissions { ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
    $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Permission for $name { const NAME: &'static str = $text; }
    )+
    /// Every permission that a method demands.
    pub const ALL: &[&str] = &[$($text),+];
} }

permissions! {
    /// Being an active principal of the directory; every signed-in caller that passes K3 has it.
    BeActive = "tenure/principals/active",
    /// Reading one's directory.
    ReadDirectory = "microsoft.directory/organization/standard/read",
    /// Seeing every directory; no directory role contains it, operators and peers only.
    ListDirectories = "tenure.directory/directories/list",
    /// Making, activating and abandoning directories; peers only.
    ProvisionDirectory = "tenure.directory/directories/provision",
    /// Resolving a domain to its directory; operators and peers only.
    ResolveDomain = "tenure.directory/domains/resolve",
    /// Reading a directory's domains.
    ReadDomains = "microsoft.directory/domains/standard/read",
    /// Adding, proving, choosing and removing domains (D-14).
    WriteDomains = "microsoft.directory/domains/allProperties/update",
    /// Reading the liens on a directory.
    ReadLiens = "tenure.directory/liens/read",
    /// Taking and letting go of liens; operators and peers only.
    WriteLiens = "tenure.directory/liens/write",
    /// Reading users.
    ReadUsers = "microsoft.directory/users/standard/read",
    /// Creating users (U-10).
    CreateUsers = "microsoft.directory/users/create",
    /// Revoking other people's sessions (U-28).
    RevokeSessions = "microsoft.directory/users/invalidateAllRefreshTokens",
    /// Reading who holds which directory role, and asking whether somebody does (K4).
    ReadRoleAssignments = "microsoft.directory/roleAssignments/standard/read",
    /// Giving and taking directory roles.
    WriteRoleAssignments = "microsoft.directory/roleAssignments/allProperties/update",
    /// Signing up an organisation under an Enterprise Agreement (K18); operators only.
    SignUpEnterprise = "tenure.identity/directories/signUpEnterprise",
    /// Reading a user's memberships; peers only.
    ReadMemberships = "tenure.identity/memberships/read",
    /// Attaching, previewing and changing Office 365 subscriptions (L-09).
    AttachOffice365 = "tenure.subscription/office365Subscriptions/attach",
    /// Signing up for Azure as any member (S-05, decided for the text of 2020).
    SignUpAzure = "tenure.subscription/azureSubscriptions/signUp",
    /// Signing up for Azure where the directory does not let members.
    SignUpAzureAlways = "tenure.subscription/azureSubscriptions/signUpAlways",
    /// Reading all of a directory's subscriptions.
    ReadSubscriptions = "tenure.subscription/subscriptions/read",
    /// Reading all of a directory's orders.
    ReadOrders = "tenure.subscription/orders/read",
}

/// Whether a permission may cover others than itself.
pub(crate) fn is_scope(held: &str) -> bool {
    scope(held).is_some()
}

/// Whether holding `held` means holding `wanted`.
///
/// Graph abbreviates: `ns/entity/allProperties/allTasks` holds whatever begins with `ns/entity/`,
/// `…/allProperties/read` every read of it, and `ns/allEntities/…` the same for all entities.
pub fn covers(held: &str, wanted: &str) -> bool {
    if held == wanted {
        return true;
    }
    let Some((scope, reads_only)) = scope(held) else { return false };
    let scope = scope.strip_suffix("/allEntities").unwrap_or(scope);
    let below = wanted.strip_prefix(scope).and_then(|rest| rest.strip_prefix('/'));
    below.is_some_and(|rest| !reads_only || rest.rsplit('/').next() == Some("read"))
}

/// What a permission for all of something is for, and whether for reading alone.
fn scope(held: &str) -> Option<(&str, bool)> {
    if let Some(scope) = held.strip_suffix("/allProperties/read") {
        return Some((scope, true));
    }
    let scope = held.strip_suffix("/allTasks")?;
    Some((scope.strip_suffix("/allProperties").unwrap_or(scope), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tasks_cover_their_entity_and_nothing_beside_it() {
        let held = "microsoft.directory/users/allProperties/allTasks";
        assert!(covers(held, CreateUsers::NAME));
        assert!(!covers(held, WriteRoleAssignments::NAME));
        assert!(!covers(held, "microsoft.directory/usersOfAnotherKind/create"));
    }

    #[test]
    fn reading_all_properties_is_reading_only() {
        let held = "microsoft.directory/users/allProperties/read";
        assert!(covers(held, ReadUsers::NAME));
        assert!(!covers(held, CreateUsers::NAME));
        assert!(!covers(held, RevokeSessions::NAME));
    }
}
