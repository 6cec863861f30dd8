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
/// An unknown key id causes at most one fetch in this time.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);
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
}

/// The keys known to this process.
pub(super) struct KeyRing {
    fetch: FetchKeys,
    known: Mutex<Known>,
}

/// What the ring knows of a key id.
pub(super) enum Lookup {
    Key(DecodingKey),
    Unknown,
}

impl KeyRing {
    pub(super) fn new(fetch: FetchKeys) -> Self {
        Self { fetch, known: Mutex::default() }
    }

    /// The key with this id, fetched where it must be; a set that cannot be had is UNAVAILABLE, not a bad token.
    pub(super) async fn key(&self, kid: &str, now: Timestamp) -> Result<Lookup, Refusal> {
        if kid.is_empty() || kid.len() > MOST_KID_BYTES {
            return Ok(Lookup::Unknown);
        }
        if let Some(key) = self.fresh(kid, now) {
            return Ok(Lookup::Key(key));
        }
        let failed = if self.may_fetch(now) { self.refresh(now).await.err() } else { None };
        match (self.good(kid, now), failed) {
            (Some(key), _) => Ok(Lookup::Key(key)),
            (None, Some(refusal)) => Err(refusal),
            (None, None) if self.has_keys(now) => Ok(Lookup::Unknown),
            (None, None) => Err(Refusal::dependency_unavailable("identity-service")),
        }
    }

    async fn refresh(&self, now: Timestamp) -> Result<(), Refusal> {
        let set = (self.fetch.0)().await?;
        let keys = set
            .keys
            .iter()
            .filter_map(|key| Some((key.kid.clone(), DecodingKey::from_ed_components(&key.x).ok()?)));
        let mut known = self.known();
        known.keys = keys.collect();
        known.max_age = set.max_age;
        known.fetched_at = Some(now);
        Ok(())
    }

    fn fresh(&self, kid: &str, now: Timestamp) -> Option<DecodingKey> {
        let known = self.known();
        let fresh = known.fetched_at.is_some_and(|at| now.since(at) <= known.max_age);
        known.keys.get(kid).filter(|_| fresh).cloned()
    }

    fn good(&self, kid: &str, now: Timestamp) -> Option<DecodingKey> {
        let known = self.known();
        let good = known.fetched_at.is_some_and(|at| now.since(at) <= KEYS_STAY_GOOD);
        known.keys.get(kid).filter(|_| good).cloned()
    }

    fn has_keys(&self, now: Timestamp) -> bool {
        self.known().fetched_at.is_some_and(|at| now.since(at) <= KEYS_STAY_GOOD)
    }

    fn may_fetch(&self, now: Timestamp) -> bool {
        let mut known = self.known();
        let may =
            known.fetched_at.is_none() || known.tried_at.is_none_or(|at| now.since(at) >= REFETCH_PAUSE);
        if may {
            known.tried_at = Some(now);
        }
        may
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
