//! One span and one measurement a call. Labels are the method and the code, never anything that a client chose.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{Request, Response};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue, StringValue};
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::SAMPLE_RATIO;
use super::trace_context::{INCOMING, TraceContext};

/// The name of the span of a call, as `tracing` knows it.
pub(super) const SPAN: &str = "rpc";
/// The label of methods that do not exist.
const UNKNOWN: &str = "unknown";
/// Seconds; a call that asks nobody takes microseconds, the longest thirty seconds.
const BOUNDARIES: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The golden ratio's fraction of 2^64: successive multiples are spread evenly.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Watches the calls of one server.
pub(crate) struct RpcTelemetry {
    durations: Histogram<f64>,
    /// Method by path; labels are shared, not copied for each call.
    methods: HashMap<String, Arc<str>>,
    unknown: Arc<str>,
    calls: AtomicU64,
}

impl RpcTelemetry {
    /// For a server of these methods, given as paths.
    pub(crate) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let durations = opentelemetry::global::meter("tenure")
            .f64_histogram("rpc.server.duration")
            .with_unit("s")
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        let methods = paths.into_iter().map(|path| {
            let name = Arc::from(path.trim_start_matches('/'));
            (path, name)
        });
        Self { durations, methods: methods.collect(), unknown: UNKNOWN.into(), calls: AtomicU64::new(0) }
    }

    /// Runs the rest of a request, measured, and in a span if it is sampled.
    pub(crate) async fn observed<R>(
        &self,
        request: Request<Body>,
        rest: impl FnOnce(Request<Body>) -> R,
    ) -> Response<Body>
    where
        R: Future<Output = Response<Body>>,
    {
        let name = self.methods.get(request.uri().path()).unwrap_or(&self.unknown);
        let mut measurement =
            Measurement { server: self, name, started: Instant::now(), code: Code::Cancelled };
        let incoming = TraceContext::of(request.headers());
        // K35: decided before a span exists; the caller's decision wins, so that a trace is whole or absent.
        let sampled = incoming.map_or_else(|| self.samples_next(), |context| context.sampled);
        let span = if sampled { span(name, incoming) } else { Span::none() };
        let response = INCOMING.scope(incoming, rest(request).instrument(span.clone())).await;
        measurement.code = code_of(&response);
        span.record("rpc.grpc.status_code", i32::from(measurement.code));
        if is_failure(measurement.code) {
            span.record("otel.status_code", "ERROR");
        }
        response
    }

    /// Takes the configured share of calls.
    fn samples_next(&self) -> bool {
        let ratio = SAMPLE_RATIO.get().copied().unwrap_or_default();
        ratio > 0.0 && is_in_share(self.calls.fetch_add(1, Ordering::Relaxed), ratio)
    }
}

/// Whether the call of this number is one of the share, which is evenly spread.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than the upper bits")]
fn is_in_share(number: u64, ratio: f64) -> bool {
    number.wrapping_mul(SPREAD) as f64 / u64::MAX as f64 <= ratio
}

/// Measures until it is dropped: a call that its client gave up is CANCELLED.
struct Measurement<'a> {
    server: &'a RpcTelemetry,
    name: &'a Arc<str>,
    started: Instant,
    code: Code,
}

impl Drop for Measurement<'_> {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let labels = [
            KeyValue::new("rpc", StringValue::from(Arc::clone(self.name))),
            KeyValue::new("code", code_name(self.code)),
        ];
        self.server.durations.record(elapsed.as_secs_f64(), &labels);
        tracing::debug!(rpc = %self.name, code = code_name(self.code), ?elapsed, "answered");
    }
}

fn span(name: &str, incoming: Option<TraceContext>) -> Span {
    let (service, method) = name.split_once('/').unwrap_or((UNKNOWN, UNKNOWN));
    let span = tracing::info_span!(
        parent: None,
        SPAN,
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
    );
    if let Some(incoming) = incoming {
        let parent = Context::new().with_remote_span_context(incoming.remote_parent());
        // It fails where no tracer listens, and then there is nothing to be done.
        let _no_tracer = span.set_parent(parent);
    }
    span
}

/// The code in the headers. A stream's end comes after them and is not waited for.
fn code_of(response: &Response<Body>) -> Code {
    response.headers().get(Status::GRPC_STATUS).map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// Failures of the server, as the conventions for rpc spans count them.
fn is_failure(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_even_over_short_and_long_runs() {
        for (ratio, run) in [(0.01, 10_000_u64), (0.25, 100), (0.5, 20), (1.0, 20)] {
            for start in [0, 777, 1 << 40] {
                let taken = (start..start + run).filter(|number| is_in_share(*number, ratio)).count();
                let wanted = ratio * f64::from(u32::try_from(run).unwrap());
                let off = (f64::from(u32::try_from(taken).unwrap()) - wanted).abs();
                assert!(off <= 2.0, "{taken} of {run} from {start}");
            }
        }
    }
}
