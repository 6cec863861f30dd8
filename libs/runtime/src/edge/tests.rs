//! Calls, callers and recorded refusals, without a server around them.

use std::num::NonZeroU32;
use std::time::Duration;

use access::SignedIn;
use api::directory::v1::ResolveDomainRequest;
use kernel::reason;
use test_support::clock::ManualClock;
use test_support::database::{TestDatabase, foundation, number};
use tonic_types::StatusExt as _;

use super::*;
use crate::testing::{RESOLVE, ids, told};

const USER: &str =
    "directories/1d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6/users/2d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";
const REQUEST_ID: &str = "9d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6";

struct Fixture {
    edge: Edge,
    db: Db,
    _store: TestDatabase,
}

async fn fixture() -> Fixture {
    let clock = Clock::new(|| Timestamp::from_seconds(1_700_000_000));
    fixture_with(clock, WriteLimits::default()).await
}

async fn fixture_with(clock: Clock, limits: WriteLimits) -> Fixture {
    let store = foundation().await;
    let db = store.db.clone();
    let key = PrivateKey::generate().unwrap();
    let edge = Edge::new(Service::Directory, clock, ids(), &key, db.clone(), limits);
    Fixture { edge, db, _store: store }
}

fn caller() -> Caller {
    let session = "3d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".parse().unwrap();
    Caller::Principal(SignedIn { principal: USER.parse().unwrap(), session })
}

fn request(authentication: Authentication, domain: &str) -> Request<ResolveDomainRequest> {
    let mut request = Request::new(ResolveDomainRequest { domain: domain.to_owned() });
    request.extensions_mut().insert(authentication);
    request
}

async fn recorded(db: &Db) -> i64 {
    number(db, "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM refusals").await
}

#[tokio::test]
async fn without_authentication_nobody_calls() {
    let Fixture { edge, .. } = fixture().await;
    let bare = Request::new(ResolveDomainRequest::default());
    for request in [bare, request(Authentication::Anonymous, "")] {
        let status = edge.caller(&request).unwrap_err();
        assert_eq!(told(&status).1, "TOKEN_MISSING");
        assert_eq!(edge.caller_if_any(&request).unwrap(), None);
        assert!(edge.call(&request, RESOLVE, "").is_err());
        assert_eq!(edge.public_call(&request, RESOLVE, "").unwrap().caller, None);
    }
    let expired = Refusal::unauthenticated(reason::TOKEN_EXPIRED, "over");
    let rejected = request(Authentication::Rejected(expired), "");
    assert_eq!(told(&edge.caller_if_any(&rejected).unwrap_err()).1, "TOKEN_EXPIRED");
    assert!(edge.public_call(&rejected, RESOLVE, "").is_err());
}

#[tokio::test]
async fn a_public_call_knows_operators_alone() {
    let Fixture { edge, .. } = fixture().await;
    let operator = Caller::Operator("7".to_owned());
    let by_operator = request(Authentication::Known(operator.clone()), "");
    assert_eq!(edge.public_call(&by_operator, RESOLVE, "").unwrap().caller, Some(operator));
    let by_user = request(Authentication::Known(caller()), "");
    assert_eq!(edge.public_call(&by_user, RESOLVE, "").unwrap().caller, None);
}

#[tokio::test]
async fn a_retry_is_the_same_call_and_another_message_is_not() {
    let Fixture { edge, .. } = fixture().await;
    let call = |domain: &str, request_id: &str| {
        edge.call(&request(Authentication::Known(caller()), domain), RESOLVE, request_id).unwrap()
    };
    let (first, second, other) = (call("a", REQUEST_ID), call("a", REQUEST_ID), call("b", REQUEST_ID));
    assert_eq!((first.new_id, first.fingerprint), (second.new_id, second.fingerprint));
    assert_eq!(first.new_id, other.new_id);
    assert_ne!(first.fingerprint, other.fingerprint);
    assert_eq!(first.now, Timestamp::from_seconds(1_700_000_000));
    let (lenient, without) = (call("a", "nonsense"), call("a", ""));
    assert_eq!((lenient.request_id, without.request_id), (None, None));
    assert_ne!(lenient.new_id, without.new_id);
}

