//! Verifying tokens: access tokens of principals, service tokens, operator tokens; each with keys of its own.
//!
//! A verified token says who calls and nothing more; no right follows from it (K3).

mod keys;
mod verifier;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use keys::{FetchKeys, KeySet, PublicKey};
pub use verifier::{TokenVerifier, Trust, expired};

/// The longest life of a service token (K6).
pub const SERVICE_TOKEN_LIFETIME: Duration = Duration::from_mins(5);
/// The longest life of an access token.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_mins(10);
/// The longest life of an operator token.
pub const OPERATOR_TOKEN_LIFETIME: Duration = Duration::from_hours(1);
/// The issuer of operator tokens.
pub const OPERATOR_ISSUER: &str = "operator";
/// The audience of access and operator tokens.
pub const AUDIENCE: &str = "tenure";

/// The claims of every token of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made the token: the configured issuer, a service, or `operator`.
    pub iss: String,
    /// For whom it is: `tenure`, or one service.
    pub aud: String,
    /// Who speaks: a principal's name, `services/{name}`, or `operators/{id}`.
    pub sub: String,
    /// The session of an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// The token's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

#[cfg(test)]
mod tests;
