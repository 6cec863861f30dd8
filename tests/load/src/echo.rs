//! Baseline B: a plain tonic server that echoes a message, and the call to it; also the collector that swallows.
//!
//! Nothing of the services is in it: no layers, no tokens, no storage.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::Failed;
use crate::drive::{Counter, Work};

/// What is sent and comes back: about 100 bytes on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Echoed {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    text: String,
}

/// An answer that says nothing; reading it skips every field.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

const PATH: &str = "/load.Echo/Echo";

macro_rules! unary_server {
    ($server:ident, $name:literal, $message:ty) => {
        /// Answers every call with what was sent.
        #[derive(Debug, Clone, Copy)]
        struct $server;

        impl NamedService for $server {
            const NAME: &'static str = $name;
        }

        impl tonic::server::UnaryService<$message> for $server {
            type Response = $message;
            type Future = std::future::Ready<Result<Response<$message>, Status>>;

            fn call(&mut self, request: Request<$message>) -> Self::Future {
                std::future::ready(Ok(Response::new(request.into_inner())))
            }
        }

        impl tower::Service<http::Request<Body>> for $server {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

            fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                Box::pin(async move {
                    let codec = ProstCodec::<$message, $message>::default();
                    Ok(tonic::server::Grpc::new(codec).unary($server, request).await)
                })
            }
        }
    };
}

unary_server!(Echo, "load.Echo", Echoed);
unary_server!(Traces, "opentelemetry.proto.collector.trace.v1.TraceService", Nothing);
unary_server!(Metrics, "opentelemetry.proto.collector.metrics.v1.MetricsService", Nothing);

/// Serves the echo, or swallows telemetry, until the process is ended.
#[expect(clippy::disallowed_methods, reason = "the baseline is a server without anything of ours")]
pub(crate) async fn serve(listener: TcpListener) -> Result<(), Failed> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut server = tonic::transport::Server::builder();
    let server = server.add_service(Echo).add_service(Traces).add_service(Metrics);
    Ok(server.serve_with_incoming(incoming).await?)
}

/// Calls of the echo.
#[derive(Debug)]
pub(crate) struct EchoWork {
    channels: Vec<Channel>,
    numbers: Counter,
}

impl EchoWork {
    pub(crate) fn new(channels: Vec<Channel>) -> Self {
        Self { channels, numbers: Counter::default() }
    }
}

impl Work for EchoWork {
    async fn call(&self, client: usize) -> Result<(), Failed> {
        let sent = Echoed { number: self.numbers.next(), text: "x".repeat(90) };
        let mut grpc = tonic::client::Grpc::new(self.channels[client % self.channels.len()].clone());
        grpc.ready().await?;
        let codec = ProstCodec::<Echoed, Echoed>::default();
        let path = PathAndQuery::from_static(PATH);
        let number = sent.number;
        let answer = grpc.unary(Request::new(sent), path, codec).await?.into_inner();
        if answer.number == number { Ok(()) } else { Err("the echo answered another number".into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::drive::Closed;
    use crate::measure::sample;
    use crate::process::own_cpu;
    use crate::subject::connect;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_echo_is_measured() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = tokio::task::JoinSet::new();
        server.spawn(serve(listener));
        let work = Arc::new(EchoWork::new(connect(&address, 2).await.unwrap()));
        work.call(0).await.unwrap();
        // Long enough for one answer on the busiest machine: how many come is not what is asked here.
        let shape = Closed { clients: 8, warm_up: Duration::ZERO, counted: Duration::from_millis(500) };
        let sample = sample(&work, shape, own_cpu).await.unwrap();
        assert!(sample.calls > 0 && sample.latency_us.p50 <= sample.latency_us.p99, "{sample:?}");
    }
}
