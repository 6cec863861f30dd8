//! A collector inside the test: it keeps every span and metric that is exported to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

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
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Everything that was received.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

impl Collector {
    /// Listens on a free port; gives its endpoint.
    pub async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        #[expect(clippy::disallowed_methods, reason = "the test's own collector, not a server of ours")]
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let mut set = tokio::task::JoinSet::new();
        set.spawn(server);
        set.detach_all();
        (collector, endpoint)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().expect("nobody panics");
        let scopes =
            traces.iter().flat_map(|request| &request.resource_spans).flat_map(|spans| &spans.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().cloned()).collect()
    }

    /// The names of all metrics so far.
    pub fn metric_names(&self) -> Vec<String> {
        let metrics = self.metrics.lock().expect("nobody panics");
        let scopes = metrics
            .iter()
            .flat_map(|request| &request.resource_metrics)
            .flat_map(|metrics| &metrics.scope_metrics);
        scopes.flat_map(|scope| scope.metrics.iter().map(|metric| metric.name.clone())).collect()
    }

    /// The keys of all labels of a histogram's points so far.
    pub fn labels_of(&self, metric: &str) -> BTreeSet<String> {
        let metrics = self.metrics.lock().expect("nobody panics");
        let scopes = metrics
            .iter()
            .flat_map(|request| &request.resource_metrics)
            .flat_map(|metrics| &metrics.scope_metrics);
        let of_name = scopes.flat_map(|scope| &scope.metrics).filter(|found| found.name == metric);
        let points = of_name.filter_map(|found| match &found.data {
            Some(Data::Histogram(histogram)) => Some(&histogram.data_points),
            _ => None,
        });
        points.flatten().flat_map(|point| &point.attributes).map(|label| label.key.clone()).collect()
    }

    /// Everything that was exported, as text.
    pub fn everything(&self) -> String {
        format!(
            "{:?}{:?}",
            self.traces.lock().expect("nobody panics"),
            self.metrics.lock().expect("nobody panics")
        )
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().expect("nobody panics").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().expect("nobody panics").push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
