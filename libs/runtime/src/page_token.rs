//! Page tokens: where the next page begins, authenticated for exactly one request (K31, attack 33).
//!
//! A token grants nothing: every page is authorised anew. It is not encrypted, so a sort key holds no secret.

use std::fmt;
use std::time::Duration;

use access::service_key::PrivateKey;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Clock, DirectoryId, FieldViolation, Refusal, Timestamp, Violations, reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// How long a token is good.
pub const PAGE_TOKEN_LIFETIME: Duration = Duration::from_hours(72);

const VERSION: u8 = 1;
/// Longer texts are no tokens of ours, and are not decoded (attack 31). Ours may carry a name of 256 letters, some of
/// which grow to twelve bytes where they are folded.
const MOST_TEXT_BYTES: usize = 8192;
const KEY_ID_BYTES: usize = 4;
const TAG_BYTES: usize = 32;
/// Version, key id, directory, issue time.
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + 16 + 8;

const DEFAULT_SIZE: i64 = 50;
const MOST_SIZE: i64 = 1000;

/// The request that a token belongs to: all that gives the list its meaning.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The full method name.
    pub method: &'a str,
    /// Who asks, as [`access::Caller::actor`] says.
    pub actor: &'a str,
    /// The directory whose things are listed, where it is one.
    pub directory: Option<DirectoryId>,
    /// Parent, filter, order and whatever else changes the list; never the page size.
    pub scope: &'a [&'a str],
}

/// Makes and reads the page tokens of one service; every replica with the same key reads them.
#[derive(Clone)]
pub struct PageTokens {
    key: hmac::Key,
    key_id: [u8; KEY_ID_BYTES],
    clock: Clock,
}

impl PageTokens {
    /// Page tokens under a secret that is derived from the service's key.
    pub fn new(key: &PrivateKey, clock: Clock) -> Self {
        let secret = key.derive("page-token");
        let fingerprint = digest::digest(&digest::SHA256, &secret);
        let mut key_id = [0; KEY_ID_BYTES];
        key_id.copy_from_slice(&fingerprint.as_ref()[..KEY_ID_BYTES]);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), key_id, clock }
    }

    /// The sort key after which the page begins; nothing for the first page.
    pub fn after(&self, request: &PageRequest<'_>, token: &str) -> Result<Option<Vec<u8>>, Refusal> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > MOST_TEXT_BYTES {
            return Err(Cause::Malformed.refusal());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Cause::Malformed.refusal())?;
        self.read(request, &bytes).map(Some).map_err(Cause::refusal)
    }

    /// The token of the page that begins after this sort key.
    pub fn next(&self, request: &PageRequest<'_>, last_sort_key: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + last_sort_key.len() + TAG_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.key_id);
        bytes.extend_from_slice(directory(request).as_bytes());
        bytes.extend_from_slice(&self.clock.now().micros().to_be_bytes());
        bytes.extend_from_slice(last_sort_key);
        let tag = hmac::sign(&self.key, &authenticated(request, &bytes));
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// As [`Self::after`], for sort keys that are plain values or tuples of them.
    pub fn after_key<T: DeserializeOwned>(
        &self,
        request: &PageRequest<'_>,
        token: &str,
    ) -> Result<Option<T>, Refusal> {
        let Some(sort_key) = self.after(request, token)? else { return Ok(None) };
        // A genuine token can hold another shape: a newer release may have changed the order.
        serde_json::from_slice(&sort_key).map(Some).map_err(|_| Cause::Malformed.refusal())
    }

    /// Cuts rows that were fetched with the limit `size + 1`: the page, and the next one's token, empty at the end.
    pub fn cut<T, K: Serialize>(
        &self,
        request: &PageRequest<'_>,
        mut rows: Vec<T>,
        size: i64,
        sort_key: impl Fn(&T) -> K,
    ) -> (Vec<T>, String) {
        let size = usize::try_from(size).unwrap_or(0);
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| self.next_key(request, &sort_key(row))).unwrap_or_default();
        (rows, next)
    }

    /// As [`Self::next`], for sort keys that are plain values or tuples of them.
    fn next_key<T: Serialize>(&self, request: &PageRequest<'_>, last_sort_key: &T) -> String {
        let sort_key =
            serde_json::to_vec(last_sort_key).expect("plain values and tuples of them have a JSON form");
        self.next(request, &sort_key)
    }

    fn read(&self, request: &PageRequest<'_>, bytes: &[u8]) -> Result<Vec<u8>, Cause> {
        if bytes.len() < HEAD_BYTES + TAG_BYTES || bytes[0] != VERSION {
            return Err(Cause::Malformed);
        }
        let (told, tag) = bytes.split_at(bytes.len() - TAG_BYTES);
        let (head, sort_key) = told.split_at(HEAD_BYTES);
        let (named, issued_at) = head[1 + KEY_ID_BYTES..].split_at(16);
        if head[1..=KEY_ID_BYTES] != self.key_id || named != directory(request).as_bytes() {
            return Err(Cause::NotForThisRequest);
        }
        hmac::verify(&self.key, &authenticated(request, told), tag).map_err(|_| Cause::NotForThisRequest)?;
        let issued_at = i64::from_be_bytes(issued_at.try_into().map_err(|_| Cause::Malformed)?);
        if self.clock.now().since(Timestamp::from_micros(issued_at)) > PAGE_TOKEN_LIFETIME {
            return Err(Cause::Expired);
        }
        Ok(sort_key.to_vec())
    }
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageTokens(hidden)")
    }
}

