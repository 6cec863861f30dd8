//! User principal names: what may stand in one (U-01, U-02) and when two are the same (U-03).
//!
//! Whether the domain is verified is not asked here.

use std::fmt;

const MOST_CHARACTERS: usize = 113;
const MOST_LOCAL: usize = 64;
const MOST_DOMAIN: usize = 48;

/// Why a text is no user principal name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameInvalid {
    #[error("must have the form local@domain")]
    Form,
    #[error(
        "must have at most 113 characters, of which at most 64 stand before the @ and at most 48 after it"
    )]
    Length,
    #[error("may contain A-Z a-z 0-9 ' . - _ ! # ^ ~ before the @, and no . directly before it")]
    Local,
    #[error("must have a domain name of letters, digits and inner hyphens after the @")]
    Domain,
}

/// The part before the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalPart(String);

impl LocalPart {
    /// Reads a local part.
    pub(crate) fn parse(text: &str) -> Result<Self, NameInvalid> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c);
        if text.is_empty() || text.ends_with('.') || !text.chars().all(allowed) {
            return Err(NameInvalid::Local);
        }
        if text.len() > MOST_LOCAL {
            return Err(NameInvalid::Length);
        }
        Ok(Self(text.to_owned()))
    }

    /// The user principal name under a domain.
    pub(crate) fn at(&self, domain: &str) -> Result<UserPrincipalName, NameInvalid> {
        UserPrincipalName::parse(&format!("{}@{domain}", self.0))
    }
}

/// A user principal name: kept as given, compared without case.
#[derive(Debug, Clone)]
pub(crate) struct UserPrincipalName {
    text: String,
    at: usize,
}

impl UserPrincipalName {
    /// Reads a user principal name.
    pub(crate) fn parse(text: &str) -> Result<Self, NameInvalid> {
        let (local, domain) = text.split_once('@').ok_or(NameInvalid::Form)?;
        LocalPart::parse(local)?;
        if text.len() > MOST_CHARACTERS || domain.len() > MOST_DOMAIN {
            return Err(NameInvalid::Length);
        }
        if !is_domain(domain) {
            return Err(NameInvalid::Domain);
        }
        Ok(Self { text: text.to_owned(), at: local.len() })
    }

    /// The name as given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The form by which it is unique (U-03): all of it is ASCII, so lower case is enough.
    pub(crate) fn key(&self) -> String {
        key(&self.text)
    }

    /// The part before the `@`.
    pub(crate) fn local(&self) -> LocalPart {
        LocalPart(self.text[..self.at].to_owned())
    }

    /// The domain, in lower case.
    pub(crate) fn domain(&self) -> String {
        self.text[self.at + 1..].to_ascii_lowercase()
    }
}

impl PartialEq for UserPrincipalName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Display for UserPrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The key of any text that may be a user principal name.
pub(crate) fn key(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// The key to look for when somebody claims to have a name.
///
/// A text with control characters is nobody's name, and PostgreSQL holds no NUL: nobody has the empty key.
pub(crate) fn search_key(text: &str) -> String {
    if text.chars().any(char::is_control) { String::new() } else { key(text) }
}

fn is_domain(domain: &str) -> bool {
    domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn u01_allows_its_characters_and_no_others() {
        for good in ["ada@contoso.tenure.internal", "A'd.a-_!#^~9@c.io"] {
            assert!(UserPrincipalName::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("ada", NameInvalid::Form),
            ("ada.@c.io", NameInvalid::Local),
            ("\u{e4}da@c.io", NameInvalid::Local),
            ("ad a@c.io", NameInvalid::Local),
            ("@c.io", NameInvalid::Local),
            ("ada@b@c.io", NameInvalid::Domain),
            ("ada@c.io.", NameInvalid::Domain),
            ("ada@io", NameInvalid::Domain),
            ("ada@-c.io", NameInvalid::Domain),
        ] {
            assert_eq!(UserPrincipalName::parse(bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn u02_bounds_each_part() {
        let longest = format!("{}@{}.io", "a".repeat(64), "b".repeat(45));
        assert!(UserPrincipalName::parse(&longest).is_ok());
        let local = format!("{}@b.io", "a".repeat(65));
        assert_eq!(UserPrincipalName::parse(&local).unwrap_err(), NameInvalid::Length);
        let domain = format!("a@{}.io", "b".repeat(46));
        assert_eq!(UserPrincipalName::parse(&domain).unwrap_err(), NameInvalid::Length);
    }

    #[test]
    fn u03_case_does_not_make_another_name() {
        let (one, other) = ("Ada@Contoso.IO", "ada@contoso.io");
        assert_eq!(UserPrincipalName::parse(one).unwrap(), UserPrincipalName::parse(other).unwrap());
        assert_eq!(UserPrincipalName::parse(one).unwrap().as_str(), one);
        assert_eq!(UserPrincipalName::parse(one).unwrap().domain(), "contoso.io");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_what_it_accepts(text in "\\PC{0,130}") {
            if let Ok(name) = UserPrincipalName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.len() <= 113 && text.is_ascii());
            }
        }
    }
}
