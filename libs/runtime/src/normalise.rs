//! Makes errors that the libraries answer with into ours, and gives each request an id for the log.
//!
//! An error that carries details is ours already and passes unchanged.

use std::sync::atomic::{AtomicU64, Ordering};

use access::Service;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use kernel::{Code, Ids, Refusal, reason};
use tonic::Status;
use tonic::body::Body;

use crate::server::MOST_MESSAGE_BYTES;
use crate::shutdown::catch_panic;
use crate::status::status_in;

/// The header that names a request in logs; it decides nothing.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MOST_REQUEST_ID_BYTES: usize = 128;
/// The domain of errors on paths that belong to no service.
const NO_SERVICE: &str = "tenure";
/// What tonic says of a body that is not the message; checked against each release by the tests below.
const UNDECODABLE: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error: received message",
    "Unexpected EOF decoding stream.",
    "Missing request message.",
    "Error decompressing: ",
];

tokio::task_local! {
    static REQUEST_ID: HeaderValue;
}

/// The `x-request-id` of the current request; `None` outside of a request.
pub fn current_request_id() -> Option<String> {
    let id = request_id_header()?;
    id.to_str().ok().map(str::to_owned)
}

/// The id for a call to a peer, so that one id finds both in the logs.
pub(crate) fn request_id_header() -> Option<HeaderValue> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

/// Makes ids for requests that come without one: a random start and a count.
#[derive(Debug)]
pub(crate) struct RequestIds {
    start: String,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(ids: &Ids) -> Self {
        Self { start: ids.random().simple().to_string(), count: AtomicU64::new(0) }
    }

    /// The client's id where it is short visible ASCII, else a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let acceptable = |id: &&HeaderValue| {
            !id.is_empty()
                && id.len() <= MOST_REQUEST_ID_BYTES
                && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        headers.get(X_REQUEST_ID).filter(acceptable).cloned().unwrap_or_else(|| {
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{}-{count:x}", self.start)).expect("hexadecimal is visible ASCII")
        })
    }
}

/// The error domain of the package that a path begins with.
pub(crate) fn domain_of(path: &str) -> &'static str {
    let package = path.strip_prefix('/').unwrap_or_default();
    let ours = |service: &Service| {
        let context = service.as_str().trim_end_matches("-service");
        package
            .strip_prefix("tenure.")
            .and_then(|rest| rest.strip_prefix(context))
            .is_some_and(|rest| rest.starts_with('.'))
    };
    Service::ALL.into_iter().find(ours).map_or(NO_SERVICE, Service::error_domain)
}

/// Runs the rest of a request under its id and corrects the answer.
pub(crate) async fn normalised<R>(
    ids: &RequestIds,
    mut request: Request<Body>,
    rest: impl FnOnce(Request<Body>) -> R,
) -> Response<Body>
where
    R: Future<Output = Response<Body>>,
{
    let id = ids.of(request.headers());
    request.headers_mut().insert(X_REQUEST_ID, id.clone());
    let rewriter = Rewriter::of(request.uri(), &id);
    let answer = without_panic(rewriter.domain, rest(request));
    let mut response = rewriter.rewrite(REQUEST_ID.scope(id.clone(), answer).await);
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

/// K35: a panic of one handler is that request's failure and no other's.
async fn without_panic(domain: &str, rest: impl Future<Output = Response<Body>>) -> Response<Body> {
    catch_panic(rest).await.unwrap_or_else(|| {
        let request_id = current_request_id();
        // What the panic said may hold a field's content and is left to the panic hook.
        tracing::error!(request_id, "a handler panicked");
        status_in(domain, &Refusal::internal(), request_id.as_deref()).into_http()
    })
}

/// Corrects the status of one answer.
struct Rewriter {
    uri: Uri,
    id: HeaderValue,
    domain: &'static str,
    /// Health and reflection speak contracts that are not ours: what they answer themselves stays.
    foreign: bool,
}

impl Rewriter {
    fn of(uri: &Uri, id: &HeaderValue) -> Self {
        let path = uri.path();
        let (domain, foreign) = (domain_of(path), path.starts_with("/grpc."));
        Self { uri: uri.clone(), id: id.clone(), domain, foreign }
    }

    fn rewrite(self, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if self.correct(&mut parts.headers) {
            parts.extensions.remove::<Status>();
        }
        if body.is_end_stream() {
            return Response::from_parts(parts, body);
        }
        // A message that is too large to send is found out only here, in the trailers.
        let body = body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                self.correct(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        });
        Response::from_parts(parts, Body::new(body))
    }

    /// Replaces a status that a library made; says whether it did.
    fn correct(&self, headers: &mut HeaderMap) -> bool {
        let failed = headers.get(Status::GRPC_STATUS).is_some_and(|code| code != "0");
        if !failed || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
            return false;
        }
        let Some(refusal) = Status::from_header_map(headers).and_then(|status| self.refusal(&status)) else {
            return false;
        };
        let ours = status_in(self.domain, &refusal, self.id.to_str().ok());
        headers.remove(Status::GRPC_MESSAGE);
        ours.add_header(headers).is_ok()
    }

    fn refusal(&self, status: &Status) -> Option<Refusal> {
        let code = status.code();
        if let Some(refusal) = known(code, status.message(), self.uri.path()) {
            return Some(refusal);
        }
        if self.foreign {
            return None;
        }
        // Its text may hold a field's content and stays untold.
        tracing::error!(request_id = ?self.id, ?code, "an error without details was answered");
        Some(Refusal::internal())
    }
}

/// What a library means by a status of its own.
fn known(code: tonic::Code, text: &str, path: &str) -> Option<Refusal> {
    use tonic::Code::{Cancelled, Internal, OutOfRange, ResourceExhausted, Unimplemented, Unknown};
    if matches!(code, OutOfRange | ResourceExhausted) && is_too_large(text) {
        let refusal =
            Refusal::new(Code::ResourceExhausted, reason::MESSAGE_TOO_LARGE, "the message is too large");
        return Some(refusal.with("limit_bytes", MOST_MESSAGE_BYTES));
    }
    if matches!(code, Internal | Unknown) && UNDECODABLE.iter().any(|known| text.starts_with(known)) {
        let sentence = "the body is not the message of this method";
        return Some(Refusal::new(Code::InvalidArgument, reason::BODY_UNDECODABLE, sentence));
    }
    if code == Unimplemented && text.starts_with("Content is compressed") {
        // The protocol wants this code here, and `grpc-accept-encoding` beside it, which tonic has set.
        let sentence = "the compression is not supported";
        return Some(Refusal::new(Code::Unimplemented, reason::BODY_UNDECODABLE, sentence));
    }
    if code == Unimplemented {
        return Some(method_unknown(path));
    }
    if code == Cancelled && text == "Timeout expired" {
        let sentence = "the deadline has passed";
        return Some(Refusal::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, sentence));
    }
    None
}

/// The answer to a path that is no method of this server.
pub(crate) fn method_unknown(path: &str) -> Refusal {
    Refusal::new(Code::Unimplemented, reason::METHOD_UNKNOWN, "there is no such method").with("method", path)
}

fn is_too_large(text: &str) -> bool {
    text.contains("message length too large") || text.starts_with("Error decompressing: size limit")
}

#[cfg(test)]
mod tests;
