//! A transport to another service, the same for a remote one and for one in this process; it never retries.
//!
//! An answer is collected before it is handed on, so that the deadline covers it whole; a stream only when asked for.

mod error;
mod speaker;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use access::Service;
use access::service_key::PrivateKey;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited};
use kernel::Clock;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

pub use error::PeerError;
use speaker::Speaker;

use crate::deadline::{GRPC_TIMEOUT, for_peer_call, timeout_header};
use crate::normalise::{X_REQUEST_ID, request_id_header};
use crate::server::{Layered, MOST_MESSAGE_BYTES};
use crate::telemetry::{TRACEPARENT, outgoing_traceparent};

/// A peer that cannot be connected to in this time counts as absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection on which nothing was heard for so long is asked whether it still stands, and given up where that is not
/// answered. Until then every call over it is lost, and with it every write that needs the peer (P-3): a machine that
/// lost its power, or a balancer that forgot the connection, closes nothing.
const KEEPALIVE: Keepalive = Keepalive { every: Duration::from_secs(5), patience: Duration::from_secs(3) };
/// A message and the frames and trailers around it.
const MOST_ANSWER_BYTES: usize = MOST_MESSAGE_BYTES + 64 * 1024;

/// Base64 as tonic reads it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// When a silent connection is asked, and how long for an answer.
#[derive(Debug, Clone, Copy)]
struct Keepalive {
    every: Duration,
    patience: Duration,
}

type Transport = BoxCloneSyncService<Request<Body>, Response<Body>, Status>;

/// A peer, as generated clients take it: `DirectoryServiceClient::new(peer.clone())`.
#[derive(Clone)]
pub struct Peer {
    transport: Transport,
    speaker: Option<Arc<Speaker>>,
    /// Whether answers are handed on as they come.
    streaming: bool,
}

impl Peer {
    /// A peer at an address in clear; connected at the first call, and again after a loss. Within a runtime.
    pub fn remote(uri: Uri) -> Self {
        Self::at(Endpoint::from(uri))
    }

    /// As [`Self::remote`], where the endpoint says how TLS is spoken.
    pub fn at(endpoint: Endpoint) -> Self {
        Self::kept_alive(endpoint, KEEPALIVE)
    }

    fn kept_alive(endpoint: Endpoint, keepalive: Keepalive) -> Self {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(keepalive.every)
            .keep_alive_timeout(keepalive.patience)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Self::of(channel.map_err(|error: <Channel as tower::Service<Request<Body>>>::Error| {
            Status::from_error(Box::new(error))
        }))
    }

    /// A peer in this process: the same layers, the same messages, no socket.
    pub fn in_process(layered: Layered) -> Self {
        Self::of(layered.map_err(|never: Infallible| match never {}))
    }

    /// A peer that is connected later; until then every call fails UNAVAILABLE.
    pub fn later() -> (Self, PeerSlot) {
        let slot: Arc<OnceLock<Transport>> = Arc::default();
        let connected = Arc::clone(&slot);
        let transport = tower::service_fn(move |request| {
            let transport = connected.get().cloned();
            async move {
                match transport {
                    Some(transport) => transport.oneshot(request).await,
                    None => Err(Status::unavailable("the peer is not connected yet")),
                }
            }
        });
        (Self::of(transport), PeerSlot(slot))
    }

    /// Speaks as `own` to `audience` from now on: every call carries a service token.
    #[must_use]
    pub fn as_service(mut self, own: Service, key: PrivateKey, audience: Service, clock: Clock) -> Self {
        self.speaker = Some(Arc::new(Speaker::new(own, key, audience, clock)));
        self
    }

    /// For answers that are streams: handed on as they come, for as long as they come. The deadline covers the beginning
    /// alone; whoever reads bounds the rest.
    #[must_use]
    pub fn streaming(self) -> Self {
        Self { streaming: true, ..self }
    }

    /// A peer behind any service that answers gRPC; a transport's own failure is a `Status` too.
    pub fn of<S>(service: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Status>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self { transport: BoxCloneSyncService::new(service), speaker: None, streaming: false }
    }
}

/// The place for a peer that was handed out before it existed.
pub struct PeerSlot(Arc<OnceLock<Transport>>);

impl PeerSlot {
    /// Connects every clone of the peer.
    pub fn connect<S>(self, service: S)
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let transport = BoxCloneSyncService::new(service.map_err(|never: Infallible| match never {}));
        // The slot is consumed here, and nobody else holds one.
        let _first = self.0.set(transport);
    }
}

impl tower::Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(answer(self.clone(), request))
    }
}

/// One call: in time, whole, with the context of the request that caused it.
async fn answer(peer: Peer, mut request: Request<Body>) -> Result<Response<Body>, Status> {
    let granted = for_peer_call(request.headers());
    if granted.is_zero() {
        // The caller's own time is over: the deadline answers, and nobody is to blame.
        return std::future::pending().await;
    }
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            request.headers_mut().insert(name, value);
        }
    };
    let timeout = (!peer.streaming).then(|| timeout_header(granted));
    set(HeaderName::from_static(GRPC_TIMEOUT), timeout);
    set(HeaderName::from_static(TRACEPARENT), outgoing_traceparent());
    set(X_REQUEST_ID, request_id_header());
    if let Some(speaker) = &peer.speaker {
        set(http::header::AUTHORIZATION, Some(speaker.authorization()?));
    }
    let whole = async {
        let (mut parts, body) = peer.transport.oneshot(request).await?.into_parts();
        drop_broken_details(&mut parts.headers);
        if peer.streaming {
            return Ok(Response::from_parts(parts, Body::new(body.map_frame(readable))));
        }
        let body = Limited::new(body.map_frame(readable), MOST_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| Status::unavailable("the peer's answer broke off"))?;
        Ok(Response::from_parts(parts, Body::new(body)))
    };
    match tokio::time::timeout(granted, whole).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::unavailable("the peer did not answer in time")),
    }
}

/// The frame with trailers that tonic can read.
fn readable<D>(frame: Frame<D>) -> Frame<D> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            drop_broken_details(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Drops details that are not base64: tonic would panic over them, and a broken peer is UNAVAILABLE, not our defect.
fn drop_broken_details(headers: &mut HeaderMap) {
    let broken =
        headers.get(Status::GRPC_STATUS_DETAILS).is_some_and(|details| BASE64.decode(details).is_err());
    if broken {
        headers.remove(Status::GRPC_STATUS_DETAILS);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("speaker", &self.speaker).finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSlot")
    }
}

#[cfg(test)]
mod tests;
