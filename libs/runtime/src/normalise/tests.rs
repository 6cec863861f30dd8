//! What tonic really answers, through a real server, and what becomes of it.

use api::directory::v1::ResolveDomainRequest;
use http_body_util::Full;
use prost::Message as _;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::testing::{Keys, RESOLVE, Running, Scripted, authorise, request, told};

const DIRECTORY: &str = "directory.tenure";

/// Sends bytes as they are and reads the status that comes back, wherever it stands.
async fn send(server: &Running, keys: &Keys, path: &str, encoding: Option<&str>, body: Vec<u8>) -> Status {
    let token = keys.service_token(Service::Identity, Service::Directory);
    let mut request = Request::post(format!("http://{}{path}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"));
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let channel: Channel = server.channel();
    let response = channel.oneshot(request.body(Body::new(Full::from(body))).unwrap()).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let trailers = response.into_body().collect().await.unwrap();
    Status::from_header_map(trailers.trailers().unwrap()).unwrap()
}

/// A message in its frame.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

#[tokio::test]
async fn a_body_that_is_not_the_message_is_the_callers_mistake() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    let good = ResolveDomainRequest { domain: "contoso".to_owned() }.encode_to_vec();
    let cut_short = framed(0, &good)[..8].to_vec();
    for (what, body) in [
        ("another wire type", framed(0, &[0x08, 0x01])),
        ("not UTF-8", framed(0, &[0x0a, 0x01, 0xff])),
        ("nothing", Vec::new()),
        ("less than announced", cut_short),
        ("an unknown flag", framed(7, &good)),
        ("compressed by nothing", framed(1, &good)),
    ] {
        let status = send(&server, &keys, RESOLVE, None, body).await;
        let wanted = (tonic::Code::InvalidArgument, "BODY_UNDECODABLE".to_owned(), DIRECTORY.to_owned());
        assert_eq!(told(&status), wanted, "{what}");
    }
    assert_eq!(send(&server, &keys, RESOLVE, None, framed(0, &good)).await.code(), tonic::Code::Ok);
}

#[tokio::test]
async fn an_unknown_compression_is_told_as_the_protocol_wants_it() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    let status = send(&server, &keys, RESOLVE, Some("snappy"), framed(1, b"x")).await;
    assert_eq!(told(&status).0, tonic::Code::Unimplemented);
    assert_eq!(told(&status).1, "BODY_UNDECODABLE");
    assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_told_with_the_limit() {
    let keys = Keys::new();
    let server = Running::directory(
        Scripted::new(|request| async move {
            let domain = request.into_inner().domain;
            Ok(if domain == "large" { "x".repeat(MOST_MESSAGE_BYTES + 1) } else { domain })
        }),
        &keys,
    )
    .await;
    let too_large_in = "x".repeat(MOST_MESSAGE_BYTES + 1);
    for domain in [too_large_in.as_str(), "large"] {
        let status = server.resolve(request(&keys, domain)).await.unwrap_err();
        let wanted = (tonic::Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned(), DIRECTORY.to_owned());
        assert_eq!(told(&status), wanted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.metadata.get("limit_bytes").unwrap(), "4194304");
    }
}

#[tokio::test]
async fn unknown_methods_are_told_alike() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    for (path, domain) in [
        ("/tenure.directory.v1.DomainService/ResolveDomain/", DIRECTORY),
        ("/tenure.directory.v1.DomainService/ResolveDomain%2f", DIRECTORY),
        ("//tenure.directory.v1.DomainService/ResolveDomain", "tenure"),
        ("/tenure.identity.v1.UserService/GetUser", "identity.tenure"),
        ("/tenure.directoryv1.DomainService/ResolveDomain", "tenure"),
        ("/grpc.health.v1.Health/List", "tenure"),
        ("/other.Service/Method", "tenure"),
        ("/", "tenure"),
    ] {
        let status = send(&server, &keys, path, None, framed(0, &[])).await;
        let wanted = (tonic::Code::Unimplemented, "METHOD_UNKNOWN".to_owned(), domain.to_owned());
        assert_eq!(told(&status), wanted, "{path}");
        assert_eq!(status.get_details_error_info().unwrap().metadata.get("method").unwrap(), path);
    }
}

