//! Which connections are taken: no more than the limit, and none in a hurry while the system has none to give.
//!
//! What a client says on its connection is not looked at here.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::hard_stop::Stoppable;

/// Without it, accepting keeps a core busy for as long as the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// Whoever turns connections away does so thousands of times.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// Lets connections in; a failure to accept one ends nothing.
pub(super) fn admitted<S>(
    accepted: S,
    limits: &Limits,
    tls: Option<TlsAcceptor>,
    cut_off: CancellationToken,
) -> impl Stream<Item = io::Result<Stoppable>> + use<S>
where
    S: Stream<Item = io::Result<TcpStream>>,
{
    let gate = Arc::new(Gate {
        places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
        preface: limits.preface,
        tls,
        cut_off,
        warned_at: Mutex::default(),
    });
    let admitted = accepted.then(move |accepted| {
        let gate = Arc::clone(&gate);
        async move { gate.admit(accepted).await }
    });
    admitted.filter_map(|connection| connection.map(Ok))
}

struct Gate {
    places: Arc<Semaphore>,
    preface: Duration,
    tls: Option<TlsAcceptor>,
    cut_off: CancellationToken,
    warned_at: Mutex<Option<Instant>>,
}

impl Gate {
    async fn admit(&self, accepted: io::Result<TcpStream>) -> Option<Stoppable> {
        let stream = match accepted {
            Ok(stream) => stream,
            // The client has gone before it was let in.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => return None,
            Err(error) => {
                self.warn("no connection can be accepted", Some(&error));
                tokio::time::sleep(PAUSE).await;
                return None;
            }
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.warn("there are too many connections; another was closed", None);
            return None;
        };
        Some(Stoppable::new(stream, self.tls.as_ref(), place, self.preface, &self.cut_off))
    }

    fn warn(&self, what: &str, error: Option<&io::Error>) {
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS) {
            *warned_at = Some(Instant::now());
            tracing::warn!(error = error.map(|error| error as &dyn std::error::Error), "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use api::directory::v1::domain_service_client::DomainServiceClient;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::testing::{Keys, Running, Scripted, directory, request};

    const SOON: Duration = Duration::from_secs(5);

    /// Until the server closes the connection.
    async fn closed(connection: &mut TcpStream) {
        let mut settings = Vec::new();
        // What the server says first does not matter, nor whether it closes politely.
        let _ = tokio::time::timeout(SOON, connection.read_to_end(&mut settings)).await.expect("closed soon");
    }

    #[tokio::test]
    async fn a_connection_beyond_the_limit_is_closed_and_takes_no_place() {
        let keys = Keys::new();
        let limits = Limits { connections: 1, ..Limits::default() };
        let server = Running::start(vec![directory(Scripted::echo(), &keys, &limits)], limits).await;
        let first = TcpStream::connect(server.address).await.unwrap();
        for _ in 0..3 {
            closed(&mut TcpStream::connect(server.address).await.unwrap()).await;
        }
        drop(first);
        let taken = async {
            // Until the server has noticed that the first is gone.
            while server.resolve(request(&keys, "")).await.is_err() {}
        };
        tokio::time::timeout(SOON, taken).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_stays_silent_is_closed() {
        let keys = Keys::new();
        let limits = Limits { preface: Duration::from_millis(50), ..Limits::default() };
        let told = |request: tonic::Request<_>| async move { Ok(request.remote_addr().unwrap().to_string()) };
        let server = Running::start(vec![directory(Scripted::new(told), &keys, &limits)], limits).await;
        let mut client = DomainServiceClient::new(server.channel());
        let mut address =
            async || client.resolve_domain(request(&keys, "")).await.unwrap().into_inner().directory;
        let before = address().await;
        for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let mut connection = TcpStream::connect(server.address).await.unwrap();
            connection.write_all(said.as_bytes()).await.unwrap();
            closed(&mut connection).await;
        }
        assert_eq!(address().await, before, "one that spoke in time lives on, however quiet it is");
    }

    #[tokio::test]
    async fn a_system_that_has_no_connection_to_give_is_not_asked_in_a_loop() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        // EMFILE, twice.
        let failed = || Err(io::Error::from_raw_os_error(24));
        let accepted = tokio_stream::iter([failed(), failed(), Ok(stream)]);
        let started = Instant::now();
        let admitted = admitted(accepted, &Limits::default(), None, CancellationToken::new());
        let connections: Vec<_> = admitted.collect().await;
        assert!(started.elapsed() >= 2 * PAUSE);
        assert!(matches!(connections[..], [Ok(_)]), "no error reaches the server");
    }
}
