//! The tokens that a session hands out: signed access tokens, and refresh tokens that nothing needs to be stored for.
//!
//! What presenting a refresh token means is decided in `domain/session.rs` (K22).

use std::time::Duration;

use access::service_key::PrivateKey;
use access::token::{ACCESS_TOKEN_LIFETIME, AUDIENCE, Claims};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{DirectoryId, Ids, SessionId, Timestamp};
use uuid::Uuid;

use crate::domain::refused::Refused;
use crate::domain::session::Session;
use crate::signing_keys::SigningKeys;

const MAC_BYTES: usize = 32;
const BODY_BYTES: usize = 16 + 16 + 8;

/// What a session hands out. It has no `Debug`: both texts are secrets.
pub(crate) struct TokenPair {
    pub(crate) access_token: String,
    pub(crate) expires_in: Duration,
    pub(crate) refresh_token: String,
}

/// A refresh token whose MAC is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GenuineRefreshToken {
    pub(crate) directory: DirectoryId,
    pub(crate) session: SessionId,
    pub(crate) counter: i64,
}

/// Makes and reads tokens.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    keys: SigningKeys,
    ids: Ids,
    issuer: String,
    refresh: hmac::Key,
    lifetime: Duration,
}

impl Tokens {
    /// Tokens of this issuer; access tokens live as long as asked, and no longer than verifiers accept.
    pub(crate) fn new(
        keys: SigningKeys,
        ids: Ids,
        issuer: String,
        key: &PrivateKey,
        lifetime: Duration,
    ) -> Self {
        let refresh = hmac::Key::new(hmac::HMAC_SHA256, &key.derive("refresh-tokens"));
        let lifetime = lifetime.clamp(Duration::from_secs(1), ACCESS_TOKEN_LIFETIME);
        Self { keys, ids, issuer, refresh, lifetime }
    }

    /// An access token, and the refresh token with the session's present number.
    pub(crate) async fn pair(
        &self,
        directory: DirectoryId,
        session: &Session,
        now: Timestamp,
    ) -> Result<TokenPair, Refused> {
        let signer = self.keys.signer(now).await?;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: session.principal(directory).to_string(),
            sid: Some(session.id.to_string()),
            iat: now.seconds(),
            exp: now.plus(self.lifetime).seconds(),
            jti: Some(self.ids.random().to_string()),
        };
        let access_token = signer.key.sign(Some(signer.kid.clone()), &claims);
        Ok(TokenPair {
            access_token: access_token.map_err(|_| Refused::Defect("a token could not be signed"))?,
            expires_in: self.lifetime,
            refresh_token: self.refresh_token(directory, session.id, session.counter),
        })
    }

    /// The refresh token with this number: the same whenever it is made (K22).
    fn refresh_token(&self, directory: DirectoryId, session: SessionId, counter: i64) -> String {
        let body = body(directory, session, counter);
        let tag = hmac::sign(&self.family(directory, session), &body);
        URL_SAFE_NO_PAD.encode([body.as_slice(), tag.as_ref()].concat())
    }

    /// Reads a refresh token; whatever this service did not make is none.
    pub(crate) fn read_refresh_token(&self, text: &str) -> Option<GenuineRefreshToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        if tag.len() != MAC_BYTES {
            return None;
        }
        let (directory, rest) = body.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let counter = i64::from_be_bytes(rest.try_into().ok()?);
        let directory = DirectoryId::from_uuid(Uuid::from_bytes(*directory));
        let session = SessionId::from_uuid(Uuid::from_bytes(*session));
        // Constant in time: how much of a forged tag is right does not show.
        hmac::verify(&self.family(directory, session), body, tag).ok()?;
        Some(GenuineRefreshToken { directory, session, counter })
    }

    /// The secret of one session's family, derived, not stored.
    fn family(&self, directory: DirectoryId, session: SessionId) -> hmac::Key {
        let family = [directory.uuid().into_bytes(), session.uuid().into_bytes()].concat();
        let secret = hmac::sign(&self.refresh, &family);
        hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref())
    }
}

fn body(directory: DirectoryId, session: SessionId, counter: i64) -> [u8; BODY_BYTES] {
    let mut body = [0; BODY_BYTES];
    body[..16].copy_from_slice(directory.uuid().as_bytes());
    body[16..32].copy_from_slice(session.uuid().as_bytes());
    body[32..].copy_from_slice(&counter.to_be_bytes());
    body
}
