//! Ids as distinct types (S3); they do not know what they name beyond their type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An id's text is not a lower-case UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a lower-case UUID")]
pub struct IdInvalid;

/// Parses the one accepted form of a UUID: lower case, hyphenated, not nil.
///
/// One thing has one name (P-11, attack 15): upper case or braces would be second names.
pub fn parse_uuid(text: &str) -> Result<Uuid, IdInvalid> {
    let uuid = Uuid::try_parse(text).map_err(|_| IdInvalid)?;
    let mut buffer = Uuid::encode_buffer();
    if uuid.is_nil() || uuid.hyphenated().encode_lower(&mut buffer) != text {
        return Err(IdInvalid);
    }
    Ok(uuid)
}

macro_rules! id { ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
    $(#[$doc])*
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(transparent)]
    pub struct $name(Uuid);

    impl $name {
        /// Wraps a UUID that was derived or read back; text goes through [`FromStr`].
        pub const fn from_uuid(uuid: Uuid) -> Self { Self(uuid) }
        /// The UUID inside, for binding to a statement.
        pub const fn uuid(self) -> Uuid { self.0 }
    }
    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.hyphenated().fmt(f) }
    }
    impl FromStr for $name {
        type Err = IdInvalid;
        fn from_str(text: &str) -> Result<Self, IdInvalid> { parse_uuid(text).map(Self) }
    }
)+ } }

id! {
    /// A directory (tenant); owned by the directory context.
    DirectoryId,
    /// A lien on a directory; owned by the directory context.
    LienId,
    /// A person in a directory; owned by the identity context.
    UserId,
    /// A program in a directory; owned by the identity context.
    ServiceAccountId,
    /// One sign-in and what was refreshed from it; owned by the identity context.
    SessionId,
    /// A directory role held by a principal; owned by the identity context.
    RoleAssignmentId,
    /// A subscription; owned by the subscription context.
    SubscriptionId,
    /// An order and its receipt; owned by the subscription context.
    OrderId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_has_one_text() {
        let text = "8d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
        assert_eq!(text.parse::<UserId>().unwrap().to_string(), text);
        for other in [
            text.to_uppercase(),
            format!("{{{text}}}"),
            text.replace('-', ""),
            Uuid::nil().to_string(),
            String::new(),
        ] {
            assert_eq!(other.parse::<UserId>(), Err(IdInvalid), "{other}");
        }
    }
}
