//! Etags: the opaque face of a resource's revision.

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::reason;
use crate::refusal::{Code, Refusal};

/// What a client sends back to say which revision it has read; empty means "whatever is there".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The etag of a resource's revision.
    pub fn of(revision: i64) -> Self {
        Self(URL_SAFE_NO_PAD.encode(revision.to_be_bytes()))
    }

    /// An etag as received; any text is one, most match nothing.
    pub fn received(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// Refuses when a received etag is not that of the resource as it is now.
    pub fn guard(received: Option<&Self>, revision: i64, resource: impl Display) -> Result<(), Refusal> {
        match received {
            Some(etag) if *etag != Self::of(revision) => Err(Refusal::new(
                Code::Aborted,
                reason::ETAG_MISMATCH,
                "the resource has changed since it was read",
            )
            .with("resource", resource)),
            _ => Ok(()),
        }
    }
}

impl From<Etag> for String {
    fn from(etag: Etag) -> Self {
        etag.0
    }
}

impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_etag_of_the_same_revision_passes() {
        let read = Etag::received(String::from(Etag::of(3)));
        assert!(Etag::guard(read.as_ref(), 3, "things/1").is_ok());
        assert_eq!(Etag::guard(read.as_ref(), 4, "things/1").unwrap_err().reason(), reason::ETAG_MISMATCH);
        assert!(Etag::guard(None, 4, "things/1").is_ok());
    }
}
