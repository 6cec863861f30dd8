//! The public keys of access tokens, fetched from identity and kept for a while (K21).
//!
//! Rotation is identity's matter; this module only follows it.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use kernel::{Refusal, Timestamp};

/// The longest accepted key id, in bytes.
const MOST_KID_BYTES: usize = 64;
/// A key id that is not known causes at most one fetch in this time.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
/// The same before any fetch has succeeded: a process that starts before identity does not wait for long.
const FIRST_FETCH_PAUSE: Duration = Duration::from_secs(1);
/// How long known keys stay good when identity cannot be asked.
const KEYS_STAY_GOOD: Duration = Duration::from_hours(24);

/// One public key of a key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key id in token headers.
    pub kid: String,
    /// The Ed25519 public key, base64url without padding, as in a JSON Web Key.
    pub x: String,
}

/// All keys that identity signs with now or soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// How long the set may be used without asking again.
    pub max_age: Duration,
}

type Fetched = Pin<Box<dyn Future<Output = Result<KeySet, Refusal>> + Send>>;

/// How a process gets the key set: identity from its own database, the others by `GetJsonWebKeySet`.
#[derive(Clone)]
pub struct FetchKeys(Arc<dyn Fn() -> Fetched + Send + Sync>);

impl FetchKeys {
    /// Wraps the way.
    pub fn new<F, R>(fetch: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<KeySet, Refusal>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(fetch())))
    }
}

impl fmt::Debug for FetchKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchKeys")
    }
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, DecodingKey>,
    max_age: Duration,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// How many fetches have ended.
    tries: u64,
    /// Why the last fetch failed, if it did: what identity publishes meanwhile is not known then.
    failure: Option<Refusal>,
}

/// The keys known to this process.
pub(super) struct KeyRing {
    fetch: FetchKeys,
    /// Held by whoever fetches; the others wait and share the outcome.
    fetching: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

/// What the ring knows of a key id.
#[derive(Debug)]
pub(super) enum Lookup {
    Key(DecodingKey),
    Unknown,
}

impl KeyRing {
    pub(super) fn new(fetch: FetchKeys) -> Self {
        Self { fetch, fetching: tokio::sync::Mutex::default(), known: Mutex::default() }
    }

    /// The key with this id, fetched where it must be; a set that cannot be had is UNAVAILABLE, not a bad token.
    pub(super) async fn key(&self, kid: &str, now: Timestamp) -> Result<Lookup, Refusal> {
        if kid.is_empty() || kid.len() > MOST_KID_BYTES {
            return Ok(Lookup::Unknown);
        }
        let (fresh, tries) = {
            let known = self.known();
            (known.key(kid, now, known.max_age), known.tries)
        };
        if let Some(key) = fresh {
            return Ok(Lookup::Key(key));
        }
        self.follow(kid, now, tries).await;
        let known = self.known();
        match (known.key(kid, now, KEYS_STAY_GOOD), &known.failure) {
            (Some(key), _) => Ok(Lookup::Key(key)),
            (None, Some(refusal)) => Err(refusal.clone()),
            (None, None) => Ok(Lookup::Unknown),
        }
    }

    /// Fetches the set, unless another caller has done so since `tries` fetches had ended, or did so just before.
    async fn follow(&self, kid: &str, now: Timestamp, tries: u64) {
        let _turn = match self.fetching.try_lock() {
            Ok(turn) => turn,
            // A key that is still good need not wait for others' fetch.
            Err(_) if self.known().key(kid, now, KEYS_STAY_GOOD).is_some() => return,
            Err(_) => self.fetching.lock().await,
        };
        if !self.known().begin_fetch(now, tries) {
            return;
        }
        let fetched = (self.fetch.0)().await;
        self.known().learn(fetched, now);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The key with this id, unless the set is older than `age`.
    fn key(&self, kid: &str, now: Timestamp, age: Duration) -> Option<DecodingKey> {
        let good = self.fetched_at.is_some_and(|at| now.since(at) <= age);
        self.keys.get(kid).filter(|_| good).cloned()
    }

    /// Whether it is time for a fetch, which is then under way.
    ///
    /// Where keys are known, a fetch that its caller's deadline cuts off counts like another: known keys go on serving.
    /// Before, it counts for nothing: with short deadlines anybody could keep the first keys from all others.
    fn begin_fetch(&mut self, now: Timestamp, tries: u64) -> bool {
        let pause = if self.fetched_at.is_some() { REFETCH_PAUSE } else { FIRST_FETCH_PAUSE };
        let begins = self.tries == tries && self.tried_at.is_none_or(|at| now.since(at) >= pause);
        if begins && self.fetched_at.is_some() {
            self.tried_at = Some(now);
        }
        begins
    }

    /// Takes in what a fetch that began at `now` brought.
    fn learn(&mut self, fetched: Result<KeySet, Refusal>, now: Timestamp) {
        self.tries += 1;
        self.tried_at = Some(now);
        match fetched {
            Ok(set) => {
                let decoded =
                    |key: &PublicKey| Some((key.kid.clone(), DecodingKey::from_ed_components(&key.x).ok()?));
                self.keys = set.keys.iter().filter_map(decoded).collect();
                self.max_age = set.max_age;
                self.fetched_at = Some(now);
                self.failure = None;
            }
            Err(refusal) => self.failure = Some(refusal),
        }
    }
}
