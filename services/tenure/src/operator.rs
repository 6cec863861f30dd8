//! `tenure operator token`: whoever holds the host may act as operator, for a short while and on the record (K6).

use std::path::{Path, PathBuf};
use std::time::Duration;

use access::token::{AUDIENCE, OPERATOR_TOKEN_LIFETIME};
use runtime::clock::{system_clock, system_ids};
use runtime::keys::read_key;

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum TokenFailed {
    /// The lifetime is no duration, or too long.
    #[error("--lifetime: {0}")]
    Lifetime(String),
    /// The key.
    #[error(transparent)]
    Key(#[from] runtime::keys::KeyError),
    /// The key cannot sign.
    #[error(transparent)]
    Sign(#[from] access::service_key::KeyInvalid),
}

/// The operator's key in a data folder.
pub fn key_of(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("operator.key")
}

/// Mints an operator token with the operator's key; the servers may be running.
pub fn token(key: &Path, lifetime: &str) -> Result<String, TokenFailed> {
    let lifetime = checked(lifetime).map_err(TokenFailed::Lifetime)?;
    let key = read_key(key)?;
    Ok(key.operator_token(AUDIENCE, system_ids().random(), system_clock().now(), lifetime)?)
}

fn checked(text: &str) -> Result<Duration, String> {
    let lifetime = runtime::config::duration(text)?;
    if lifetime.is_zero() || lifetime > OPERATOR_TOKEN_LIFETIME {
        return Err("must be longer than nothing and at most one hour".to_owned());
    }
    Ok(lifetime)
}
