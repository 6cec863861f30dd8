//! Who may hold a role: a user or a service account of one directory (K19); groups are reserved.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{DirectoryId, IdInvalid, ServiceAccountId, UserId};

/// A user or service account, with the directory it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A person: `directories/*/users/*`.
    User(DirectoryId, UserId),
    /// A program: `directories/*/serviceAccounts/*`.
    ServiceAccount(DirectoryId, ServiceAccountId),
}

impl Principal {
    /// The directory the principal belongs to.
    pub const fn directory(&self) -> DirectoryId {
        match *self {
            Self::User(directory, _) | Self::ServiceAccount(directory, _) => directory,
        }
    }

    /// The principal's own id, without its kind.
    pub const fn uuid(&self) -> Uuid {
        match *self {
            Self::User(_, user) => user.uuid(),
            Self::ServiceAccount(_, account) => account.uuid(),
        }
    }

    /// The user, where the principal is one.
    pub const fn user(&self) -> Option<UserId> {
        match *self {
            Self::User(_, user) => Some(user),
            Self::ServiceAccount(..) => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(directory, user) => write!(f, "directories/{directory}/users/{user}"),
            Self::ServiceAccount(directory, account) => {
                write!(f, "directories/{directory}/serviceAccounts/{account}")
            }
        }
    }
}

impl FromStr for Principal {
    type Err = IdInvalid;

    fn from_str(text: &str) -> Result<Self, IdInvalid> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(IdInvalid);
        let (collection, directory, kind, id) = (next()?, next()?, next()?, next()?);
        if collection != "directories" || parts.next().is_some() {
            return Err(IdInvalid);
        }
        let directory = directory.parse()?;
        match kind {
            "users" => Ok(Self::User(directory, id.parse()?)),
            "serviceAccounts" => Ok(Self::ServiceAccount(directory, id.parse()?)),
            _ => Err(IdInvalid),
        }
    }
}

impl TryFrom<String> for Principal {
    type Error = IdInvalid;
    fn try_from(text: String) -> Result<Self, IdInvalid> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_read_back_from_its_name() {
        let directory = "1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
        let id = "2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
        for kind in ["users", "serviceAccounts"] {
            let name = format!("directories/{directory}/{kind}/{id}");
            assert_eq!(name.parse::<Principal>().unwrap().to_string(), name);
        }
        for broken in [
            format!("directories/{directory}/groups/{id}"),
            format!("/directories/{directory}/users/{id}"),
            format!("directories/{directory}/users/{id}/"),
        ] {
            assert!(broken.parse::<Principal>().is_err(), "{broken}");
        }
    }
}