#[tokio::test]
async fn refusals_of_principals_are_recorded_and_others_are_not() {
    let Fixture { edge, db, _store } = fixture().await;
    let call = edge.call(&request(Authentication::Known(caller()), ""), RESOLVE, "").unwrap();
    let denied = || Refusal::permission_denied("tenure.directory/domains/resolve", "directories/1");
    for _ in 0..2 {
        let status = edge.answer_write::<(), _>(&call, "directories/1", Err(denied())).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
    }
    assert_eq!(recorded(&db).await, 2);
    for refusal in [
        Refusal::internal(),
        Refusal::dependency_unavailable("identity-service"),
        Refusal::new(Code::InvalidArgument, reason::FIELD_INVALID, "wrong"),
        Refusal::new(Code::ResourceExhausted, reason::RATE_LIMITED, "slowly"),
    ] {
        edge.answer_write::<(), _>(&call, "directories/1", Err(refusal)).await.unwrap_err();
    }
    let anonymous = edge.public_call(&request(Authentication::Anonymous, ""), RESOLVE, "").unwrap();
    edge.answer_write::<(), _>(&anonymous, "directories/1", Err(denied())).await.unwrap_err();
    edge.answer_write::<(), Refusal>(&call, "directories/1", Ok(())).await.unwrap();
    assert_eq!(recorded(&db).await, 2);
}

#[tokio::test]
async fn a_refusal_is_answered_even_if_it_cannot_be_recorded() {
    let Fixture { edge, db, _store } = fixture().await;
    let call = edge.call(&request(Authentication::Known(caller()), ""), RESOLVE, "").unwrap();
    db.close().await;
    let denied = Refusal::permission_denied("tenure.directory/domains/resolve", "directories/1");
    let status = edge.answer_write::<(), _>(&call, "directories/1", Err(denied)).await.unwrap_err();
    assert_eq!(told(&status).1, "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_defect_is_named_by_an_id() {
    let Fixture { edge, .. } = fixture().await;
    let status = edge.answer::<(), _>(Err(Refusal::internal())).unwrap_err();
    assert_eq!(told(&status), (tonic::Code::Internal, "INTERNAL".to_owned(), "directory.tenure".to_owned()));
    assert!(!status.get_details_request_info().unwrap().request_id.is_empty());
    assert_eq!(edge.answer::<_, Refusal>(Ok(7)).unwrap().into_inner(), 7);
}

#[tokio::test]
async fn a_principal_that_writes_too_fast_is_throttled_alone_and_nothing_is_recorded() {
    let (clock, one) = (ManualClock::default(), NonZeroU32::MIN);
    let hundred = one.saturating_add(99);
    let limits = WriteLimits { per_second_per_principal: one, per_second_per_directory: hundred };
    let Fixture { edge, db, _store } = fixture_with(clock.clock(), limits).await;
    let write = |caller: Caller| edge.call(&request(Authentication::Known(caller), ""), RESOLVE, "");
    for _ in 0..5 {
        write(caller()).unwrap();
    }
    clock.advance(Duration::from_micros(1));
    let status = write(caller()).unwrap_err();
    assert_eq!((status.code(), told(&status).1.as_str()), (tonic::Code::ResourceExhausted, "RATE_LIMITED"));
    let details = status.get_error_details();
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait, Duration::from_secs(1), "rounded up");
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, USER);
    assert_eq!(recorded(&db).await, 0);
    // Reading, calls without a token, and whoever is no principal go on, as do others of the directory.
    let known = request(Authentication::Known(caller()), "");
    assert!(edge.caller(&known).is_ok() && edge.public_call(&known, RESOLVE, "").is_ok());
    for other in [Caller::Service(Service::Identity), Caller::Operator("7".to_owned()), neighbour()] {
        write(other).unwrap();
    }
    clock.advance(wait);
    write(caller()).unwrap();
}

/// Somebody else of the caller's directory.
fn neighbour() -> Caller {
    let session = "4d7e1f2a-3b4c-4d5e-8f90-a1b2c3d4e5f6".parse().unwrap();
    Caller::Principal(SignedIn { principal: USER.replace("users/2d", "users/4d").parse().unwrap(), session })
}
