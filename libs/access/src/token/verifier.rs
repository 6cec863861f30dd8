//! From a bearer token to a [`Caller`]: signature, issuer, audience and times, all required (attack 13).

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::{Clock, Refusal, Timestamp, reason};
use quick_cache::sync::Cache;

use super::keys::{FetchKeys, KeyRing, Lookup};
use super::{
    ACCESS_TOKEN_LIFETIME, AUDIENCE, Claims, OPERATOR_ISSUER, OPERATOR_TOKEN_LIFETIME, SERVICE_TOKEN_LIFETIME,
};
use crate::caller::{Caller, Service, SignedIn};

/// Longer texts are not tokens of ours.
const MOST_TOKEN_BYTES: usize = 4096;
/// How far ahead another process's clock may be.
const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// How many verified tokens are remembered: a verification costs six times a whole echo.
const REMEMBERED_TOKENS: usize = 16_384;

/// Whom a process believes, beside the issuer of access tokens.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The other services' public keys, by name.
    pub services: HashMap<Service, Vec<u8>>,
    /// The operator's public key, where this process knows one.
    pub operator: Option<Vec<u8>>,
}

#[derive(Clone)]
struct Verified {
    caller: Caller,
    expires_at: Timestamp,
}

/// Verifies bearer tokens and remembers the verified ones until they expire.
pub struct TokenVerifier {
    own: Service,
    issuer: String,
    trust: Trust,
    keys: KeyRing,
    verified: Cache<[u8; 32], Verified>,
    clock: Clock,
}

impl TokenVerifier {
    /// A verifier for one service; `issuer` is the issuer of access tokens.
    pub fn new(own: Service, issuer: String, trust: Trust, fetch: FetchKeys, clock: Clock) -> Self {
        Self { own, issuer, trust, keys: KeyRing::new(fetch), verified: Cache::new(REMEMBERED_TOKENS), clock }
    }

    /// The caller that the token names, or why it names none.
    pub async fn verify(&self, token: &str) -> Result<Caller, Refusal> {
        self.verify_until(token).await.map(|(caller, _)| caller)
    }

    /// As [`Self::verify`], with the end of the token's time: what outlasts it asks no further.
    pub async fn verify_until(&self, token: &str) -> Result<(Caller, Timestamp), Refusal> {
        let now = self.clock.now();
        if token.len() > MOST_TOKEN_BYTES {
            return Err(invalid());
        }
        let key = fingerprint(token);
        if let Some(verified) = self.verified.get(&key) {
            return if now < verified.expires_at {
                Ok((verified.caller, verified.expires_at))
            } else {
                Err(expired())
            };
        }
        let verified = self.verify_anew(token, now).await?;
        self.verified.insert(key, verified.clone());
        Ok((verified.caller, verified.expires_at))
    }

    async fn verify_anew(&self, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        // A critical header that is not understood voids the token (RFC 7515, 4.1.11); we understand none.
        if header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return Err(invalid());
        }
        let claimed: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| invalid())?;
        let (key, audience, lifetime) = if claimed.iss == self.issuer {
            let kid = header.kid.as_deref().unwrap_or_default();
            match self.keys.key(kid, now).await? {
                Lookup::Key(key) => (key, AUDIENCE, ACCESS_TOKEN_LIFETIME),
                Lookup::Unknown => return Err(invalid()),
            }
        } else if claimed.iss == OPERATOR_ISSUER {
            let public = self.trust.operator.as_ref().ok_or_else(invalid)?;
            (DecodingKey::from_ed_der(public), AUDIENCE, OPERATOR_TOKEN_LIFETIME)
        } else {
            let service: Service = claimed.iss.parse().map_err(|_| invalid())?;
            let public = self.trust.services.get(&service).ok_or_else(invalid)?;
            (DecodingKey::from_ed_der(public), self.own.as_str(), SERVICE_TOKEN_LIFETIME)
        };
        let claims = checked(token, &key, audience, &claimed.iss)?;
        let (issued_at, expires_at) =
            (Timestamp::from_seconds(claims.iat), Timestamp::from_seconds(claims.exp));
        // The lifetime counts from `iat`: a clock that is ahead prolongs a token by the skew and no more.
        if issued_at > now.plus(CLOCK_SKEW) || expires_at.since(issued_at) > lifetime {
            return Err(invalid());
        }
        if now >= expires_at {
            return Err(expired());
        }
        Ok(Verified { caller: self.caller_of(&claims)?, expires_at })
    }

    fn caller_of(&self, claims: &Claims) -> Result<Caller, Refusal> {
        if claims.iss == self.issuer {
            let principal = claims.sub.parse().map_err(|_| invalid())?;
            let session = claims.sid.as_deref().and_then(|sid| sid.parse().ok()).ok_or_else(invalid)?;
            return Ok(Caller::Principal(SignedIn { principal, session }));
        }
        if claims.iss == OPERATOR_ISSUER {
            let name = claims.sub.strip_prefix("operators/").ok_or_else(invalid)?;
            return Ok(Caller::Operator(name.to_owned()));
        }
        let service: Service = claims.iss.parse().map_err(|_| invalid())?;
        if claims.sub == format!("services/{service}") {
            Ok(Caller::Service(service))
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("own", &self.own).finish_non_exhaustive()
    }
}

fn checked(token: &str, key: &DecodingKey, audience: &str, issuer: &str) -> Result<Claims, Refusal> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    // The process's clock judges times, so that tests can move it; the library would read the system's.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    jsonwebtoken::decode::<Claims>(token, key, &validation).map(|data| data.claims).map_err(|_| invalid())
}

fn fingerprint(token: &str) -> [u8; 32] {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn invalid() -> Refusal {
    Refusal::unauthenticated(reason::TOKEN_INVALID, "the token is not one that this service accepts")
}

/// What is said of a token whose time is over.
pub fn expired() -> Refusal {
    Refusal::unauthenticated(
        reason::TOKEN_EXPIRED,
        "the token's time is over; refresh the session or sign in again",
    )
}
