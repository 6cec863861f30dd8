//! Resume tokens: a place in one feed of one log, authenticated; they grant nothing (K31).
//!
//! A token names no caller and no filter, so that a stream that one replica ended goes on at another, under a new token.

use std::fmt;

use access::service_key::PrivateKey;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use database::feed::{Place, Point};
use kernel::{FieldViolation, Refusal, reason};
use uuid::Uuid;

const VERSION: u8 = 1;
const KEY_ID_BYTES: usize = 4;
const TAG_BYTES: usize = 32;
/// Version, key id, log, position, mark, and what kind of place it is.
const TOLD_BYTES: usize = 1 + KEY_ID_BYTES + 16 + 8 + 8 + 1;
/// Longer texts are no tokens of ours, and are not decoded (attack 31).
const MOST_TEXT_BYTES: usize = 256;

const IN_LOG: u8 = 0;
const SNAPSHOT_BEGINS: u8 = 1;
const IN_SNAPSHOT: u8 = 2;

/// Where a feed goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor {
    /// With the changes behind this place.
    Log(Place),
    /// With a snapshot behind this id, and the changes behind the place after it.
    Snapshot(Place, Option<Uuid>),
}

impl Cursor {
    /// Where the log is read from, now or after the snapshot.
    pub(super) const fn place(&self) -> &Place {
        match self {
            Self::Log(place) | Self::Snapshot(place, _) => place,
        }
    }
}

/// Makes and reads the tokens of one feed; every replica with the same key reads them.
pub(super) struct ResumeTokens {
    key: hmac::Key,
    key_id: [u8; KEY_ID_BYTES],
}

impl ResumeTokens {
    /// Tokens of a feed, under a secret that is derived from the service's key.
    pub(super) fn new(key: &PrivateKey, feed: &str) -> Self {
        let secret = key.derive(&format!("resume-token {feed}"));
        let fingerprint = digest::digest(&digest::SHA256, &secret);
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&fingerprint.as_ref()[..KEY_ID_BYTES]);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), key_id }
    }

    /// The token of a place.
    pub(super) fn make(&self, cursor: &Cursor) -> String {
        let mut bytes = Vec::with_capacity(TOLD_BYTES + 16 + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.key_id);
        let Place { log, point } = cursor.place();
        bytes.extend_from_slice(log.as_bytes());
        bytes.extend_from_slice(&point.position.to_be_bytes());
        bytes.extend_from_slice(&point.mark);
        match cursor {
            Cursor::Log(_) => bytes.push(IN_LOG),
            Cursor::Snapshot(_, None) => bytes.push(SNAPSHOT_BEGINS),
            Cursor::Snapshot(_, Some(after)) => {
                bytes.push(IN_SNAPSHOT);
                bytes.extend_from_slice(after.as_bytes());
            }
        }
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token.
    pub(super) fn read(&self, token: &str) -> Result<Cursor, Refusal> {
        self.place_of(token).ok_or_else(invalid)
    }

    fn place_of(&self, token: &str) -> Option<Cursor> {
        if token.len() > MOST_TEXT_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (told, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        hmac::verify(&self.key, told, tag).ok()?;
        let told = told.strip_prefix(&[VERSION])?.strip_prefix(&self.key_id)?;
        let (log, told) = told.split_first_chunk()?;
        let (position, told) = told.split_first_chunk()?;
        let (mark, told) = told.split_first_chunk()?;
        let point = Point { position: i64::from_be_bytes(*position), mark: *mark };
        let place = Place { log: Uuid::from_bytes(*log), point };
        match told {
            [IN_LOG] => Some(Cursor::Log(place)),
            [SNAPSHOT_BEGINS] => Some(Cursor::Snapshot(place, None)),
            [IN_SNAPSHOT, after @ ..] => Some(Cursor::Snapshot(place, Some(Uuid::from_slice(after).ok()?))),
            _ => None,
        }
    }
}

impl fmt::Debug for ResumeTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeTokens(hidden)")
    }
}

/// A forged token, one of another feed and one of another log look alike.
pub(super) fn invalid() -> Refusal {
    Refusal::invalid_fields(vec![FieldViolation {
        field: "resume_token".to_owned(),
        description: "is no resume_token of this feed as it was received; begin with a snapshot".to_owned(),
        reason: reason::RESUME_TOKEN_INVALID,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> [Cursor; 3] {
        let place = Place { log: Uuid::from_u128(7), point: Point { position: 4_711, mark: *b"a digest" } };
        [Cursor::Log(place), Cursor::Snapshot(place, None), Cursor::Snapshot(place, Some(Uuid::from_u128(9)))]
    }

    #[test]
    fn a_token_tells_its_place_to_every_replica() {
        let key = PrivateKey::generate().unwrap();
        let (here, there) = (ResumeTokens::new(&key, "things"), ResumeTokens::new(&key, "things"));
        for cursor in cursors() {
            assert_eq!(there.read(&here.make(&cursor)), Ok(cursor));
        }
    }

    #[test]
    fn attack_33_a_token_that_was_altered_or_made_elsewhere_is_none() {
        let key = PrivateKey::generate().unwrap();
        let tokens = ResumeTokens::new(&key, "things");
        let others = [
            ResumeTokens::new(&key, "other things"),
            ResumeTokens::new(&PrivateKey::generate().unwrap(), "things"),
        ];
        for cursor in cursors() {
            let token = tokens.make(&cursor);
            assert!(others.iter().all(|other| other.read(&token) == Err(invalid())));
            let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            for index in 0..bytes.len() {
                let mut altered = bytes.clone();
                altered[index] ^= 1;
                assert_eq!(tokens.read(&URL_SAFE_NO_PAD.encode(altered)), Err(invalid()), "byte {index}");
            }
            assert_eq!(tokens.read(&token[..token.len() - 2]), Err(invalid()));
        }
        for text in ["", "!", &"A".repeat(10_000)] {
            assert_eq!(tokens.read(text), Err(invalid()));
        }
    }
}
