//! The only builder of a server: one port for any number of services, each behind all its layers.
//!
//! Who may listen where, and whether without TLS, is decided with the options (K34).

mod draining;
mod hard_stop;
mod health;
mod incoming;
mod layered;
mod routes;
mod stream;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use access::token::TokenVerifier;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tower::ServiceExt as _;

pub use health::Health;
pub use layered::Layered;
pub use routes::Routes;

use crate::tls::ServerTls;
use draining::until_draining;

/// The largest message that is read or written.
pub const MOST_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Flood limits of HTTP/2, said here so that no release of a library changes them.
const MOST_PENDING_RESETS: usize = 20;
const MOST_LOCAL_RESETS: usize = 1024;

/// What a server grants its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// No call is answered later than this, whatever its client grants.
    pub longest_call: Duration,
    /// Calls in flight on one connection.
    pub concurrent_streams: u32,
    /// All headers of one call.
    pub header_list_bytes: u32,
    /// Connections at the same time; one beyond is closed at once.
    pub connections: usize,
    /// A connection on which the client has not said by then, after a handshake where there is one, that it speaks
    /// HTTP/2 is closed.
    pub preface: Duration,
    /// An older connection is asked to close, so that clients spread over new replicas.
    pub connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            longest_call: Duration::from_secs(30),
            concurrent_streams: 200,
            header_list_bytes: 16 * 1024,
            connections: 10_000,
            preface: Duration::from_secs(10),
            connection_age: Duration::from_mins(30),
        }
    }
}

/// One service before it is layered.
pub struct ServiceParts {
    /// Which service.
    pub service: access::Service,
    /// Its generated servers.
    pub routes: Routes,
    /// Full names of these, such as `tenure.identity.v1.UserService`, for health and dispatch.
    pub names: Vec<&'static str>,
    /// Verifies its callers' tokens.
    pub verifier: Arc<TokenVerifier>,
}

/// Puts all layers around a service; after [`crate::telemetry::init`].
pub fn layered(parts: ServiceParts, limits: &Limits) -> Layered {
    Layered::service(parts, limits.longest_call)
}

/// A server could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error("the server cannot listen")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptor sets of reflection are broken: a defect of the build.
    #[error("the descriptor set cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A server that is not running yet.
pub struct Server {
    services: Vec<Layered>,
    limits: Limits,
    health: Health,
    tls: Option<ServerTls>,
}

impl Server {
    /// A server of these services.
    pub fn new(services: Vec<Layered>, limits: Limits) -> Self {
        let names = services.iter().flat_map(|service| service.names().iter().copied());
        let health = Health::not_serving(names);
        Self { services, limits, health, tls: None }
    }

    /// Speaks TLS, where a certificate is given.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Tells clients whether to send calls; `NOT_SERVING` from the start.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `stop`, then finishes what is in flight; on `hard_stop` that is cut off.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
        hard_stop: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let cut_off = CancellationToken::new();
        // Also when this future is dropped, no connection outlives it.
        let cut_off_at_end = cut_off.clone().drop_guard();
        let accepted = TcpIncoming::from(listener).with_nodelay(Some(true));
        let incoming =
            incoming::admitted(accepted, &self.limits, self.tls.as_ref().map(ServerTls::acceptor), cut_off);
        let dispatch = Dispatch {
            own: Layered::infrastructure(infrastructure(&self.health)?, self.limits.longest_call),
            services: self.services.into(),
            streams: api::streaming_method_paths().into(),
            draining: CancellationToken::new(),
        };
        let draining = dispatch.draining.clone();
        let stop = async move {
            stop.await;
            draining.cancel();
        };
        // Our dispatch takes the place of tonic's routes: each service has its own behind its layers.
        let mut builder = builder(&self.limits)
            .layer(tower::layer::layer_fn(move |_: tonic::service::Routes| dispatch.clone()));
        let serving = builder
            .add_routes(tonic::service::Routes::default())
            .serve_with_incoming_shutdown(incoming, stop);
        tokio::select! {
            served = serving => served?,
            () = hard_stop => drop(cut_off_at_end),
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the only builder of a server")]
fn builder(limits: &Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(limits.concurrent_streams)
        .http2_max_header_list_size(limits.header_list_bytes)
        .http2_max_pending_accept_reset_streams(Some(MOST_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MOST_LOCAL_RESETS))
        // Without a grace period: with one, tonic cuts the connection off in place of asking it to close.
        .max_connection_age(limits.connection_age)
}

/// Health and reflection, and the answer to whatever belongs to nobody.
fn infrastructure(health: &Health) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(api::FILE_DESCRIPTOR_SET)
            // Without it tools print error details as unknown bytes.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Tools in use speak the one or the other.
    let routes = Routes::new(health.service())
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes)
}

/// Hands each request to the service that its path names.
#[derive(Clone)]
struct Dispatch {
    services: Arc<[Layered]>,
    /// Methods that answer with a stream.
    streams: Arc<[String]>,
    own: Layered,
    draining: CancellationToken,
}

impl Dispatch {
    /// Health, reflection and feeds stream for as long as their clients like, which no other method does.
    async fn streaming(
        layered: Layered,
        draining: CancellationToken,
        request: Request<Body>,
    ) -> Response<Body> {
        let call = |request| async {
            let Ok(answer) = layered.oneshot(request).await;
            answer
        };
        until_draining(request, draining, call).await
    }
}

impl tower::Service<Request<Body>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let service = self.services.iter().find(|service| service.serves(path));
        if let Some(service) = service.filter(|_| !self.streams.iter().any(|stream| stream == path)) {
            return tower::Service::call(&mut service.clone(), request);
        }
        let layered = service.unwrap_or(&self.own).clone();
        let answer = Self::streaming(layered, self.draining.clone(), request);
        Box::pin(async move { Ok(answer.await) })
    }
}

#[cfg(test)]
mod tests;
