//! What each gRPC handler of one service needs around its use case: who calls, which call it is, how it ends.
//!
//! It parses no request and knows no rule.

mod source;
mod write_limits;

use std::sync::Arc;

use access::caller::{Authentication, TokenEnd};
use access::service_key::PrivateKey;
use access::{Call, Caller, Service};
use aws_lc_rs::hmac;
use database::Db;
use kernel::{Clock, Code, DirectoryId, Ids, Refusal, RequestId, SessionId, Timestamp, Violations, reason};
use tonic::{Request, Response, Status};

use crate::config::Network;
use crate::normalise::current_request_id;
use crate::status::status_in;
use crate::telemetry::current_trace_id;
use write_limits::WriteBuckets;

pub use write_limits::WriteLimits;

/// The purpose of the key that fingerprints are made with.
const FINGERPRINT_PURPOSE: &str = "idempotency";

/// The edge of one service; clones share it.
#[derive(Clone, Debug)]
pub struct Edge(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    service: Service,
    clock: Clock,
    ids: Ids,
    fingerprints: hmac::Key,
    db: Db,
    trusted_proxies: Vec<Network>,
    write_buckets: Arc<WriteBuckets>,
}

impl Edge {
    /// The edge of a service; `key` is the service's own and is the root of its fingerprints. Principals and directories write as
    /// fast as the limits let them.
    pub fn new(
        service: Service,
        clock: Clock,
        ids: Ids,
        key: &PrivateKey,
        db: Db,
        limits: WriteLimits,
    ) -> Self {
        let fingerprints = hmac::Key::new(hmac::HMAC_SHA256, &key.derive(FINGERPRINT_PURPOSE));
        let write_buckets = Arc::new(WriteBuckets::new(limits));
        let trusted_proxies = Vec::new();
        Self(Arc::new(Inner { service, clock, ids, fingerprints, db, trusted_proxies, write_buckets }))
    }

