//! Traces and metrics as a collector receives them, over a socket. The subscriber is the process's: one test only.

use std::time::Duration;

use runtime::server::{Limits, Server};
use runtime::shutdown::Tasks;
use runtime::telemetry::{LogFormat, TelemetrySettings};
use test_support::collector::Collector;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test]
async fn a_collector_receives_spans_and_durations() {
    let tasks = Tasks::new();
    let (collector, endpoint) = Collector::start().await;
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

    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["grpc.health.v1.Health/Check"; 3]);
    assert!(collector.metric_names().iter().any(|name| name == "rpc.server.duration"));
    let told = collector.everything();
    for label in ["under-test", "\"OK\"", "\"NOT_FOUND\""] {
        assert!(told.contains(label), "{label} is not in {told}");
    }
    assert!(!told.contains("a secret"));
}
