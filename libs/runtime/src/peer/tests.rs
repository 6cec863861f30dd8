//! Calls to peers: what travels with them, and that a silent peer is told in time.

mod reconnecting;

use std::sync::Mutex;

use api::directory::v1::ResolveDomainRequest;
use api::directory::v1::domain_service_client::DomainServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::Code;

use super::*;
use crate::clock::system_clock;
use crate::deadline;
use crate::server::Limits;
use crate::shutdown::Tasks;
use crate::status::status;
use crate::testing::{Keys, Running, Scripted, directory, request};

async fn ask(peer: &Peer) -> Result<String, PeerError> {
    let answer = DomainServiceClient::new(peer.clone()).resolve_domain(ResolveDomainRequest::default()).await;
    answer.map(|answer| answer.into_inner().directory).map_err(PeerError::of)
}

fn as_identity(peer: Peer, keys: &Keys) -> Peer {
    let key = keys.services[&Service::Identity].clone();
    peer.as_service(Service::Identity, key, Service::Directory, system_clock())
}

/// A server whose handler asks a peer and answers what the peer said.
async fn in_front_of(peer: Peer, keys: &Keys) -> Running {
    Running::directory(
        Scripted::new(move |_| {
            let peer = peer.clone();
            async move {
                let answer = ask(&peer).await;
                answer.map_err(|error| status(Service::Directory, &error.unavailable(Service::Directory)))
            }
        }),
        keys,
    )
    .await
}

/// A listener that treats each connection as told.
async fn listening<F, R>(tasks: &Tasks, treat: F) -> Uri
where
    F: Fn(tokio::net::TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let own = tasks.clone();
    tasks.spawn("listener", async move {
        while let Ok((stream, _)) = listener.accept().await {
            own.spawn("connection", treat(stream));
        }
    });
    uri
}

#[tokio::test]
async fn a_peer_in_this_process_is_told_who_asks_until_when_and_why() {
    let keys = Keys::new();
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let record = Arc::clone(&seen);
    let inner = Scripted::new(move |request| {
        let caller = request.extensions().get::<access::caller::Authentication>().unwrap();
        let mut seen = record.lock().unwrap();
        seen.push(("caller".to_owned(), caller.caller().unwrap().actor()));
        for key in ["grpc-timeout", "traceparent", "x-request-id"] {
            let value = request.metadata().get(key).map_or("", |value| value.to_str().unwrap());
            seen.push((key.to_owned(), value.to_owned()));
        }
        let remaining = crate::deadline::remaining().unwrap();
        assert!(remaining <= Duration::from_millis(1_900), "{remaining:?}");
        async { Ok("inner".to_owned()) }
    });
    let peer = Peer::in_process(directory(inner, &keys, &Limits::default()));
    let outer = in_front_of(as_identity(peer, &keys), &keys).await;

    let mut request = request(&keys, "");
    request.set_timeout(Duration::from_secs(2));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-00");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "r-1".parse().unwrap());
    assert_eq!(outer.resolve(request).await.unwrap().into_inner().directory, "inner");

    let seen = seen.lock().unwrap();
    let value = |key: &str| seen.iter().find(|(name, _)| name == key).unwrap().1.clone();
    assert_eq!(value("caller"), "services/identity-service");
    assert_eq!(value("x-request-id"), "r-1");
    assert_eq!(value("traceparent"), parent);
    let timeout: u64 = value("grpc-timeout").strip_suffix('u').unwrap().parse().unwrap();
    assert!((1_000_000..=1_900_000).contains(&timeout), "{timeout} us");
}

#[tokio::test]
async fn a_remote_peer_is_spoken_to_alike() {
    let keys = Keys::new();
    let inner = Running::directory(Scripted::echo(), &keys).await;
    let uri: Uri = format!("http://{}", inner.address).parse().unwrap();
    assert_eq!(ask(&Peer::remote(uri.clone())).await.unwrap_err().reason.as_deref(), Some("TOKEN_MISSING"));
    assert_eq!(ask(&as_identity(Peer::remote(uri), &keys)).await.unwrap(), "");
}

#[tokio::test]
async fn a_peers_refusal_is_told_by_its_reason() {
    let keys = Keys::new();
    let refusal =
        kernel::Refusal::failed_precondition(kernel::Reason::new("LABEL_TAKEN"), "taken").with("label", "a");
    let scripted = Scripted::new(move |_| {
        let refused = status(Service::Directory, &refusal);
        async move { Err(refused) }
    });
    let peer = as_identity(Peer::in_process(directory(scripted, &keys, &Limits::default())), &keys);
    let error = ask(&peer).await.unwrap_err();
    assert!(error.is("LABEL_TAKEN") && !error.is("INTERNAL"));
    assert_eq!((error.code, error.metadata["label"].as_str()), (Code::FailedPrecondition, "a"));
    let told = error.unavailable(Service::Directory);
    assert_eq!(told.reason(), kernel::reason::DEPENDENCY_UNAVAILABLE);
}

