//! The service token that a peer is spoken to with, kept until shortly before its end (K6).

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use access::token::SERVICE_TOKEN_LIFETIME;
use http::HeaderValue;
use kernel::{Clock, Timestamp};
use tonic::Status;

/// A token is renewed this long before its end, so that it does not end on its way.
const RENEWED_BEFORE_END: Duration = Duration::from_mins(1);

/// Who speaks, and to whom.
pub(super) struct Speaker {
    own: Service,
    key: PrivateKey,
    audience: Service,
    clock: Clock,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    authorization: HeaderValue,
    renewed_from: Timestamp,
    made_at: Timestamp,
}

impl Speaker {
    pub(super) fn new(own: Service, key: PrivateKey, audience: Service, clock: Clock) -> Self {
        Self { own, key, audience, clock, token: Mutex::default() }
    }

    /// The `authorization` header with a token that is good for a while.
    pub(super) fn authorization(&self) -> Result<HeaderValue, Status> {
        let now = self.clock.now();
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back would keep a token that others take for one from the future.
        if let Some(token) = token.as_ref().filter(|token| (token.made_at..token.renewed_from).contains(&now))
        {
            return Ok(token.authorization.clone());
        }
        let made = self.make(now)?;
        Ok(token.insert(made).authorization.clone())
    }

    fn make(&self, now: Timestamp) -> Result<Token, Status> {
        let failed = |_| Status::unavailable("no service token could be made");
        let text = self.key.service_token(self.own, self.audience, now).map_err(failed)?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| Status::unavailable("no service token could be made"))?;
        authorization.set_sensitive(true);
        let renewed_from = now.plus(SERVICE_TOKEN_LIFETIME).minus(RENEWED_BEFORE_END);
        Ok(Token { authorization, renewed_from, made_at: now })
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speaker({} to {})", self.own, self.audience)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_token_is_renewed_a_minute_before_its_end() {
        let seconds = Arc::new(AtomicI64::new(1_000));
        let read = Arc::clone(&seconds);
        let clock = Clock::new(move || Timestamp::from_seconds(read.load(Ordering::Relaxed)));
        let key = PrivateKey::generate().unwrap();
        let speaker = Speaker::new(Service::Identity, key, Service::Directory, clock);
        let first = speaker.authorization().unwrap();
        seconds.store(1_239, Ordering::Relaxed);
        assert_eq!(speaker.authorization().unwrap(), first);
        seconds.store(1_240, Ordering::Relaxed);
        let second = speaker.authorization().unwrap();
        assert_ne!(second, first);
        seconds.store(1_100, Ordering::Relaxed);
        assert_ne!(speaker.authorization().unwrap(), second);
    }
}
