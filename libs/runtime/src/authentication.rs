//! Finds out who calls, and lets nobody unknown further than the public methods (K1, K36).
//!
//! Whether a known principal may do anything is asked later, of identity.

use std::sync::Arc;

use access::caller::{Authentication, TokenEnd};
use access::token::TokenVerifier;
use access::{Caller, calls};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use kernel::{Refusal, reason};
use tonic::body::Body;

use crate::deadline;
use crate::normalise::method_unknown;
use crate::status::status_in;

/// Authenticates the requests of one service.
pub(crate) struct Authenticator {
    verifier: Arc<TokenVerifier>,
    domain: &'static str,
}

impl Authenticator {
    pub(crate) fn new(verifier: Arc<TokenVerifier>, domain: &'static str) -> Self {
        Self { verifier, domain }
    }

    /// Runs the rest of a request if its caller may come this far.
    pub(crate) async fn authenticated<R>(
        &self,
        mut request: Request<Body>,
        rest: impl FnOnce(Request<Body>) -> R,
    ) -> Response<Body>
    where
        R: Future<Output = Response<Body>>,
    {
        let (authentication, end) = self.authenticate(request.headers()).await;
        match admit(request.uri().path(), &authentication) {
            Ok(()) => {
                request.extensions_mut().insert(authentication);
                if let Some(end) = end {
                    request.extensions_mut().insert(end);
                }
                rest(request).await
            }
            Err(refusal) => status_in(self.domain, &refusal, None).into_http(),
        }
    }

    async fn authenticate(&self, headers: &HeaderMap) -> (Authentication, Option<TokenEnd>) {
        match bearer(headers) {
            Ok(None) => (Authentication::Anonymous, None),
            Ok(Some(token)) => {
                // K21: keys that do not come in time are told as such, before the deadline tells nothing but itself.
                let verifying = self.verifier.verify_until(token);
                let verified = tokio::time::timeout(deadline::for_peer(), verifying).await;
                match verified.unwrap_or_else(|_| Err(Refusal::dependency_unavailable("identity-service"))) {
                    Ok((caller, end)) => (Authentication::Known(caller), Some(TokenEnd(end))),
                    Err(refusal) => (Authentication::Rejected(refusal), None),
                }
            }
            Err(refusal) => (Authentication::Rejected(refusal), None),
        }
    }
}

/// Whether a request may reach its handler: the default is no.
fn admit(path: &str, authentication: &Authentication) -> Result<(), Refusal> {
    if !is_method(path) {
        return Err(method_unknown(path));
    }
    // A bad token on a public method is the handler's matter: most of them do not look at it.
    if calls::is_public(path) {
        return Ok(());
    }
    match authentication.caller()? {
        Caller::Service(service) if !calls::is_allowed(*service, path) => {
            Err(Refusal::permission_denied("calls between services", path))
        }
        Caller::Service(_) | Caller::Principal(_) | Caller::Operator(_) => Ok(()),
    }
}

/// Whether the path is exactly `/package.Service/Method`.
fn is_method(path: &str) -> bool {
    let mut parts = path.split('/');
    let empty_front = parts.next() == Some("");
    let named = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
        })
    };
    empty_front && named(parts.next()) && named(parts.next()) && parts.next().is_none()
}

/// The bearer token; two of them are none that can be believed.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match token {
        Some(token) if !token.is_empty() && values.next().is_none() => Ok(Some(token)),
        _ => Err(Refusal::unauthenticated(
            reason::TOKEN_INVALID,
            "`authorization` must be given once, as `Bearer <access token>`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use access::Service;
    use http::HeaderValue;
    use kernel::Code;

    use super::*;

    #[test]
    fn only_the_exact_path_is_a_method() {
        let path = "/tenure.identity.v1.UserService/GetUser";
        assert!(is_method(path));
        for other in [
            format!("{path}/"),
            format!("/{path}"),
            format!("{path}/GetUser"),
            path.replace('.', "%2e"),
            path[1..].to_owned(),
            "/".to_owned(),
            "//".to_owned(),
            String::new(),
        ] {
            assert!(!is_method(&other), "{other}");
            assert_eq!(
                admit(&other, &Authentication::Anonymous).unwrap_err().reason(),
                reason::METHOD_UNKNOWN
            );
        }
    }

    #[test]
    fn the_default_is_no() {
        let anonymous = Authentication::Anonymous;
        let refusal = admit("/tenure.identity.v1.UserService/GetUser", &anonymous).unwrap_err();
        assert_eq!(refusal.reason(), reason::TOKEN_MISSING);
        assert!(admit("/tenure.identity.v1.SessionService/SignIn", &anonymous).is_ok());
        assert!(admit("/tenure.identity.v1.SessionService/SignIns", &anonymous).is_err());
    }

    #[test]
    fn a_service_may_call_what_the_table_lists() {
        let known = |service| Authentication::Known(Caller::Service(service));
        let path = "/tenure.directory.v1.DomainService/ResolveDomain";
        assert!(admit(path, &known(Service::Identity)).is_ok());
        let refusal = admit(path, &known(Service::Subscription)).unwrap_err();
        assert_eq!(refusal.code(), Code::PermissionDenied);
        assert_eq!(refusal.metadata()[0], ("permission", "calls between services".to_owned()));
        // A method that nobody needs a token for needs no row in the table either.
        assert!(
            admit("/tenure.identity.v1.SessionService/GetJsonWebKeySet", &known(Service::Directory)).is_ok()
        );
    }

    #[test]
    fn one_bearer_token_is_read() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };
        assert_eq!(bearer(&headers(&[])).unwrap(), None);
        assert_eq!(bearer(&headers(&["Bearer abc"])).unwrap(), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])).unwrap(), Some("abc"));
        for broken in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(bearer(&headers(broken)).unwrap_err().reason(), reason::TOKEN_INVALID, "{broken:?}");
        }
    }
}
