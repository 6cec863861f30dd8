//! K21: how often the key set is fetched, how long it is believed, and what a caller is told meanwhile.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kernel::{Clock, Refusal, Timestamp, reason};
use tokio::sync::RwLock;

use super::*;
use crate::caller::{Caller, Service};
use crate::service_key::PrivateKey;

const START: i64 = 1_768_478_400;
const ISSUER: &str = "tenure";
const FETCH: Duration = Duration::from_secs(10);

/// Identity's published keys, how often they were asked for, and a clock.
struct World {
    verifier: Arc<TokenVerifier>,
    published: Arc<Mutex<Option<KeySet>>>,
    fetches: Arc<AtomicUsize>,
    /// While it stands, fetches wait.
    gate: Arc<RwLock<()>>,
    millis: Arc<AtomicI64>,
    key: PrivateKey,
}

impl World {
    fn new() -> Self {
        let published: Arc<Mutex<Option<KeySet>>> = Arc::default();
        let (fetches, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(RwLock::new(())));
        let millis = Arc::new(AtomicI64::new(START * 1_000));
        let read = Arc::clone(&millis);
        let clock = Clock::new(move || Timestamp::from_micros(read.load(Ordering::SeqCst) * 1_000));
        let fetch = {
            let (published, fetches) = (Arc::clone(&published), Arc::clone(&fetches));
            let gate = Arc::clone(&gate);
            FetchKeys::new(move || {
                fetches.fetch_add(1, Ordering::SeqCst);
                let (published, gate) = (Arc::clone(&published), Arc::clone(&gate));
                async move {
                    let _open = gate.read().await;
                    let published = published.lock().unwrap().clone();
                    published.ok_or_else(|| Refusal::dependency_unavailable("identity-service"))
                }
            })
        };
        let own = Service::Directory;
        let verifier = Arc::new(TokenVerifier::new(own, ISSUER.to_owned(), Trust::default(), fetch, clock));
        Self { verifier, published, fetches, gate, millis, key: PrivateKey::generate().unwrap() }
    }

    /// Identity publishes these key ids, all of one key; without any it cannot be asked.
    fn publish(&self, kids: &[&str]) {
        let key = |kid: &&str| PublicKey { kid: (*kid).to_owned(), x: self.key.public_x() };
        let set = KeySet { keys: kids.iter().map(key).collect(), max_age: Duration::from_mins(5) };
        *self.published.lock().unwrap() = (!kids.is_empty()).then_some(set);
    }

    fn advance(&self, by: Duration) {
        self.millis.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.millis.load(Ordering::SeqCst) / 1_000
    }

    /// A fresh token; the session makes it differ from others, so that it is not remembered.
    fn token(&self, kid: &str) -> String {
        static SESSIONS: AtomicUsize = AtomicUsize::new(1);
        let session = uuid::Uuid::from_u128(SESSIONS.fetch_add(1, Ordering::SeqCst) as u128);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub:
                "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6"
                    .to_owned(),
            sid: Some(session.to_string()),
            iat: self.now(),
            exp: self.now() + 300,
            jti: None,
        };
        self.key.sign(Some(kid.to_owned()), &claims).unwrap()
    }

    /// What becomes of a fresh token of this key.
    async fn tried(&self, kid: &str) -> &'static str {
        outcome(self.verifier.verify(&self.token(kid)).await)
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn outcome(verified: Result<Caller, Refusal>) -> &'static str {
    verified.map_or_else(|refusal| refusal.reason().as_str(), |_| "OK")
}

const OK: &str = "OK";
const INVALID: &str = reason::TOKEN_INVALID.as_str();
const UNAVAILABLE: &str = reason::DEPENDENCY_UNAVAILABLE.as_str();

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_ten_seconds() {
    let world = World::new();
    world.publish(&["known"]);
    assert_eq!((world.tried("known").await, world.fetches()), (OK, 1));
    for kid in ["a", "b", "c"] {
        assert_eq!((world.tried(kid).await, world.fetches()), (INVALID, 1));
    }
    world.advance(Duration::from_millis(9_999));
    assert_eq!((world.tried("a").await, world.fetches()), (INVALID, 1));
    world.advance(Duration::from_millis(1));
    for kid in ["a", "b", "known"] {
        let wanted = if kid == "known" { OK } else { INVALID };
        assert_eq!((world.tried(kid).await, world.fetches()), (wanted, 2));
    }
}

#[tokio::test]
async fn a_set_is_asked_for_again_when_it_is_older_than_its_max_age() {
    let world = World::new();
    world.publish(&["old"]);
    assert_eq!(world.tried("old").await, OK);
    world.publish(&["new"]);
    world.advance(Duration::from_mins(5));
    assert_eq!((world.tried("old").await, world.fetches()), (OK, 1));
    world.advance(Duration::from_millis(1));
    // Identity has withdrawn the key.
    assert_eq!((world.tried("old").await, world.fetches()), (INVALID, 2));
    assert_eq!((world.tried("new").await, world.fetches()), (OK, 2));
}

