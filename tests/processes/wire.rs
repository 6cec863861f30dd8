//! Ways to the replicas of a service, for clients that repeat what they are told to repeat, at the next replica.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use system_tests::people::{Wire, reason};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt as _;

/// How long a client goes on trying.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a client is told to repeat, and nothing else. Behind UNAVAILABLE alone there was no connection.
const DOCUMENTED: [&str; 5] = [
    "Unavailable/",
    "Unavailable/DEPENDENCY_UNAVAILABLE",
    "Unavailable/STORAGE_UNAVAILABLE",
    "Unavailable/COMMIT_OUTCOME_UNKNOWN",
    "Aborted/WRITE_CONFLICT",
];

/// What the replicas told clients to repeat, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeated(Arc<Mutex<BTreeMap<String, usize>>>);

impl Repeated {
    pub(crate) fn seen(&self) -> BTreeMap<String, usize> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, status: &Status) {
        *self.0.lock().unwrap().entry(reason(status)).or_default() += 1;
    }
}

/// A client of all replicas of a service: each call goes to the next one, and so does its repetition.
#[derive(Debug, Clone)]
struct Client {
    replicas: Arc<[Channel]>,
    turn: Arc<AtomicUsize>,
    patience: Duration,
    repeated: Repeated,
}

/// Calls go to the replicas by turns; one that is not served is repeated as it was, and noted.
pub(crate) fn by_turns(replicas: Vec<Channel>, repeated: Repeated) -> Wire {
    client(Client { replicas: replicas.into(), turn: Arc::default(), patience: PATIENCE, repeated })
}

/// Calls go to one replica, once.
pub(crate) fn once(replica: Channel) -> Wire {
    let (replicas, repeated) = (Arc::new([replica]), Repeated::default());
    client(Client { replicas, turn: Arc::default(), patience: Duration::ZERO, repeated })
}

fn client(client: Client) -> Wire {
    Wire::new(tower::service_fn(move |request| {
        let client = client.clone();
        async move { client.call(request).await }
    }))
}

impl Client {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let message = body.collect().await?.to_bytes();
        loop {
            let again = Request::from_parts(parts.clone(), Body::new(Full::new(message.clone())));
            let answer = whole(self.next(), again).await;
            let status = match &answer {
                Ok((headers, answer)) => refusal(headers, answer),
                Err(status) => Some(status.clone()),
            };
            match status.filter(is_not_served) {
                Some(status) if began.elapsed() < self.patience => self.repeated.note(&status),
                _ => return answer.map(|(headers, answer)| response(headers, answer)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn next(&self) -> Channel {
        self.replicas[self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len()].clone()
    }
}

/// Nobody served the call, it is not known whether somebody did, or others wrote at the same time.
fn is_not_served(status: &Status) -> bool {
    DOCUMENTED.contains(&reason(status).as_str())
}

/// The whole answer; a connection that is refused or breaks is UNAVAILABLE, as clients of other makers call it too.
async fn whole(replica: Channel, request: Request<Body>) -> Result<(HeaderMap, Collected<Bytes>), Status> {
    let not_connected = |error: &dyn std::fmt::Display| Status::unavailable(error.to_string());
    let (parts, body) = replica.oneshot(request).await.map_err(|error| not_connected(&error))?.into_parts();
    let answer = body.collect().await.map_err(|error| not_connected(&error))?;
    Ok((parts.headers, answer))
}

/// A refusal stands in the headers where nothing comes before it, else in the trailers.
fn refusal(headers: &HeaderMap, answer: &Collected<Bytes>) -> Option<Status> {
    Status::from_header_map(headers).or_else(|| Status::from_header_map(answer.trailers()?))
}

fn response(headers: HeaderMap, answer: Collected<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(answer));
    *response.headers_mut() = headers;
    response
}