#[tokio::test]
async fn an_unknown_method_of_a_service_is_unknown_to_those_it_admits() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    for path in ["/tenure.directory.v1.DomainService/Nothing", "/tenure.directory.v1.Nothing/Nothing"] {
        let mut client = tonic::client::Grpc::new(server.channel());
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(ResolveDomainRequest::default());
        authorise(&mut request, &keys.operator_token());
        let codec = tonic_prost::ProstCodec::<ResolveDomainRequest, ResolveDomainRequest>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        let status = client.unary(request, path, codec).await.unwrap_err();
        let wanted = (tonic::Code::Unimplemented, "METHOD_UNKNOWN".to_owned(), DIRECTORY.to_owned());
        assert_eq!(told(&status), wanted);
    }
}

#[tokio::test]
async fn a_panic_is_one_requests_failure() {
    let keys = Keys::new();
    let server = Running::directory(
        Scripted::new(|request| async move {
            let domain = request.into_inner().domain;
            assert!(domain != "panic", "a secret: {domain}");
            Ok(domain)
        }),
        &keys,
    )
    .await;
    for _ in 0..3 {
        let mut request = request(&keys, "panic");
        request.metadata_mut().insert("x-request-id", "r-17".parse().unwrap());
        let status = server.resolve(request).await.unwrap_err();
        assert_eq!(told(&status), (tonic::Code::Internal, "INTERNAL".to_owned(), DIRECTORY.to_owned()));
        assert_eq!(status.message(), "internal error");
        assert_eq!(status.get_details_request_info().unwrap().request_id, "r-17");
    }
    assert_eq!(server.resolve(request(&keys, "contoso")).await.unwrap().into_inner().directory, "contoso");
}

#[tokio::test]
async fn an_error_without_details_is_a_defect_and_tells_nothing() {
    let keys = Keys::new();
    let server = Running::directory(
        Scripted::new(|request| async move {
            let code = request.into_inner().domain.parse::<i32>().unwrap();
            Err(Status::new(code.into(), "SELECT secret FROM users"))
        }),
        &keys,
    )
    .await;
    for code in [1, 2, 3, 5, 8, 11, 13, 16] {
        let status = server.resolve(request(&keys, &code.to_string())).await.unwrap_err();
        assert_eq!(told(&status).1, "INTERNAL", "{code}");
        assert_eq!(status.code(), tonic::Code::Internal);
        assert_eq!(status.message(), "internal error");
    }
}

#[tokio::test]
async fn a_timeout_of_a_library_is_ours() {
    let status = Status::cancelled("Timeout expired");
    let rewriter = Rewriter::of(&RESOLVE.parse().unwrap(), &HeaderValue::from_static("r-1"));
    let refusal = rewriter.refusal(&status).unwrap();
    assert_eq!(refusal.code(), Code::DeadlineExceeded);
    assert_eq!(refusal.reason(), reason::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn an_error_with_details_passes_unchanged() {
    let keys = Keys::new();
    let refusal = Refusal::not_found(kernel::Reason::new("DOMAIN_NOT_FOUND"), "directories/1/domains/a.b");
    let ours = status_in(DIRECTORY, &refusal, None);
    let sent = ours.clone();
    let server = Running::directory(
        Scripted::new(move |_| {
            let status = sent.clone();
            async move { Err(status) }
        }),
        &keys,
    )
    .await;
    let status = server.resolve(request(&keys, "")).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message(), status.details()),
        (ours.code(), ours.message(), ours.details())
    );
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let keys = Keys::new();
    let server =
        Running::directory(Scripted::new(|_| async { Ok(current_request_id().unwrap()) }), &keys).await;
    let long = "x".repeat(129);
    for (sent, kept) in [("abc-1", true), ("a b", false), (long.as_str(), false), ("", false)] {
        let mut request = request(&keys, "");
        request.metadata_mut().insert("x-request-id", sent.parse().unwrap());
        let response = server.resolve(request).await.unwrap();
        let returned = response.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        assert_eq!(returned == sent, kept, "{sent}: {returned}");
        assert_eq!(response.into_inner().directory, returned);
    }
}

#[test]
fn domains_follow_the_package() {
    assert_eq!(domain_of(RESOLVE), "directory.tenure");
    assert_eq!(domain_of("/tenure.subscription.v1.OrderService/GetOrder"), "subscription.tenure");
    assert_eq!(domain_of("/tenure.directories.v1.X/Y"), "tenure");
    assert_eq!(domain_of("tenure.directory.v1.X/Y"), "tenure");
}
