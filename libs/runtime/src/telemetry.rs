//! Logs to standard error, traces and metrics by OTLP where an endpoint is configured.
//!
//! No field's content is ever recorded: no address, no token, no password.

mod rpc;
mod trace_context;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::DynFilterFn;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Registry, fmt};

pub(crate) use rpc::RpcTelemetry;
pub(crate) use trace_context::{TRACEPARENT, outgoing_traceparent};

/// Libraries whose own news are of no use in a log unless something is wrong; a filter may name them to hear more.
const QUIET: &str =
    "h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,opentelemetry=warn,sqlx=warn,rustls=warn";
/// Libraries whose spans are not exported; the exporter would trace itself.
const NOT_TRACED: [&str; 7] = ["h2", "hyper", "tonic", "tower", "opentelemetry", "sqlx", "rustls"];
/// An export that takes longer is given up.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// A collector that does not answer does not hold up the end of the process for longer.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// Which share of the requests that do not say so themselves are traced.
static SAMPLE_RATIO: OnceLock<f64> = OnceLock::new();

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a process tells, and to whom.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// The name in traces and metrics.
    pub service_name: String,
    /// Which log lines are written, as `tracing_subscriber::EnvFilter` reads it; see [`check_filter`].
    pub log_filter: String,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Where traces and metrics go; nothing is exported without it.
    pub otlp_endpoint: Option<String>,
    /// Which share of the requests is traced, where the caller's `traceparent` does not say.
    pub sample_ratio: f64,
}

/// Whether a log filter is understood, with the reason why not.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter).map(|_| ()).map_err(|error| error.to_string())
}

/// Starts logs, traces and metrics of this process; within a runtime, before any server is layered. Only the first
/// call of a process has an effect on logs and spans.
#[must_use = "what was not exported yet is lost without `shutdown`"]
pub fn init(settings: &TelemetrySettings) -> TelemetryGuard {
    let guard = settings.otlp_endpoint.as_deref().map(|endpoint| exporters(settings, endpoint));
    let (guard, failed) = match guard {
        None => (TelemetryGuard::default(), None),
        Some(Ok(guard)) => (guard, None),
        Some(Err(error)) => (TelemetryGuard::default(), Some(error)),
    };
    if guard.traces.is_some() {
        SAMPLE_RATIO.get_or_init(|| settings.sample_ratio);
    }
    if let Some(metrics) = &guard.metrics {
        opentelemetry::global::set_meter_provider(metrics.clone());
    }
    // Another subscriber stands already where a test has set its own.
    let _already_set = tracing::subscriber::set_global_default(subscriber(settings, guard.traces.as_ref()));
    if let Some(error) = failed {
        tracing::error!(%error, "traces and metrics are not exported");
    }
    guard
}

/// The trace that the current request belongs to, where it is sampled.
pub fn current_trace_id() -> Option<String> {
    trace_context::current().filter(|context| context.sampled).map(|context| context.trace_id.to_string())
}

/// Keeps the exporters; to be shut down at the end of the process.
#[derive(Debug, Default)]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

impl TelemetryGuard {
    /// Exports what is left, for at most a few seconds.
    pub async fn shutdown(self) {
        let Self { traces, metrics } = self;
        // The providers block until the collector has answered.
        let export = tokio::task::spawn_blocking(move || {
            let traces = traces.map(|traces| traces.shutdown_with_timeout(EXPORT_TIMEOUT));
            let metrics = metrics.map(|metrics| metrics.shutdown_with_timeout(EXPORT_TIMEOUT));
            [traces, metrics].into_iter().flatten().find_map(Result::err)
        });
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, export).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(error))) => tracing::warn!(%error, "the last traces or metrics were not exported"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces or metrics were not exported in time"),
        }
    }
}

fn exporters(settings: &TelemetrySettings, endpoint: &str) -> Result<TelemetryGuard, ExporterBuildError> {
    let resource = Resource::builder_empty().with_service_name(settings.service_name.clone()).build();
    let spans =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()?;
    let metrics = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let traces = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        // A span is made only for a sampled request: whoever made one has decided already.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource.clone())
        .build();
    let metrics = SdkMeterProvider::builder().with_periodic_exporter(metrics).with_resource(resource).build();
    Ok(TelemetryGuard { traces: Some(traces), metrics: Some(metrics) })
}

fn subscriber(
    settings: &TelemetrySettings,
    traces: Option<&SdkTracerProvider>,
) -> impl Subscriber + Send + Sync + use<> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.log_filter))
        .unwrap_or_else(|_| EnvFilter::new(format!("{QUIET},info")));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    Registry::default().with(traces.map(spans_to)).with(lines.with_filter(filter))
}

/// Hands spans, and nothing but spans, to the tracer.
pub(crate) fn spans_to(traces: &SdkTracerProvider) -> impl Layer<Registry> + Send + Sync + use<> {
    // A span outside of a request would begin a trace of its own that nobody has sampled.
    let within_request = DynFilterFn::new(|metadata, context| {
        is_traced(metadata) && (metadata.name() == rpc::SPAN || context.lookup_current().is_some())
    })
    .with_callsite_filter(
        |metadata| if is_traced(metadata) { Interest::sometimes() } else { Interest::never() },
    )
    .with_max_level_hint(LevelFilter::INFO);
    tracing_opentelemetry::layer()
        .with_tracer(traces.tracer("tenure"))
        .with_location(false)
        .with_threads(false)
        .with_filter(within_request)
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_span()
        && *metadata.level() <= tracing::Level::INFO
        && !NOT_TRACED.iter().any(|quiet| library.starts_with(quiet))
}

/// The trace context of the current span, where it is exported.
fn span_context() -> Option<trace_context::TraceContext> {
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| trace_context::TraceContext {
        trace_id: span.trace_id(),
        span_id: span.span_id(),
        sampled: span.is_sampled(),
    })
}

#[cfg(test)]
mod tests;
