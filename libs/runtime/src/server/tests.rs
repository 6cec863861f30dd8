//! The server as a client sees it: who is let in, deadlines, health, reflection, the two stages of stopping.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use access::Service;
use access::token::{Claims, Trust};
use api::directory::v1::ResolveDomainRequest;
use tokio::sync::Notify;
use tokio_stream::{StreamExt as _, once};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;

use super::*;
use crate::clock::system_clock;
use crate::peer::Peer;
use crate::testing::{
    ISSUER, Keys, RESOLVE, Running, Scripted, authorise, directory, directory_with, request, told,
};

/// Tells when it is dropped.
struct Dropped(Arc<Notify>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Never answers; tells when a call came and when it was dropped.
fn silent() -> (Scripted, Arc<Notify>, Arc<Notify>) {
    let (came, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (coming, dropping) = (Arc::clone(&came), Arc::clone(&dropped));
    let scripted = Scripted::new(move |_| {
        let guard = Dropped(Arc::clone(&dropping));
        coming.notify_one();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(String::new())
        }
    });
    (scripted, came, dropped)
}

fn principal_token(keys: &Keys) -> String {
    let now = system_clock().now();
    let directory = "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: "tenure".to_owned(),
        sub: format!("{directory}/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6"),
        sid: Some("3d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".to_owned()),
        iat: now.seconds(),
        exp: now.seconds() + 300,
        jti: None,
    };
    keys.tokens.sign(Some("k1".to_owned()), &claims).unwrap()
}

#[tokio::test]
async fn the_default_is_to_refuse() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    let anonymous = Request::new(ResolveDomainRequest::default());
    let status = server.resolve(anonymous).await.unwrap_err();
    let wanted = (Code::Unauthenticated, "TOKEN_MISSING".to_owned(), "directory.tenure".to_owned());
    assert_eq!(told(&status), wanted);

    let foreign = Keys::new();
    for (token, code, reason) in [
        ("nonsense".to_owned(), Code::Unauthenticated, "TOKEN_INVALID"),
        (principal_token(&foreign), Code::Unauthenticated, "TOKEN_INVALID"),
        (foreign.operator_token(), Code::Unauthenticated, "TOKEN_INVALID"),
        (
            keys.service_token(Service::Identity, Service::Subscription),
            Code::Unauthenticated,
            "TOKEN_INVALID",
        ),
        (
            keys.service_token(Service::Subscription, Service::Directory),
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
    ] {
        let mut request = Request::new(ResolveDomainRequest::default());
        authorise(&mut request, &token);
        let status = server.resolve(request).await.unwrap_err();
        assert_eq!((told(&status).0, told(&status).1.as_str()), (code, reason));
    }
}

#[tokio::test]
async fn callers_that_the_layer_knows_reach_the_handler() {
    let keys = Keys::new();
    let server = Running::directory(
        Scripted::new(|request| async move {
            let authentication = request.extensions().get::<access::caller::Authentication>().unwrap();
            Ok(authentication.caller().unwrap().actor())
        }),
        &keys,
    )
    .await;
    let user = "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
    for (token, actor) in [
        (keys.service_token(Service::Identity, Service::Directory), "services/identity-service"),
        (keys.operator_token(), "operators/00000000-0000-0000-0000-000000000007"),
        (principal_token(&keys), user),
    ] {
        let mut request = Request::new(ResolveDomainRequest::default());
        authorise(&mut request, &token);
        assert_eq!(server.resolve(request).await.unwrap().into_inner().directory, actor);
    }
}

#[tokio::test]
async fn a_missing_key_set_is_not_the_tokens_fault() {
    let keys = Keys::new();
    let limits = Limits::default();
    let verifier = keys.verifier_without_key_set(Service::Directory);
    let server = Running::start(vec![directory_with(Scripted::echo(), verifier, &limits)], limits).await;
    let mut request = Request::new(ResolveDomainRequest::default());
    authorise(&mut request, &principal_token(&keys));
    let status = server.resolve(request).await.unwrap_err();
    assert_eq!((told(&status).0, told(&status).1.as_str()), (Code::Unavailable, "DEPENDENCY_UNAVAILABLE"));
}

