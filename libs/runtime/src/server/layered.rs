//! One service with its layers, outermost first: telemetry, normalising (with the net for panics), deadline,
//! authentication, then the generated servers.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use access::calls;
use http::{Request, Response};
use tonic::body::Body;

use super::{Routes, ServiceParts};
use crate::authentication::Authenticator;
use crate::clock::system_ids;
use crate::deadline;
use crate::normalise::{RequestIds, domain_of, normalised};
use crate::telemetry::RpcTelemetry;

/// A service that can be called, over a socket or in this process.
#[derive(Clone)]
pub struct Layered(Arc<Layers>);

struct Layers {
    names: Vec<&'static str>,
    /// The error domain of a service of ours.
    domain: Option<&'static str>,
    telemetry: RpcTelemetry,
    request_ids: RequestIds,
    longest_call: Duration,
    /// Absent around health and reflection alone, which need no token.
    authenticator: Option<Authenticator>,
    routes: Routes,
}

impl Layered {
    pub(super) fn service(parts: ServiceParts, longest_call: Duration) -> Self {
        let domain = parts.service.error_domain();
        let of_service = |path: &String| parts.names.iter().any(|name| is_of(path, name));
        let paths: Vec<String> = api::method_paths().into_iter().filter(of_service).collect();
        Self(Arc::new(Layers {
            domain: Some(domain),
            telemetry: RpcTelemetry::new(paths),
            request_ids: RequestIds::new(&system_ids()),
            longest_call,
            authenticator: Some(Authenticator::new(parts.verifier, domain)),
            routes: parts.routes,
            names: parts.names,
        }))
    }

    /// Health, reflection and the answer to what belongs to no service.
    pub(super) fn infrastructure(routes: Routes, longest_call: Duration) -> Self {
        let paths =
            calls::PUBLIC.iter().filter(|path| path.starts_with("/grpc.")).map(|path| (*path).to_owned());
        Self(Arc::new(Layers {
            names: Vec::new(),
            domain: None,
            telemetry: RpcTelemetry::new(paths),
            request_ids: RequestIds::new(&system_ids()),
            longest_call,
            authenticator: None,
            routes,
        }))
    }

    /// Full names of the generated servers.
    pub fn names(&self) -> &[&'static str] {
        &self.0.names
    }

    /// Whether a path belongs to this service: by the name of a server, or by the package of the service.
    pub(super) fn serves(&self, path: &str) -> bool {
        self.0.names.iter().any(|name| is_of(path, name)) || self.0.domain == Some(domain_of(path))
    }
}

/// Whether the path is one of the named server.
fn is_of(path: &str, name: &str) -> bool {
    path.strip_prefix('/').and_then(|path| path.strip_prefix(name)).is_some_and(|rest| rest.starts_with('/'))
}

impl tower::Service<Request<Body>> for Layered {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let layers = Arc::clone(&self.0);
        Box::pin(async move { Ok(layers.answer(request).await) })
    }
}

impl Layers {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let domain = domain_of(request.uri().path());
        let handler = |request| self.routes.answer(request);
        let authenticated = |request| async {
            match &self.authenticator {
                Some(authenticator) => authenticator.authenticated(request, handler).await,
                None => handler(request).await,
            }
        };
        let bounded = |request| deadline::bounded(self.longest_call, domain, request, authenticated);
        let normalised = |request| normalised(&self.request_ids, request, bounded);
        self.telemetry.observed(request, normalised).await
    }
}

impl fmt::Debug for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered").field("names", &self.0.names).finish_non_exhaustive()
    }
}
