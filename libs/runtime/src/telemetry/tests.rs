//! One trace over a call and the peer behind it, and nothing where nobody samples.

use std::sync::{Arc, Mutex};

use access::Service;
use api::directory::v1::ResolveDomainRequest;
use api::directory::v1::domain_service_client::DomainServiceClient;
use http::Request;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tonic::body::Body;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::*;
use crate::clock::system_clock;
use crate::peer::{Peer, PeerError};
use crate::server::{Layered, Limits};
use crate::status::status;
use crate::testing::{Keys, RESOLVE, Scripted, directory};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[derive(Debug, Clone, Default)]
struct Collected(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collected {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// A service that asks a peer, and makes a span of its own.
fn chain(keys: &Keys) -> Layered {
    let limits = Limits::default();
    let inner = Peer::in_process(directory(
        Scripted::new(|_| async { Ok(current_trace_id().unwrap_or_default()) }),
        keys,
        &limits,
    ));
    let key = keys.services[&Service::Identity].clone();
    let inner = inner.as_service(Service::Identity, key, Service::Directory, system_clock());
    let outer = Scripted::new(move |_| {
        let peer = inner.clone();
        async move {
            let asked = async {
                DomainServiceClient::new(peer).resolve_domain(ResolveDomainRequest::default()).await
            };
            let answer =
                asked.instrument(tracing::info_span!("directory.resolve")).await.map_err(|error| {
                    status(Service::Directory, &PeerError::of(error).unavailable(Service::Directory))
                })?;
            Ok(answer.into_inner().directory)
        }
    });
    directory(outer, keys, &limits)
}

/// Calls the chain with a `traceparent` and gives the spans that were exported.
async fn spans_of(traceparent: Option<String>) -> Vec<SpanData> {
    let keys = Keys::new();
    let collected = Collected::default();
    let traces = SdkTracerProvider::builder().with_simple_exporter(collected.clone()).build();
    let chain = chain(&keys);
    let mut request = Request::post(RESOLVE).header("content-type", "application/grpc").header(
        "authorization",
        format!("Bearer {}", keys.service_token(Service::Identity, Service::Directory)),
    );
    if let Some(traceparent) = traceparent {
        request = request.header(TRACEPARENT, traceparent);
    }
    let request = request.body(Body::new(http_body_util::Full::from(&[0_u8; 5][..]))).unwrap();
    // On this thread alone, and the test's runtime has no other.
    let guard = tracing::subscriber::set_default(Registry::default().with(spans_to(&traces)));
    let response = chain.oneshot(request).await.unwrap();
    assert!(!response.headers().contains_key("grpc-status"), "{:?}", response.headers());
    drop(guard);
    traces.force_flush().unwrap();
    collected.0.lock().unwrap().clone()
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_sampled_call_and_its_peer_are_one_trace() {
    let spans = spans_of(Some(format!("00-{TRACE}-{PARENT}-01"))).await;
    let calls: Vec<&SpanData> =
        spans.iter().filter(|span| span.name == "tenure.directory.v1.DomainService/ResolveDomain").collect();
    assert_eq!(calls.len(), 2, "{spans:?}");
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == TRACE));
    let outer = calls.iter().find(|span| span.parent_span_id.to_string() == PARENT).unwrap();
    let inner = calls.iter().find(|span| span.parent_span_id.to_string() != PARENT).unwrap();
    assert_ne!(inner.parent_span_id, SpanId::INVALID);
    assert!(spans.iter().any(|span| span.span_context.span_id() == inner.parent_span_id));
    assert_eq!(attribute(outer, "rpc.system"), "grpc");
    assert_eq!(attribute(outer, "rpc.service"), "tenure.directory.v1.DomainService");
    assert_eq!(attribute(outer, "rpc.method"), "ResolveDomain");
    assert_eq!(attribute(outer, "rpc.grpc.status_code"), "0");
}

#[tokio::test]
async fn an_unsampled_call_makes_no_span() {
    assert!(spans_of(Some(format!("00-{TRACE}-{PARENT}-00"))).await.is_empty());
    assert!(spans_of(None).await.is_empty());
}

#[test]
fn filters_are_checked_before_they_are_used() {
    assert!(check_filter("info,identity_service=debug").is_ok());
    assert!(check_filter("info,=,x=y").is_err());
}
