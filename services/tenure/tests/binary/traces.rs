//! One attach is one trace over all three services, and nothing that is exported or logged tells a secret.

use std::collections::BTreeSet;

use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use test_support::client::{PASSWORD, directory_of, founded, trial, with_token};
use test_support::collector::Collector;

use crate::process::Running;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_attach_is_one_trace_of_all_three_services_without_a_secret() {
    let (collector, endpoint) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let more = ["--otlp-endpoint", &endpoint, "--trace-ratio", "1", "--log", "debug", "--log-format", "json"];
    let running = Running::start(&folder.path().join("data"), &more);
    let channel = running.channel().await;
    let ada = founded(&channel, "contoso").await;
    let mut request = with_token(trial(&directory_of(&ada)), &ada.access_token);
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    SubscriptionServiceClient::new(channel).attach_office365_subscription(request).await.unwrap();
    // Stopping flushes what is not exported yet.
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");

    let spans = collector.spans();
    let of_the_attach: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE_ID).collect();
    let services: BTreeSet<_> =
        of_the_attach.iter().filter_map(|span| span.name.split('.').nth(1)).map(str::to_owned).collect();
    let all = ["directory", "identity", "subscription"].map(str::to_owned);
    assert_eq!(
        services,
        BTreeSet::from(all),
        "{:?}",
        of_the_attach.iter().map(|span| &span.name).collect::<Vec<_>>()
    );
    // Each span but the attach's own hangs below another of the same trace: W3C traceparent goes in and out.
    let ids: BTreeSet<_> = of_the_attach.iter().map(|span| span.span_id.clone()).collect();
    let outer: Vec<_> = of_the_attach
        .iter()
        .filter(|span| !ids.contains(&span.parent_span_id))
        .map(|span| &span.name)
        .collect();
    assert_eq!(outer, ["tenure.subscription.v1.SubscriptionService/AttachOffice365Subscription"]);
    // K35: the rpc and the code, never a directory.
    let labels = BTreeSet::from(["rpc", "code"].map(str::to_owned));
    assert_eq!(collector.labels_of("rpc.server.duration"), labels);

    let told = collector.everything() + &log;
    let user = ada.user.unwrap();
    for secret in
        [PASSWORD, &ada.access_token, &ada.refresh_token, &user.user_principal_name, "ada@", "contoso.tenure"]
    {
        assert!(!told.contains(secret), "{secret} was exported or logged");
    }
}
