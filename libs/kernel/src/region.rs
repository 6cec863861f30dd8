//! Countries and regions by their two-letter code (D-02, U-06); what is sold or forbidden where is not told here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A text is not the code of a country or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a country or region of ISO 3166-1: two upper-case letters")]
pub struct RegionInvalid;

/// A country or region: two upper-case letters of ISO 3166-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionCode([u8; 2]);

#[derive(Deserialize)]
struct File {
    countries: Vec<Country>,
}

#[derive(Deserialize)]
struct Country {
    code: String,
}

static CODES: LazyLock<BTreeSet<[u8; 2]>> = LazyLock::new(|| {
    let file: File = serde_json::from_str(include_str!("../data/countries.json"))
        .expect("the embedded country data is read by a test");
    file.countries.iter().filter_map(|country| country.code.as_bytes().try_into().ok()).collect()
});

impl RegionCode {
    /// What a directory gets when nobody says otherwise (D-02).
    pub const UNITED_STATES: Self = Self(*b"US");

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("codes are two ASCII letters")
    }
}

impl FromStr for RegionCode {
    type Err = RegionInvalid;

    fn from_str(text: &str) -> Result<Self, RegionInvalid> {
        let code = text.as_bytes().try_into().map_err(|_| RegionInvalid)?;
        if CODES.contains(&code) { Ok(Self(code)) } else { Err(RegionInvalid) }
    }
}

impl fmt::Display for RegionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for RegionCode {
    type Error = RegionInvalid;
    fn try_from(text: String) -> Result<Self, RegionInvalid> {
        text.parse()
    }
}

impl From<RegionCode> for String {
    fn from(code: RegionCode) -> Self {
        code.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_has_every_country_once() {
        assert_eq!(CODES.len(), 249);
        assert_eq!("US".parse(), Ok(RegionCode::UNITED_STATES));
    }

    #[test]
    fn a_region_has_one_spelling() {
        for wrong in ["", "us", "Us", "USA", "U", "XX", "ü", " US"] {
            assert_eq!(wrong.parse::<RegionCode>(), Err(RegionInvalid), "{wrong}");
        }
        let germany: RegionCode = "DE".parse().unwrap();
        let json = serde_json::to_string(&germany).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), ("\"DE\"", germany));
    }
}
