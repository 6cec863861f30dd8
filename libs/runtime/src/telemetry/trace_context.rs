//! W3C trace context in and out: `traceparent` alone; a `tracestate` is not passed on.

use std::fmt;

use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::span_context;
use crate::clock::system_ids;

/// The header of the trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    /// What the current request came with.
    pub(super) static INCOMING: Option<TraceContext>;
}

/// Where a request stands in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceContext {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) sampled: bool,
}

impl TraceContext {
    /// The trace context that a request came with, if it is well formed.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(TRACEPARENT)?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version, trace_id, span_id, flags].map(str::len);
        // A later version may append parts; version 00 has none, and ff is forbidden.
        let more = parts.next().is_some();
        if lengths != [2, 32, 16, 2] || version == "ff" || (version == "00" && more) {
            return None;
        }
        let is_hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if ![version, trace_id, span_id, flags].iter().all(|part| part.bytes().all(is_hexadecimal)) {
            return None;
        }
        let context = Self {
            trace_id: TraceId::from_hex(trace_id).ok()?,
            span_id: SpanId::from_hex(span_id).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (context.trace_id != TraceId::INVALID && context.span_id != SpanId::INVALID).then_some(context)
    }

    /// The context as the remote parent of a span.
    pub(super) fn remote_parent(self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(self.trace_id, self.span_id, flags, true, TraceState::NONE)
    }

    /// A trace that nobody records, so that the services behind this one do not begin traces of their own.
    fn unrecorded() -> Self {
        let bytes = system_ids().random().into_bytes();
        // A version 4 UUID is never all zero in either half.
        let [_, _, _, _, _, _, _, _, span @ ..] = bytes;
        Self { trace_id: TraceId::from_bytes(bytes), span_id: SpanId::from_bytes(span), sampled: false }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// Where the current request stands: its own span, or what it came with.
pub(super) fn current() -> Option<TraceContext> {
    span_context().or_else(|| INCOMING.try_with(|incoming| *incoming).ok().flatten())
}

/// The `traceparent` of a call to a peer; outside of a request the peer decides alone.
pub(crate) fn outgoing_traceparent() -> Option<HeaderValue> {
    let within_request = INCOMING.try_with(|_| ()).is_ok();
    let context = current().or_else(|| within_request.then(TraceContext::unrecorded))?;
    HeaderValue::try_from(context.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        for text in [SAMPLED.to_owned(), SAMPLED.replace("-01", "-00")] {
            assert_eq!(TraceContext::parse(&text).unwrap().to_string(), text);
        }
        assert!(TraceContext::parse(&SAMPLED.replace("00-4", "01-4")).is_some());
    }

    #[test]
    fn broken_ones_are_ignored() {
        for broken in [
            SAMPLED.replace("00-4", "ff-4"),
            SAMPLED.to_uppercase(),
            SAMPLED.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            SAMPLED.replace("00f067aa0ba902b7", &"0".repeat(16)),
            format!("{SAMPLED}-00"),
            SAMPLED[..54].to_owned(),
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            String::new(),
        ] {
            assert_eq!(TraceContext::parse(&broken), None, "{broken}");
        }
    }

    #[tokio::test]
    async fn an_undecided_peer_call_carries_the_decision_not_to_sample() {
        assert!(outgoing_traceparent().is_none());
        let header = INCOMING.scope(None, async { outgoing_traceparent() }).await.unwrap();
        assert!(!TraceContext::parse(header.to_str().unwrap()).unwrap().sampled);
    }
}
