//! The keys that access tokens are signed with: made, published, rotated and retired (K21).
//!
//! They are rows of this database, sealed with a key that is derived from the service's own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::service_key::PrivateKey;
use access::token::{ACCESS_TOKEN_LIFETIME, FetchKeys, KeySet, PublicKey};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use database::{Db, StoreError, bookkeeping};
use kernel::{Ids, Timestamp};

use crate::domain::refused::Refused;
use crate::store::signing_keys::{self, StoredKey};

/// How long others may keep the published keys.
pub(crate) const MAX_AGE: Duration = Duration::from_mins(5);
/// A new key is published this long before it signs anything.
const PUBLISHED_BEFORE_USE: Duration = MAX_AGE.saturating_mul(2);
/// How long a key signs before the next one is made.
const ROTATION: Duration = Duration::from_hours(30 * 24);
/// How long a key stays published after its last token could live.
const STAYS_PUBLISHED: Duration = Duration::from_hours(24);

/// A key ready to sign.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: PrivateKey,
}

#[derive(Debug)]
struct Cached {
    signer: Arc<Signer>,
    loaded_at: Timestamp,
}

/// All signing keys of this context.
#[derive(Debug, Clone)]
pub(crate) struct SigningKeys {
    db: Db,
    ids: Ids,
    seal: [u8; 32],
    cached: Arc<Mutex<Option<Cached>>>,
}

impl SigningKeys {
    /// The keys in this database, sealed with a secret of the service's key.
    pub(crate) fn new(db: Db, ids: Ids, key: &PrivateKey) -> Self {
        Self { db, ids, seal: key.derive("signing-keys"), cached: Arc::default() }
    }

    /// The key to sign with now.
    pub(crate) async fn signer(&self, now: Timestamp) -> Result<Arc<Signer>, Refused> {
        if let Some(signer) = self.remembered(now) {
            return Ok(signer);
        }
        let keys = self.live(now).await?;
        // The newest that is in use; a first key is in use from the beginning.
        let stored = keys.iter().rev().find(|key| key.use_time <= now).or_else(|| keys.first());
        let stored = stored.ok_or(Refused::Defect("there is no signing key"))?;
        let signer = Arc::new(Signer { kid: stored.kid.clone(), key: self.unseal(stored)? });
        *self.lock_cached() = Some(Cached { signer: Arc::clone(&signer), loaded_at: now });
        Ok(signer)
    }

    /// The public halves of all live keys.
    pub(crate) async fn key_set(&self, now: Timestamp) -> Result<KeySet, Refused> {
        let keys = self.live(now).await?;
        let public = |key: StoredKey| PublicKey { kid: key.kid, x: key.public_x };
        Ok(KeySet { keys: keys.into_iter().map(public).collect(), max_age: MAX_AGE })
    }

    /// How this process's own verifier gets the keys: from its own database.
    pub(crate) fn fetch_keys(&self, clock: kernel::Clock) -> FetchKeys {
        let keys = self.clone();
        FetchKeys::new(move || {
            let (keys, clock) = (keys.clone(), clock.clone());
            async move { Ok(keys.key_set(clock.now()).await?) }
        })
    }

    /// Makes the next key when the newest has signed long enough, and removes those whose tokens have all ended.
    pub(crate) async fn rotate(&self, now: Timestamp) -> Result<(), Refused> {
        let keys = self.live(now).await?;
        let due = keys.last().is_some_and(|key| now.since(key.create_time) >= ROTATION);
        if due || retired(&keys, now).next().is_some() {
            self.change(now).await?;
        }
        Ok(())
    }

    /// All keys; a first one is made where there is none.
    async fn live(&self, now: Timestamp) -> Result<Vec<StoredKey>, Refused> {
        let mut tx = self.db.read().await?;
        let keys = signing_keys::list(&mut tx).await?;
        drop(tx);
        if keys.is_empty() { self.change(now).await } else { Ok(keys) }
    }

    /// Makes and removes keys under the lock, so that two processes make one.
    async fn change(&self, now: Timestamp) -> Result<Vec<StoredKey>, Refused> {
        bookkeeping(|| self.change_once(now)).await
    }

    async fn change_once(&self, now: Timestamp) -> Result<Vec<StoredKey>, Refused> {
        let mut tx = self.db.write().await?;
        signing_keys::lock(&mut tx).await?;
        let keys = signing_keys::list(&mut tx).await?;
        match keys.last() {
            None => signing_keys::insert(&mut tx, &self.new_key(now, now)?).await?,
            Some(newest) if now.since(newest.create_time) >= ROTATION => {
                let key = self.new_key(now, now.plus(PUBLISHED_BEFORE_USE))?;
                signing_keys::insert(&mut tx, &key).await?;
            }
            Some(_) => {}
        }
        for key in retired(&keys, now) {
            signing_keys::delete(&mut tx, &key.kid).await?;
        }
        let keys = signing_keys::list(&mut tx).await?;
        tx.commit_bookkeeping().await?;
        Ok(keys)
    }

    fn new_key(&self, now: Timestamp, use_time: Timestamp) -> Result<StoredKey, Refused> {
        let key = PrivateKey::generate().map_err(|_| Refused::Defect("no key could be made"))?;
        let kid = self.ids.random().to_string();
        let mut text = key.pkcs8().to_vec();
        let nonce = self.sealing_key()?.seal_in_place_append_tag(Aad::from(kid.as_bytes()), &mut text);
        let nonce = nonce.map_err(|_| Refused::Defect("a signing key could not be sealed"))?;
        let sealed = [nonce.as_ref(), text.as_slice()].concat();
        Ok(StoredKey { kid, public_x: key.public_x(), sealed, create_time: now, use_time })
    }

    fn unseal(&self, stored: &StoredKey) -> Result<PrivateKey, Refused> {
        let corrupt = || Refused::Store(StoreError::Corrupt("signing key"));
        let (nonce, text) = stored.sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(corrupt)?;
        let mut text = text.to_vec();
        let opened = self
            .sealing_key()?
            .open_in_place(Nonce::from(nonce), Aad::from(stored.kid.as_bytes()), &mut text)
            .map_err(|_| corrupt())?;
        PrivateKey::from_pkcs8(opened).map_err(|_| corrupt())
    }

    fn sealing_key(&self) -> Result<RandomizedNonceKey, Refused> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.seal).map_err(|_| Refused::Defect("no sealing key"))
    }

    fn remembered(&self, now: Timestamp) -> Option<Arc<Signer>> {
        let cached = self.lock_cached();
        let fresh = cached.as_ref().filter(|cached| now.since(cached.loaded_at) < MAX_AGE)?;
        Some(Arc::clone(&fresh.signer))
    }

    fn lock_cached(&self) -> std::sync::MutexGuard<'_, Option<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys that a later one replaced so long ago that no token of theirs is alive, and a day more.
///
/// A process signs with a replaced key for up to `MAX_AGE` more, while it remembers it.
fn retired(keys: &[StoredKey], now: Timestamp) -> impl Iterator<Item = &StoredKey> {
    keys.windows(2).filter_map(move |pair| {
        let [key, next] = pair else { return None };
        let last_token_ends = next.use_time.plus(MAX_AGE).plus(ACCESS_TOKEN_LIFETIME);
        (last_token_ends.plus(STAYS_PUBLISHED) <= now).then_some(key)
    })
}
