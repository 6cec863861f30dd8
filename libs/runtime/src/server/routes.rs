//! The generated servers of one service, found by their names: a call goes to its server as it is, without a router's
//! boxes around request and answer.
//!
//! Which service a call belongs to, and whether it may be made, is told outside.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
type Answer = Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// The generated servers of one service.
#[derive(Clone, Default)]
pub struct Routes(Vec<(&'static str, Answer)>);

impl Routes {
    /// Routes to one generated server.
    pub fn new<S>(server: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        Self::default().add_service(server)
    }

    /// Routes to one more.
    #[must_use]
    pub fn add_service<S>(mut self, server: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        // A generated server is ready at any time; a clone is two counters and its limits.
        self.0.push((S::NAME, Arc::new(move |request| server.clone().call(request))));
        self
    }

    /// Hands a call to the server that its path names.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let name = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(name, _)| name);
        match self.0.iter().find(|(served, _)| Some(*served) == name) {
            Some((_, answer)) => {
                let Ok(response) = answer(request).await;
                response
            }
            // The normaliser gives it a reason, as to every method that is none.
            None => Status::unimplemented("").into_http(),
        }
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
