//! Traces and metrics as a collector receives them, over a socket. The subscriber is the process's: one test only.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use runtime::server::{Limits, Server};
use runtime::shutdown::Tasks;
use runtime::telemetry::{LogFormat, TelemetrySettings};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().expect("no test panics with it").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().expect("no test panics with it").push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_collector_receives_spans_and_durations() {
    let (collector, tasks) = (Collector::default(), Tasks::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the collector is no server of ours")]
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tasks.spawn("collector", async move { serving.await.unwrap() });
    let telemetry = runtime::telemetry::init(&TelemetrySettings {
        service_name: "under-test".to_owned(),
        log_filter: "warn".to_owned(),
        log_format: LogFormat::Text,
        otlp_endpoint: Some(endpoint),
        sample_ratio: 1.0,
    });

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::new(Vec::new(), Limits::default());
    let serving = server.serve(listener, std::future::pending(), std::future::pending());
    tasks.spawn("server", async move { serving.await.unwrap() });
    let mut client = HealthClient::new(Endpoint::from_shared(uri).unwrap().connect_lazy());
    for service in ["", "", "a secret of the caller"] {
        let _answer = client.check(HealthCheckRequest { service: service.to_owned() }).await;
    }
    tokio::time::timeout(Duration::from_secs(5), telemetry.shutdown()).await.unwrap();

    let traces = format!("{:?}", collector.traces.lock().unwrap());
    assert_eq!(traces.matches("name: \"grpc.health.v1.Health/Check\"").count(), 3, "{traces}");
    assert!(traces.contains("under-test"));
    let metrics = format!("{:?}", collector.metrics.lock().unwrap());
    assert!(metrics.contains("rpc.server.duration"), "{metrics}");
    for label in ["grpc.health.v1.Health/Check", "\"OK\"", "\"NOT_FOUND\""] {
        assert!(metrics.contains(label), "{label} is not in {metrics}");
    }
    assert!(!traces.contains("a secret") && !metrics.contains("a secret"));
}
