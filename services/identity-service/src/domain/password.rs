//! Passwords: the policy (U-20), and types that never show one.
//!
//! How a password is hashed is `password_hasher`'s matter.

use std::fmt;

const FEWEST: usize = 8;
const MOST: usize = 256;
const CLASSES: usize = 3;
/// No more than this of what somebody claims to be a password is ever hashed.
const MOST_HASHED_BYTES: usize = 1024;

/// Why a text cannot be a password; it says which part of the policy is not met and never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooWeak {
    #[error("must have 8 to 256 characters")]
    Length,
    #[error("must consist of printable ASCII characters and blanks")]
    Characters,
    #[error("must contain three of: a lower-case letter, an upper-case letter, a digit, a symbol")]
    Classes,
}

/// A password that meets the policy.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// Reads a new password (U-20).
    pub(crate) fn parse(text: &str) -> Result<Self, TooWeak> {
        if !(FEWEST..=MOST).contains(&text.chars().count()) {
            return Err(TooWeak::Length);
        }
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(TooWeak::Characters);
        }
        // A blank is a symbol.
        let symbol = |byte: &u8| !byte.is_ascii_alphanumeric();
        let classes: [&dyn Fn(&u8) -> bool; 4] =
            [&u8::is_ascii_lowercase, &u8::is_ascii_uppercase, &u8::is_ascii_digit, &symbol];
        if classes.iter().filter(|class| text.as_bytes().iter().any(class)).count() < CLASSES {
            return Err(TooWeak::Classes);
        }
        Ok(Self(text.to_owned()))
    }

    /// The bytes to hash.
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// What somebody claims to be the password, whatever it is.
#[derive(Clone)]
pub(crate) struct ClaimedPassword(Vec<u8>);

impl ClaimedPassword {
    /// Keeps what is hashed at most: a longer text is longer than every password and wrong either way.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.as_bytes()[..text.len().min(MOST_HASHED_BYTES)].to_vec())
    }

    /// The bytes to hash.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClaimedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedPassword(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u20_asks_for_three_of_four_classes() {
        for good in ["Passw0rd", "lower and 1", "ALL UPPER 1", "aB 45678"] {
            assert!(Password::parse(good).is_ok(), "{good}");
        }
        for bad in ["password", "passw0rd", "12345678 ", "PASSWORD1"] {
            assert_eq!(Password::parse(bad).unwrap_err(), TooWeak::Classes, "{bad}");
        }
    }

    #[test]
    fn u20_bounds_length_and_characters() {
        assert_eq!(Password::parse("Ab1!xyz").unwrap_err(), TooWeak::Length);
        assert!(Password::parse(&"Ab1!".repeat(64)).is_ok());
        assert_eq!(Password::parse(&"Ab1!".repeat(65)).unwrap_err(), TooWeak::Length);
        assert_eq!(Password::parse("P\u{e4}ssw0rd").unwrap_err(), TooWeak::Characters);
        assert_eq!(Password::parse("Passw0rd\0").unwrap_err(), TooWeak::Characters);
    }

    #[test]
    fn no_password_is_printed() {
        let printed = format!(
            "{:?} {:?}",
            Password::parse("S3cret word").unwrap(),
            ClaimedPassword::new("S3cret word")
        );
        assert!(!printed.contains("S3cret"));
    }

    proptest! {
        #[test]
        fn what_is_claimed_is_cut_to_a_kibibyte(text in "\\PC{0,600}") {
            prop_assert!(ClaimedPassword::new(&text).expose().len() <= 1024);
        }
    }
}