    /// Believes what these proxies say about their callers' addresses (K18).
    #[must_use]
    pub fn with_trusted_proxies(self, trusted_proxies: Vec<Network>) -> Self {
        Self(Arc::new(Inner { trusted_proxies, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The caller, or UNAUTHENTICATED.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        authentication(request).caller().cloned().map_err(|refusal| self.status(&refusal))
    }

    /// When the time of the caller's token is over; for answers that last.
    pub fn token_end<T>(&self, request: &Request<T>) -> Option<Timestamp> {
        request.extensions().get::<TokenEnd>().map(|end| end.0)
    }

    /// The caller if there is one; a token that is no good is an error all the same.
    pub fn caller_if_any<T>(&self, request: &Request<T>) -> Result<Option<Caller>, Status> {
        match authentication(request) {
            Authentication::Anonymous => Ok(None),
            Authentication::Known(caller) => Ok(Some(caller.clone())),
            Authentication::Rejected(refusal) => Err(self.status(refusal)),
        }
    }

    /// One call of a writing method. A `request_id` that is not one counts as none here; `parse` refuses it.
    ///
    /// A principal pays a token for it, before anything is read or written and whatever comes of it: a replay, a
    /// refusal, a `validate_only`. Who has none is throttled, which the metrics count and nothing records (K15).
    pub fn call<M: prost::Message>(
        &self,
        request: &Request<M>,
        method: &'static str,
        request_id: &str,
    ) -> Result<Call, Status> {
        let caller = self.caller(request)?;
        if let Some(signed_in) = caller.signed_in() {
            let spent = self.0.write_buckets.spend(signed_in.principal, self.now());
            spent.map_err(|refusal| self.status(&refusal))?;
        }
        Ok(self.call_of(Some(caller), request.get_ref(), method, request_id))
    }

    /// As [`Self::call`] where a token plays no part: one that came along is not looked at, or who renews an expired
    /// one could not.
    pub fn anonymous_call<M: prost::Message>(&self, request: &Request<M>, method: &'static str) -> Call {
        self.call_of(None, request.get_ref(), method, "")
    }

    /// What [`Self::call`] has a principal pay, paid by a session whose refresh token's MAC is good, and its directory.
    pub fn spend_of_session(&self, directory: DirectoryId, session: SessionId) -> Result<(), Refusal> {
        self.0.write_buckets.spend_of_session(directory, session, self.now())
    }

    /// As [`Self::call`] where no token is needed: nobody calls, or the operator if a good token came along.
    pub fn public_call<M: prost::Message>(
        &self,
        request: &Request<M>,
        method: &'static str,
        request_id: &str,
    ) -> Result<Call, Status> {
        let operator = self.caller_if_any(request)?.filter(|caller| matches!(caller, Caller::Operator(_)));
        Ok(self.call_of(operator, request.get_ref(), method, request_id))
    }

    /// Ends a reading method.
    pub fn answer<M, E: Into<Refusal>>(&self, result: Result<M, E>) -> Result<Response<M>, Status> {
        result.map(Response::new).map_err(|error| self.status(&error.into()))
    }

    /// Ends a writing method: a refusal of an authenticated caller is recorded (K15); `target` is the resource name
    /// that the call was about.
    pub async fn answer_write<M, E: Into<Refusal>>(
        &self,
        call: &Call,
        target: &str,
        result: Result<M, E>,
    ) -> Result<Response<M>, Status> {
        let refusal: Refusal = match result {
            Ok(message) => return Ok(Response::new(message)),
            Err(error) => error.into(),
        };
        self.record(call, target, &refusal).await;
        let refusal = refusal.about_unless_told(target);
        let about_the_request_id = [reason::REQUEST_ID_REUSED, reason::COMMIT_OUTCOME_UNKNOWN];
        match call.request_id {
            Some(request_id) if about_the_request_id.contains(&refusal.reason()) => {
                Err(self.status(&refusal.with("request_id", request_id)))
            }
            _ => Err(self.status(&refusal)),
        }
    }

    /// Where the call comes from, for limits per source: an address, or `in-process`.
    pub fn source<T>(&self, request: &Request<T>) -> String {
        source::of(request, &self.0.trusted_proxies)
    }

    fn call_of<M: prost::Message>(
        &self,
        caller: Option<Caller>,
        message: &M,
        method: &'static str,
        request_id: &str,
    ) -> Call {
        let request_id = lenient_request_id(request_id);
        let new_id = Call::derive_id(caller.as_ref(), method, request_id, &self.0.ids);
        Call {
            caller,
            method,
            request_id,
            fingerprint: self.fingerprint(method, message),
            now: self.now(),
            trace_id: current_trace_id(),
            new_id,
        }
    }

    /// A keyed MAC, so that a stored one tells nothing of a password in the message.
    fn fingerprint<M: prost::Message>(&self, method: &str, message: &M) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0.fingerprints);
        context.update(method.as_bytes());
        context.update(&[0]);
        context.update(&message.encode_to_vec());
        context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    async fn record(&self, call: &Call, target: &str, refusal: &Refusal) {
        if let Err(error) = database::refusals::record(&self.0.db, call, refusal, target).await {
            tracing::warn!(%error, method = call.method, "a refusal was not recorded");
        }
    }

    fn status(&self, refusal: &Refusal) -> Status {
        let domain = self.0.service.error_domain();
        if refusal.code() != Code::Internal {
            return status_in(domain, refusal, None);
        }
        let request_id = current_request_id()
            .or_else(current_trace_id)
            .unwrap_or_else(|| self.0.ids.random().simple().to_string());
        tracing::error!(request_id, reason = %refusal.reason(), service = %self.0.service, "a call failed by a defect");
        status_in(domain, refusal, Some(&request_id))
    }
}

/// What the authentication layer found out; a request that did not pass it is nobody's.
fn authentication<T>(request: &Request<T>) -> &Authentication {
    request.extensions().get().unwrap_or(&Authentication::Anonymous)
}

fn lenient_request_id(text: &str) -> Option<RequestId> {
    Violations::new().request_id(text)
}

#[cfg(test)]
mod tests;