#[tokio::test]
async fn a_later_peer_is_unavailable_until_it_is_connected() {
    let keys = Keys::new();
    let (peer, slot) = Peer::later();
    let peer = as_identity(peer, &keys);
    assert_eq!(ask(&peer).await.unwrap_err().code, Code::Unavailable);
    slot.connect(directory(Scripted::echo(), &keys, &Limits::default()));
    assert_eq!(ask(&peer).await.unwrap(), "");
}

#[tokio::test]
async fn a_broken_peer_is_told_before_the_callers_deadline() {
    let keys = Keys::new();
    let tasks = Tasks::new();
    let refuses: Uri = {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", closed.local_addr().unwrap()).parse().unwrap()
    };
    let silent = listening(&tasks, |mut stream| async move {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    let talks_nonsense = listening(&tasks, |mut stream| async move {
        let _sent = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await;
    })
    .await;
    let never_answers = Scripted::new(|_| std::future::pending());
    let never_answers = Peer::in_process(directory(never_answers, &keys, &Limits::default()));
    let panics = Scripted::new(|_| async { panic!("on purpose") });
    let panics = Peer::in_process(directory(panics, &keys, &Limits::default()));
    for (what, peer) in [
        ("refuses the connection", Peer::remote(refuses)),
        ("accepts and is silent", Peer::remote(silent)),
        ("talks nonsense", Peer::remote(talks_nonsense)),
        ("never answers", never_answers),
        ("panics", panics),
    ] {
        let outer = in_front_of(as_identity(peer, &keys), &keys).await;
        // The client gives up at its deadline with CANCELLED, so the answer itself proves that it came before. A busy
        // machine may hold it up for longer than what is kept for it, but not each time.
        let mut codes = Vec::new();
        while codes.len() < 3 && !codes.contains(&(Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned())) {
            let mut request = request(&keys, "");
            request.set_timeout(Duration::from_millis(400));
            let status = outer.resolve(request).await.unwrap_err();
            let reason = PeerError::of(status.clone()).reason;
            codes.push((status.code(), reason.unwrap_or_default()));
        }
        assert_eq!(codes.last().unwrap().0, Code::Unavailable, "{what}: {codes:?}");
    }
}

#[tokio::test]
async fn without_time_nobody_is_asked() {
    let peer = Peer::of(tower::service_fn(|_| async { Ok(Response::new(Body::empty())) }));
    let call = deadline::when_over(peer.clone().oneshot(http::Request::new(Body::empty())));
    let answered = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(answered.is_err(), "the caller's deadline answers");
    assert!(peer.oneshot(http::Request::new(Body::empty())).await.is_ok(), "with time it is asked");
}

#[tokio::test]
async fn broken_details_of_a_peer_are_no_defect_of_ours() {
    let (peer, slot) = Peer::later();
    slot.connect(tower::service_fn(|_| async {
        let response: Response<Body> = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "13")
            .header("grpc-status-details-bin", "%%%")
            .body(Body::empty())
            .unwrap();
        Ok(response)
    }));
    let error = ask(&peer).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Internal, None));
}

/// A body of which nothing comes.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = tonic::codegen::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn the_wait_for_a_peer_ends_whatever_the_peer_does() {
    let keys = Keys::new();
    let (silent, slot_of_silent) = Peer::later();
    slot_of_silent.connect(tower::service_fn(|_| std::future::pending()));
    let (stalled, slot_of_stalled) = Peer::later();
    slot_of_stalled.connect(tower::service_fn(|_| async {
        let response = Response::builder().header("content-type", "application/grpc");
        Ok(response.body(Body::new(Stalled)).unwrap())
    }));
    for peer in [silent, stalled] {
        let limits = Limits { longest_call: Duration::from_millis(150), ..Limits::default() };
        let asking = Scripted::new(move |_| {
            let peer = peer.clone();
            async move { Ok(format!("{:?}", ask(&peer).await.unwrap_err().code)) }
        });
        let server = Running::start(vec![directory(asking, &keys, &limits)], limits).await;
        assert_eq!(server.resolve(request(&keys, "")).await.unwrap().into_inner().directory, "Unavailable");
    }
}
