//! A service's own Ed25519 key: it signs service tokens and is the root of the service's other secrets (K6).
//!
//! Where key files stand and who may read them is `runtime::keys`' matter.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kernel::Timestamp;
use uuid::Uuid;

use crate::caller::Service;
use crate::token::{Claims, OPERATOR_ISSUER, SERVICE_TOKEN_LIFETIME};

/// The key material is not an Ed25519 private key in PKCS#8.
#[derive(Debug, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8")]
pub struct KeyInvalid;

/// An Ed25519 private key in PKCS#8, never printed.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl PrivateKey {
    /// Makes a new key from the system's randomness.
    pub fn generate() -> Result<Self, KeyInvalid> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyInvalid)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyInvalid)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads a key as it stands in a key file.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyInvalid> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyInvalid)?;
        Ok(Self { pkcs8: pkcs8.to_vec(), public: pair.public_key().as_ref().to_vec() })
    }

    /// The key as it is kept in a file; whoever writes it guards it.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half, 32 bytes.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The public half as a JSON Web Key's `x`.
    pub fn public_x(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.public)
    }

    /// A secret for one purpose; secrets of different purposes tell nothing of each other.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.pkcs8);
        let tag = hmac::sign(&root, purpose.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Signs claims; the header names the key.
    pub fn sign(&self, kid: Option<String>, claims: &Claims) -> Result<String, KeyInvalid> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid;
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8)).map_err(|_| KeyInvalid)
    }

    /// Mints a service token: this service speaking to `audience`, for at most five minutes.
    pub fn service_token(
        &self,
        service: Service,
        audience: Service,
        now: Timestamp,
    ) -> Result<String, KeyInvalid> {
        self.sign(
            None,
            &Claims {
                iss: service.as_str().to_owned(),
                aud: audience.as_str().to_owned(),
                sub: format!("services/{service}"),
                sid: None,
                iat: now.seconds(),
                exp: now.plus(SERVICE_TOKEN_LIFETIME).seconds(),
                jti: None,
            },
        )
    }

    /// Mints an operator token; `id` names it in the audit.
    pub fn operator_token(
        &self,
        audience: &str,
        id: Uuid,
        now: Timestamp,
        lifetime: std::time::Duration,
    ) -> Result<String, KeyInvalid> {
        self.sign(
            None,
            &Claims {
                iss: OPERATOR_ISSUER.to_owned(),
                aud: audience.to_owned(),
                sub: format!("operators/{id}"),
                sid: None,
                iat: now.seconds(),
                exp: now.plus(lifetime).seconds(),
                jti: Some(id.to_string()),
            },
        )
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}
