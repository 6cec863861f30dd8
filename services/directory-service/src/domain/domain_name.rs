//! Domain names: labels, the installation's suffix, initial domains, and what a directory can add; which directory has
//! one is the store's matter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// U-02: a user principal name has room for a domain of so many characters.
pub(crate) const MOST_INITIAL_DOMAIN: usize = 48;
/// The longest label of an initial domain.
const MOST_INITIAL_LABEL: usize = 32;
/// DNS: the longest name.
const MOST_NAME: usize = 253;
/// DNS: the longest label.
const MOST_LABEL: usize = 63;

/// Why a text is no label of an initial domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LabelInvalid {
    /// Nothing, or too much.
    #[error("must have 1 to 32 characters")]
    Length,
    /// Something but letters, digits and hyphens.
    #[error("must consist of the letters a to z, digits and hyphens")]
    Character,
    /// A hyphen at an end.
    #[error("must neither begin nor end with a hyphen")]
    OuterHyphen,
    /// Two hyphens where DNS has its own meanings (`xn--`).
    #[error("must not have hyphens as third and fourth character")]
    Reserved,
    /// Together with the suffix too long for user principal names (U-02).
    #[error("must have at most {0} characters, so that the domain has at most 48")]
    Domain(usize),
}

/// A text is no domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a domain name of ASCII letters, digits and hyphens, with at most 253 characters and no dot at its end"
)]
pub struct DomainNameInvalid;

/// A domain name, in lower case: one thing has one name (attack 15).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// Why a text is no domain that a directory can add (D-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAddable {
    /// No name, or none that DNS can have.
    #[error("must be a domain name with at most 253 ASCII characters after IDNA, and no dot at its end")]
    Name,
    /// An address, or something that is read as one.
    #[error("must be a domain name and no address")]
    Address,
    /// Below the suffix of initial domains.
    #[error("must not lie below the suffix of this installation's initial domains")]
    OwnSuffix,
    /// Everybody can register below it.
    #[error("must be registered below a public suffix, and not be one")]
    PublicSuffix,
}