#[tokio::test]
async fn a_key_set_that_does_not_come_in_time_is_told_in_time_and_awaited_for_all() {
    let (asked, keys) = (Arc::new(Mutex::new(None)), Keys::new());
    let asking = Arc::clone(&asked);
    let identity = Peer::of(tower::service_fn(move |request: http::Request<Body>| {
        *asking.lock().unwrap() = Some(request.headers()["grpc-timeout"].clone());
        std::future::pending::<Result<http::Response<Body>, tonic::Status>>()
    }));
    let fetch = crate::jwks::fetch_keys(identity);
    let verifier =
        TokenVerifier::new(Service::Directory, ISSUER.to_owned(), Trust::default(), fetch, system_clock());
    let service = directory_with(Scripted::echo(), Arc::new(verifier), &Limits::default());
    let request = http::Request::post(RESOLVE)
        .header("authorization", format!("Bearer {}", principal_token(&keys)))
        .header("grpc-timeout", "200m")
        .body(Body::empty());
    let response = service.oneshot(request.unwrap()).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!((told(&status).0, told(&status).1.as_str()), (Code::Unavailable, "DEPENDENCY_UNAVAILABLE"));
    // The fetch itself has its own time: who comes with a short deadline makes it fail for nobody.
    let granted = asked.lock().unwrap().take().unwrap();
    let granted: u64 = granted.to_str().unwrap().strip_suffix('u').unwrap().parse().unwrap();
    assert!(granted > 4_000_000, "{granted}");
}

#[tokio::test]
async fn the_clients_deadline_is_told_and_drops_the_handler() {
    let keys = Keys::new();
    let (scripted, _, dropped) = silent();
    // Without a socket: tonic's client would give up at the same time by itself.
    let service = directory(scripted, &keys, &Limits::default());
    let request = http::Request::post(RESOLVE)
        .header(
            "authorization",
            format!("Bearer {}", keys.service_token(Service::Identity, Service::Directory)),
        )
        .header("grpc-timeout", "100m")
        .body(Body::new(http_body_util::Full::from(&[0_u8; 5][..])));
    let started = Instant::now();
    let response = service.oneshot(request.unwrap()).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    let wanted = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned(), "directory.tenure".to_owned());
    assert_eq!(told(&status), wanted);
    assert!(started.elapsed() >= Duration::from_millis(90));
    dropped.notified().await;
}

#[tokio::test]
async fn the_answer_to_a_passed_deadline_precedes_the_clients_own() {
    let keys = Keys::new();
    let (scripted, _, _) = silent();
    let server = Running::directory(scripted, &keys).await;
    // A busy machine may hold the answer up for longer than the lead, but not each time.
    let mut codes = Vec::new();
    while codes.len() < 3 && !codes.contains(&Code::DeadlineExceeded) {
        let mut request = request(&keys, "");
        request.set_timeout(Duration::from_millis(400));
        codes.push(server.resolve(request).await.unwrap_err().code());
    }
    assert_eq!(codes.last(), Some(&Code::DeadlineExceeded), "{codes:?}");
}

#[tokio::test]
async fn the_server_has_a_deadline_of_its_own() {
    let keys = Keys::new();
    let limits = Limits { longest_call: Duration::from_millis(50), ..Limits::default() };
    let (scripted, _, dropped) = silent();
    let server = Running::start(vec![directory(scripted, &keys, &limits)], limits).await;
    let mut patient = request(&keys, "");
    patient.set_timeout(Duration::from_secs(20));
    for request in [patient, request(&keys, "")] {
        let status = server.resolve(request).await.unwrap_err();
        assert_eq!(told(&status).1, "DEADLINE_EXCEEDED");
        dropped.notified().await;
    }
}