#[tokio::test]
async fn known_keys_stay_good_for_a_day_without_identity_and_no_longer() {
    let world = World::new();
    world.publish(&["known"]);
    assert_eq!(world.tried("known").await, OK);
    world.publish(&[]);
    world.advance(Duration::from_hours(24));
    assert_eq!((world.tried("known").await, world.fetches()), (OK, 2));
    // Tried just now: a key that is good is not worth another try.
    assert_eq!((world.tried("known").await, world.fetches()), (OK, 2));
    world.advance(Duration::from_millis(1));
    assert_eq!(world.tried("known").await, UNAVAILABLE);
    world.advance(FETCH);
    assert_eq!((world.tried("known").await, world.fetches()), (UNAVAILABLE, 3));
}

#[tokio::test]
async fn a_set_that_cannot_be_had_is_never_the_tokens_fault() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!((world.tried("k").await, world.fetches()), (UNAVAILABLE, 1));
    }
    world.publish(&["k"]);
    world.advance(Duration::from_millis(999));
    assert_eq!((world.tried("k").await, world.fetches()), (UNAVAILABLE, 1));
    world.advance(Duration::from_millis(1));
    assert_eq!((world.tried("k").await, world.fetches()), (OK, 2));
    // A new key while identity is away: nobody knows whether the token is good.
    world.publish(&[]);
    world.advance(FETCH);
    for kid in ["new", "newer"] {
        assert_eq!((world.tried(kid).await, world.fetches()), (UNAVAILABLE, 3));
    }
    assert_eq!(world.tried("k").await, OK);
    world.publish(&["k", "new"]);
    world.advance(FETCH);
    assert_eq!((world.tried("new").await, world.fetches()), (OK, 4));
    assert_eq!((world.tried("newer").await, world.fetches()), (INVALID, 4));
}

#[tokio::test]
async fn callers_with_a_new_key_share_one_fetch() {
    let world = World::new();
    world.publish(&["known"]);
    assert_eq!(world.tried("known").await, OK);
    for (published, wanted) in [(&["known", "new"][..], OK), (&[], UNAVAILABLE)] {
        // Older than its max_age, so that the known key wants a fetch too.
        world.advance(Duration::from_mins(6));
        let (before, shut) = (world.fetches(), world.gate.write().await);
        world.publish(published);
        let kid = if wanted == OK { "new" } else { "newer" };
        let ask = || {
            let (verifier, token) = (Arc::clone(&world.verifier), world.token(kid));
            #[expect(clippy::disallowed_methods, reason = "the test owns its tasks")]
            tokio::spawn(async move { outcome(verifier.verify(&token).await) })
        };
        let mut waiting = vec![ask(), ask(), ask()];
        while world.fetches() == before {
            tokio::task::yield_now().await;
        }
        // A key that is good does not wait for it.
        let known = tokio::time::timeout(Duration::from_secs(5), world.tried("known")).await;
        assert_eq!(known, Ok(OK));
        // However long the fetch takes, who comes meanwhile waits for its end and does not try anew.
        world.advance(FETCH);
        waiting.extend([ask(), ask(), ask()]);
        tokio::task::yield_now().await;
        drop(shut);
        for task in waiting {
            assert_eq!(task.await.unwrap(), wanted);
        }
        assert_eq!(world.fetches(), before + 1);
    }
}

#[tokio::test]
async fn a_fetch_that_its_caller_gave_up_keeps_the_keys_from_nobody() {
    let world = World::new();
    world.publish(&["k"]);
    let shut = world.gate.write().await;
    let impatient = tokio::time::timeout(Duration::from_millis(1), world.tried("no key")).await;
    assert!(impatient.is_err());
    drop(shut);
    assert_eq!(world.tried("k").await, OK);
}

#[tokio::test]
async fn a_key_id_has_64_bytes_at_most_even_if_identity_published_it() {
    let world = World::new();
    let (longest, longer) = ("k".repeat(64), "k".repeat(65));
    world.publish(&[&longest, &longer]);
    assert_eq!((world.tried(&longer).await, world.tried("").await, world.fetches()), (INVALID, INVALID, 0));
    assert_eq!((world.tried(&longest).await, world.fetches()), (OK, 1));
    assert_eq!((world.tried(&longer).await, world.fetches()), (INVALID, 1));
}

#[tokio::test]
async fn another_processes_clock_may_be_half_a_minute_ahead() {
    let key = PrivateKey::generate().unwrap();
    let trust = Trust { services: [(Service::Identity, key.public().to_vec())].into(), operator: None };
    let clock = Clock::new(|| Timestamp::from_seconds(START));
    let fetch = FetchKeys::new(|| async { Err(Refusal::internal()) });
    let verifier = TokenVerifier::new(Service::Directory, ISSUER.to_owned(), trust, fetch, clock);
    for (ahead, lifetime, wanted) in [(30, 300, OK), (31, 300, INVALID), (-1, 300, OK), (30, 301, INVALID)] {
        let claims = Claims {
            iss: Service::Identity.to_string(),
            aud: Service::Directory.to_string(),
            sub: "services/identity-service".to_owned(),
            sid: None,
            iat: START + ahead,
            exp: START + ahead + lifetime,
            jti: None,
        };
        let token = key.sign(None, &claims).unwrap();
        assert_eq!(outcome(verifier.verify(&token).await), wanted, "{ahead} {lifetime}");
    }
}