impl DomainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that a directory can add, in whatever script it is written (D-15).
    pub(crate) fn to_add(text: &str, suffix: &DomainSuffix) -> Result<Self, NotAddable> {
        // Longer texts are no names, and IDNA takes its time over them (attack 31).
        if text.len() > MOST_NAME {
            return Err(NotAddable::Name);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| NotAddable::Name)?;
        let name: Self = ascii.parse().map_err(|_| NotAddable::Name)?;
        let top = name.0.rsplit('.').next().unwrap_or_default();
        if top.bytes().all(|byte| byte.is_ascii_digit()) || top.starts_with("0x") {
            return Err(NotAddable::Address);
        }
        if name == suffix.0 || name.is_below(&suffix.0) {
            return Err(NotAddable::OwnSuffix);
        }
        if psl::domain_str(&name.0).is_none() {
            return Err(NotAddable::PublicSuffix);
        }
        Ok(name)
    }

    /// The name that was registered below a public suffix: this one, or the one that it is a sub-domain of.
    pub(crate) fn root(&self) -> Self {
        psl::domain_str(&self.0).map_or_else(|| self.clone(), |root| Self(root.to_owned()))
    }

    /// The names above this one, from the nearest to the one below the top.
    pub(crate) fn above(&self) -> impl Iterator<Item = Self> {
        let dots = self.0.match_indices('.').map(|(dot, _)| &self.0[dot + 1..]);
        dots.filter(|name| name.contains('.')).map(|name| Self(name.to_owned()))
    }

    /// The labels from the last to the first: what lies below a name begins with this and a dot.
    pub(crate) fn reversed(&self) -> String {
        self.0.rsplit('.').collect::<Vec<_>>().join(".")
    }

    fn is_below(&self, other: &Self) -> bool {
        self.0.strip_suffix(other.as_str()).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl FromStr for DomainName {
    type Err = DomainNameInvalid;

    fn from_str(text: &str) -> Result<Self, DomainNameInvalid> {
        if text.len() > MOST_NAME || text.split('.').count() < 2 {
            return Err(DomainNameInvalid);
        }
        let folded = text.to_ascii_lowercase();
        let labels_fit = folded.split('.').all(|label| fits_dns(label).is_ok());
        if labels_fit { Ok(Self(folded)) } else { Err(DomainNameInvalid) }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainNameInvalid;
    fn try_from(text: String) -> Result<Self, DomainNameInvalid> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

/// What all initial domains of an installation end with, such as `tenure.internal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainSuffix(DomainName);

/// A text is no suffix for initial domains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a domain name such as tenure.internal, with at most 40 characters")]
pub struct DomainSuffixInvalid;

impl DomainSuffix {
    /// Leaves at least seven characters for labels.
    const MOST: usize = 40;

    /// D-10: the initial domain of a label, folded to lower case.
    pub(crate) fn initial_domain(&self, label: &str) -> Result<DomainName, LabelInvalid> {
        let label = label.to_ascii_lowercase();
        if label.len() > MOST_INITIAL_LABEL {
            return Err(LabelInvalid::Length);
        }
        fits_dns(&label)?;
        // RFC 5891: `xn--` and its like are spellings of other names, which one could mistake for each other.
        if label.get(2..4) == Some("--") {
            return Err(LabelInvalid::Reserved);
        }
        let room = MOST_INITIAL_DOMAIN - self.0.as_str().len() - 1;
        if label.len() > room {
            return Err(LabelInvalid::Domain(room));
        }
        Ok(DomainName(format!("{label}.{}", self.0)))
    }
}

impl FromStr for DomainSuffix {
    type Err = DomainSuffixInvalid;

    fn from_str(text: &str) -> Result<Self, DomainSuffixInvalid> {
        let name: DomainName = text.parse().map_err(|_| DomainSuffixInvalid)?;
        if text.len() > Self::MOST { Err(DomainSuffixInvalid) } else { Ok(Self(name)) }
    }
}

fn fits_dns(label: &str) -> Result<(), LabelInvalid> {
    if label.is_empty() || label.len() > MOST_LABEL {
        return Err(LabelInvalid::Length);
    }
    if !label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(LabelInvalid::Character);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(LabelInvalid::OuterHyphen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn suffix() -> DomainSuffix {
        "tenure.internal".parse().unwrap()
    }

    #[test]
    fn d_10_a_label_in_any_case_makes_one_initial_domain() {
        for label in ["contoso", "Contoso", "CONTOSO"] {
            assert_eq!(suffix().initial_domain(label).unwrap().as_str(), "contoso.tenure.internal");
        }
        for label in ["a", "7", "a-b", "3com", "a--b"] {
            assert!(suffix().initial_domain(label).is_ok(), "{label}");
        }
    }

    #[test]
    fn labels_that_dns_or_a_reader_would_take_for_something_else_are_refused() {
        let cases = [
            ("", LabelInvalid::Length),
            ("a.b", LabelInvalid::Character),
            ("a_b", LabelInvalid::Character),
            ("a b", LabelInvalid::Character),
            ("münchen", LabelInvalid::Character),
            ("\u{212a}ing", LabelInvalid::Character), // the Kelvin sign, whose lower case is `k`
            ("-a", LabelInvalid::OuterHyphen),
            ("a-", LabelInvalid::OuterHyphen),
            ("xn--mnchen-3ya", LabelInvalid::Reserved),
            ("XN--a", LabelInvalid::Reserved),
            ("ab--c", LabelInvalid::Reserved),
        ];
        for (label, why) in cases {
            assert_eq!(suffix().initial_domain(label), Err(why), "{label}");
        }
    }

    #[test]
    fn u_02_a_label_has_at_most_32_characters_and_an_initial_domain_48() {
        let (short, long) = ("t.example".parse().unwrap(), "tenure.internal.example".parse().unwrap());
        let length = |suffix: &DomainSuffix, label: usize| {
            suffix.initial_domain(&"a".repeat(label)).map(|domain| domain.as_str().len())
        };
        assert_eq!(length(&suffix(), 32), Ok(48));
        assert_eq!(length(&short, 32), Ok(42));
        assert_eq!(length(&short, 33), Err(LabelInvalid::Length));
        assert_eq!(length(&long, 24), Ok(48));
        assert_eq!(length(&long, 25), Err(LabelInvalid::Domain(24)));
        let too_long = LabelInvalid::Length.to_string();
        assert!(too_long.contains(&format!("1 to {MOST_INITIAL_LABEL} ")), "{too_long}");
    }

    #[test]
    fn a_suffix_leaves_room_for_labels() {
        for wrong in ["", "internal", ".internal", "tenure.internal.", &format!("{}.b", "a".repeat(39))] {
            assert_eq!(wrong.parse::<DomainSuffix>(), Err(DomainSuffixInvalid), "{wrong}");
        }
        let longest = format!("{}.b", "a".repeat(38)).parse::<DomainSuffix>().unwrap();
        assert!(longest.initial_domain("contoso").is_ok());
    }

    #[test]
    fn a_domain_is_looked_up_in_any_case_but_without_a_dot_at_its_end() {
        assert_eq!(
            "Contoso.Tenure.INTERNAL".parse::<DomainName>().unwrap().as_str(),
            "contoso.tenure.internal"
        );
        let long = format!("{}.com", "a.".repeat(125) + "aa");
        for wrong in ["contoso", "contoso.com.", ".com", "a..b", "a b.com", "ä.com", "", &long] {
            assert_eq!(wrong.parse::<DomainName>(), Err(DomainNameInvalid), "{wrong}");
        }
    }

    fn added(text: &str) -> Result<String, NotAddable> {
        DomainName::to_add(text, &suffix()).map(String::from)
    }

    #[test]
    fn d_15_a_name_is_added_in_ascii_and_lower_case_however_it_is_written() {
        for (text, name) in [
            ("Contoso.COM", "contoso.com"),
            ("mail.contoso.co.uk", "mail.contoso.co.uk"),
            ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
            // Composed and decomposed, full width, an ideographic dot: one name (attack 15).
            ("mu\u{308}nchen.example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("\u{ff43}ontoso\u{3002}com", "contoso.com"),
            ("contoso.github.io", "contoso.github.io"),
        ] {
            assert_eq!(added(text).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn d_15_what_is_no_name_or_nobodys_is_not_added() {
        let long = format!("{}.com", "a.".repeat(125) + "aa");
        let label = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            "com",
            "contoso.com.",
            ".contoso.com",
            "a..com",
            "a b.com",
            "_dmarc.a.com",
            "-a.com",
            "a_b.com",
        ] {
            assert_eq!(added(text), Err(NotAddable::Name), "{text}");
        }
        for text in
            [long.as_str(), label.as_str(), "contoso.com\0", "xn--a.com", "a%.com", "'--.com", "a\n.com"]
        {
            assert_eq!(added(text), Err(NotAddable::Name), "{text:?}");
        }
        for text in ["192.0.2.1", "1.2", "a.0x7f"] {
            assert_eq!(added(text), Err(NotAddable::Address), "{text}");
        }
        for text in ["co.uk", "CO.UK", "github.io", "xn--55qx5d.cn"] {
            assert_eq!(added(text), Err(NotAddable::PublicSuffix), "{text}");
        }
        for text in ["tenure.internal", "contoso.Tenure.internal", "a.b.tenure.internal"] {
            assert_eq!(added(text), Err(NotAddable::OwnSuffix), "{text}");
        }
        // Only what lies below is the installation's.
        assert!(added("nottenure.internal").is_ok());
    }

    #[test]
    fn a_sub_domain_lies_below_what_was_registered() {
        let name: DomainName = "a.mail.contoso.co.uk".parse().unwrap();
        assert_eq!(name.root().as_str(), "contoso.co.uk");
        assert_eq!(name.root().root(), name.root());
        let above: Vec<String> = name.above().map(String::from).collect();
        assert_eq!(above, ["mail.contoso.co.uk", "contoso.co.uk", "co.uk"]);
        assert_eq!(name.reversed(), "uk.co.contoso.mail.a");
    }

    proptest! {
        #[test]
        fn what_is_added_is_a_name_of_its_own_and_adding_it_again_changes_nothing(text in "[a-zA-Zäß.\\-1]{0,40}|\\PC{0,16}") {
            if let Ok(name) = DomainName::to_add(&text, &suffix()) {
                prop_assert_eq!(DomainName::to_add(name.as_str(), &suffix()), Ok(name.clone()));
                prop_assert!(name == name.root() || name.is_below(&name.root()));
            }
        }

        #[test]
        fn what_is_accepted_as_a_label_is_a_domain_name_and_its_own_folded_form(label in "[ -~]{0,40}|\\PC{0,8}") {
            if let Ok(domain) = suffix().initial_domain(&label) {
                prop_assert_eq!(domain.as_str().parse::<DomainName>(), Ok(domain.clone()));
                prop_assert!(domain.as_str().len() <= MOST_INITIAL_DOMAIN);
                let first = domain.as_str().split('.').next().unwrap();
                prop_assert_eq!(suffix().initial_domain(first), Ok(domain.clone()));
            }
        }
    }
}