/// Why a token is refused. A forged one and one of another request look alike.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Malformed,
    NotForThisRequest,
    Expired,
}

impl Cause {
    fn refusal(self) -> Refusal {
        let (cause, description) = match self {
            Self::Malformed => ("malformed", "must be empty or a next_page_token as it was received"),
            Self::NotForThisRequest => (
                "not_for_this_request",
                "was made for another caller, parent, filter or order; begin again without a token",
            ),
            Self::Expired => ("expired", "is older than three days; begin again without a token"),
        };
        Refusal::invalid_fields(vec![FieldViolation {
            field: "page_token".to_owned(),
            description: description.to_owned(),
            reason: reason::PAGE_TOKEN_INVALID,
        }])
        .with("cause", cause)
    }
}

fn directory(request: &PageRequest<'_>) -> Uuid {
    request.directory.map_or(Uuid::nil(), DirectoryId::uuid)
}

/// What the tag is over: the token's own bytes and the request. Each part has its length in front, so that no two
/// requests give the same bytes.
fn authenticated(request: &PageRequest<'_>, told: &[u8]) -> Vec<u8> {
    let mut scope = digest::Context::new(&digest::SHA256);
    for part in request.scope {
        scope.update(&length(part.as_bytes()));
        scope.update(part.as_bytes());
    }
    let mut bytes = Vec::new();
    for part in [told, request.method.as_bytes(), request.actor.as_bytes(), scope.finish().as_ref()] {
        bytes.extend_from_slice(&length(part));
        bytes.extend_from_slice(part);
    }
    bytes
}

fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

