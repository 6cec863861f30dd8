//! The rules of the identity context: facts and `now` in, decision out.
//!
//! No database, no wire, no async, no clock.

/// An enum that is stored as text and read back.
macro_rules! stored { ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
    $(#[$doc])*
    #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    pub(crate) enum $name { $($(#[$variant_doc])* $variant),+ }

    impl $name {
        /// The value as stored.
        pub(crate) const fn as_str(self) -> &'static str {
            match self { $(Self::$variant => $text),+ }
        }
        /// The value that was stored as this text.
        pub(crate) fn stored(text: &str) -> Option<Self> {
            match text { $($text => Some(Self::$variant),)+ _ => None }
        }
    }
} }

pub(crate) mod administrators;
pub(crate) mod directory;
pub(crate) mod password;
pub(crate) mod password_reset;
pub(crate) mod refused;
pub(crate) mod role_assignment;
pub(crate) mod session;
pub(crate) mod sign_up;
pub(crate) mod standing;
pub(crate) mod throttle;
pub(crate) mod user;
pub(crate) mod user_principal_name;
