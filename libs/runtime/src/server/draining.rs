//! Streams that nothing but their client would end: at the soft stop the server ends them, or the drain waits in vain.
//!
//! What is ready is sent first, so that an answer is never cut off.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use kernel::{Code, Refusal, reason};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use crate::normalise::domain_of;
use crate::status::status_in;

/// Runs a call whose two streams end once the server drains and nothing more is ready: the answer with UNAVAILABLE,
/// and then the request, which a handler may still be reading on a task of its own.
pub(super) async fn until_draining<F>(
    request: Request<Body>,
    draining: CancellationToken,
    call: impl FnOnce(Request<Body>) -> F,
) -> Response<Body>
where
    F: Future<Output = Response<Body>>,
{
    let domain = domain_of(request.uri().path());
    let over = CancellationToken::new();
    let answered = over.clone().drop_guard();
    let request = request.map(|body| Body::new(Until::new(body, over, None)));
    let answer = call(request).await;
    answer.map(|body| Body::new(Until::new(body, draining, Some((domain, answered)))))
}

/// A stream that ends once something else does and nothing more of it is ready.
struct Until {
    body: Body,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Of an answer: whose status it ends with, and what ends the request after it.
    answer: Option<(&'static str, DropGuard)>,
    ended: bool,
}

impl Until {
    fn new(body: Body, over: CancellationToken, answer: Option<(&'static str, DropGuard)>) -> Self {
        Self { body, over: Box::pin(over.cancelled_owned()), answer, ended: false }
    }
}

fn trailers(domain: &str) -> Result<HeaderMap, Status> {
    let message = "the server is stopping";
    let refusal = Refusal::new(Code::Unavailable, reason::SERVER_DRAINING, message);
    let mut trailers = HeaderMap::new();
    status_in(domain, &refusal, None).add_header(&mut trailers)?;
    Ok(trailers)
}

impl http_body::Body for Until {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.over.as_mut().poll(context));
        self.ended = true;
        Poll::Ready(self.answer.take().map(|(domain, _)| trailers(domain).map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