/// The number of rows of a page: 0 means 50, more than 1000 means 1000, a negative number is a violation.
pub fn page_size(violations: &mut Violations, requested: i32) -> Option<i64> {
    match i64::from(requested) {
        ..0 => {
            violations.add("page_size", "must not be negative");
            None
        }
        0 => Some(DEFAULT_SIZE),
        size => Some(size.min(MOST_SIZE)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use kernel::Code;

    use super::*;

    const METHOD: &str = "/tenure.identity.v1.UserService/ListUsers";

    fn directory_id(last: u128) -> DirectoryId {
        DirectoryId::from_uuid(Uuid::from_u128(last))
    }

    fn request() -> PageRequest<'static> {
        PageRequest {
            method: METHOD,
            actor: "directories/a/users/b",
            directory: None,
            scope: &["parent", "state = X"],
        }
    }

    fn tokens_at(key: &PrivateKey) -> (PageTokens, Arc<AtomicI64>) {
        let now = Arc::new(AtomicI64::new(1_700_000_000));
        let seconds = now.clone();
        let clock = Clock::new(move || Timestamp::from_seconds(seconds.load(Ordering::SeqCst)));
        (PageTokens::new(key, clock), now)
    }

    fn tokens() -> PageTokens {
        tokens_at(&PrivateKey::generate().unwrap()).0
    }

    fn cause(tokens: &PageTokens, request: &PageRequest<'_>, token: &str) -> String {
        let refusal = tokens.after(request, token).unwrap_err();
        assert_eq!((refusal.code(), refusal.reason()), (Code::InvalidArgument, reason::PAGE_TOKEN_INVALID));
        assert_eq!(refusal.violations()[0].field, "page_token");
        let [(key, cause)] = refusal.metadata() else { panic!("{refusal:?}") };
        assert_eq!(*key, "cause");
        cause.clone()
    }

    #[test]
    fn a_token_leads_on_in_the_same_request() {
        let tokens = tokens();
        assert_eq!(tokens.after(&request(), ""), Ok(None));
        for sort_key in [&b""[..], b"ada", &[0, 255, 1]] {
            let token = tokens.next(&request(), sort_key);
            assert_eq!(tokens.after(&request(), &token), Ok(Some(sort_key.to_vec())));
        }
        let key = ("ada".to_owned(), 7_i64, directory_id(1));
        let token = tokens.next_key(&request(), &key);
        assert_eq!(tokens.after_key(&request(), &token), Ok(Some(key)));
        assert_eq!(tokens.after_key::<i64>(&request(), ""), Ok(None));
        let refusal = tokens.after_key::<i64>(&request(), &token).unwrap_err();
        assert_eq!(refusal.reason(), reason::PAGE_TOKEN_INVALID);
    }

    #[test]
    fn every_replica_with_the_key_reads_the_token_and_nobody_else_does() {
        let key = PrivateKey::generate().unwrap();
        let token = tokens_at(&key).0.next(&request(), b"ada");
        assert!(tokens_at(&key).0.after(&request(), &token).is_ok());
        assert_eq!(cause(&tokens(), &request(), &token), "not_for_this_request");
    }

    #[test]
    fn a_token_of_another_request_is_refused() {
        let tokens = tokens();
        let own = PageRequest { directory: Some(directory_id(1)), ..request() };
        let token = tokens.next(&own, b"ada");
        let others = [
            PageRequest { method: "/tenure.identity.v1.UserService/ListRoleAssignments", ..own },
            PageRequest { actor: "directories/a/users/c", ..own },
            PageRequest { directory: Some(directory_id(2)), ..own },
            PageRequest { directory: None, ..own },
            PageRequest { scope: &["parent", "state = Y"], ..own },
            PageRequest { scope: &["parents", "tate = X"], ..own },
            PageRequest { scope: &["parent"], ..own },
            PageRequest { scope: &["parent", "state = X", ""], ..own },
        ];
        for other in others {
            assert_eq!(cause(&tokens, &other, &token), "not_for_this_request", "{other:?}");
        }
        assert!(tokens.after(&own, &token).is_ok());
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let tokens = tokens();
        let token = tokens.next(&request(), b"ada");
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[index] ^= 1;
            cause(&tokens, &request(), &URL_SAFE_NO_PAD.encode(forged));
        }
        let mut longer = bytes.clone();
        longer.insert(HEAD_BYTES, b'x');
        assert_eq!(cause(&tokens, &request(), &URL_SAFE_NO_PAD.encode(longer)), "not_for_this_request");
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let tokens = tokens();
        let token = tokens.next(&request(), b"ada");
        let short = URL_SAFE_NO_PAD.encode([VERSION; HEAD_BYTES + TAG_BYTES - 1]);
        let padded = format!("{token}=");
        for broken in ["x", "nonsense!", &short, &padded, &"A".repeat(MOST_TEXT_BYTES + 1)] {
            assert_eq!(cause(&tokens, &request(), broken), "malformed", "{broken}");
        }
    }

    #[test]
    fn a_token_lives_three_days() {
        let (tokens, now) = tokens_at(&PrivateKey::generate().unwrap());
        let token = tokens.next(&request(), b"ada");
        let three_days = 3 * 24 * 60 * 60;
        now.fetch_add(three_days, Ordering::SeqCst);
        assert!(tokens.after(&request(), &token).is_ok());
        now.fetch_add(1, Ordering::SeqCst);
        assert_eq!(cause(&tokens, &request(), &token), "expired");
        // A replica whose clock is behind takes a token from its future.
        now.fetch_sub(three_days * 2, Ordering::SeqCst);
        assert!(tokens.after(&request(), &token).is_ok());
    }

    #[test]
    fn page_sizes_are_bounded() {
        let mut violations = Violations::new();
        let sizes = [0, 1, 1000, 1001, i32::MAX].map(|requested| page_size(&mut violations, requested));
        assert_eq!(sizes, [Some(50), Some(1), Some(1000), Some(1000), Some(1000)]);
        assert!(violations.finish().is_ok());
        let mut violations = Violations::new();
        assert_eq!(page_size(&mut violations, -1), None);
        assert_eq!(violations.finish().unwrap_err().violations()[0].field, "page_size");
    }

    #[test]
    fn the_row_beyond_the_page_says_that_more_follow() {
        let tokens = tokens();
        let cut = |rows: Vec<i32>| tokens.cut(&request(), rows, 2, |row| *row);
        let (page, next) = cut(vec![1, 2, 3]);
        assert_eq!((page, tokens.after_key(&request(), &next)), (vec![1, 2], Ok(Some(2))));
        assert_eq!(cut(vec![1, 2]), (vec![1, 2], String::new()));
        assert_eq!(cut(vec![]), (vec![], String::new()));
    }
}