#[tokio::test]
async fn health_is_told_for_each_service_and_for_all() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    let mut client = HealthClient::new(server.channel());
    let mut ask = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        client.check(request).await.map(|response| response.into_inner().status())
    };
    let names = ["", "tenure.directory.v1.DomainService"];
    for name in names {
        assert_eq!(ask(name).await.unwrap(), ServingStatus::NotServing, "{name}");
    }
    server.health.set_serving().await;
    for name in names {
        assert_eq!(ask(name).await.unwrap(), ServingStatus::Serving, "{name}");
    }
    let servers = [(&names[1..], false)];
    server.health.report(&servers).await;
    for name in names {
        assert_eq!(ask(name).await.unwrap(), ServingStatus::NotServing, "{name} without its storage");
    }
    server.health.report(&[(&names[1..], true)]).await;
    assert_eq!(ask("").await.unwrap(), ServingStatus::Serving);
    server.health.set_not_serving().await;
    server.health.report(&[(&names[1..], true)]).await;
    for name in names {
        assert_eq!(ask(name).await.unwrap(), ServingStatus::NotServing, "{name} after the last word");
    }
    // The protocol's own answer for a service that is not here.
    assert_eq!(ask("tenure.identity.v1.UserService").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_speaks_both_dialects_and_knows_the_details_of_errors() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    for symbol in ["tenure.directory.v1.DomainService", "google.rpc.ErrorInfo"] {
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
        let wanted = v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.to_owned());
        let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
        let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(
            matches!(answer, v1::server_reflection_response::MessageResponse::FileDescriptorResponse(_)),
            "{symbol}"
        );

        let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel());
        let wanted =
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.to_owned());
        let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
        let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(
            matches!(answer, v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)),
            "{symbol}"
        );
    }
}

#[tokio::test]
async fn a_stop_lets_a_call_finish() {
    let keys = Keys::new();
    let (came, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (coming, going) = (Arc::clone(&came), Arc::clone(&go));
    let scripted = Scripted::new(move |_| {
        let going = Arc::clone(&going);
        coming.notify_one();
        async move {
            going.notified().await;
            Ok("finished".to_owned())
        }
    });
    let server = Running::directory(scripted, &keys).await;
    let stopping = async {
        came.notified().await;
        server.stop.cancel();
        tokio::task::yield_now().await;
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(server.resolve(request(&keys, "")), stopping);
    assert_eq!(answer.unwrap().into_inner().directory, "finished");
    assert!(server.tasks.close_and_wait(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn a_stop_ends_streams_that_nobody_else_would_end() {
    let keys = Keys::new();
    let server = Running::directory(Scripted::echo(), &keys).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
    let wanted = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
    let asked = once(request).chain(tokio_stream::pending());
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    let mut health = HealthClient::new(server.channel());
    let mut watched = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watched.message().await.unwrap().unwrap();
    server.stop.cancel();
    for ended in [answers.message().await.map(|_| ()), watched.message().await.map(|_| ())] {
        let (code, reason, _) = told(&ended.unwrap_err());
        assert_eq!((code, reason.as_str()), (Code::Unavailable, "SERVER_DRAINING"));
    }
    assert!(server.tasks.close_and_wait(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn a_hard_stop_cuts_a_call_off() {
    let keys = Keys::new();
    let (scripted, came, dropped) = silent();
    let server = Running::directory(scripted, &keys).await;
    let stopping = async {
        came.notified().await;
        server.stop.cancel();
        tokio::task::yield_now().await;
        server.hard_stop.cancel();
    };
    let (answer, ()) = tokio::join!(server.resolve(request(&keys, "")), stopping);
    // Not the deadline of the server, which would end the call ten seconds later.
    assert_ne!(answer.unwrap_err().code(), Code::DeadlineExceeded);
    dropped.notified().await;
    assert!(server.tasks.close_and_wait(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn error_details_reach_the_client_whole_and_small() {
    let keys = Keys::new();
    let server = Running::directory(
        Scripted::new(|_| async {
            let mut violations = kernel::Violations::new();
            for n in 0..500 {
                violations.add(&format!("users[{n}].display_name"), "wrong ".repeat(100));
            }
            let refusal = violations.finish().unwrap_err();
            Err(crate::status::status(Service::Directory, &refusal))
        }),
        &keys,
    )
    .await;
    let status = server.resolve(request(&keys, "")).await.unwrap_err();
    assert!(status.details().len() <= 4_096);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata.get("truncated").unwrap(), "true");
    assert!(!status.get_details_bad_request().unwrap().field_violations.is_empty());
}
