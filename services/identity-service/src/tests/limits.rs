//! Limits on what costs much and needs no token (K18): by source, by name, by the queue of hashes.

use std::time::Duration;

use access::{Call, Service};
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::*;
use kernel::Refusal;
use tonic::Code;

use super::world::{PASSWORD, World, reason, retry_delay, sign_up_request};
use crate::Settings;
use crate::domain::password::ClaimedPassword;
use crate::use_cases::sign_in::SignInCommand;

const ADA: &str = "ada@contoso.tenure.internal";

async fn sign_in_from(world: &World, source: &str, name: &str) -> Result<(), Refusal> {
    let call = Call {
        caller: None,
        method: "/tenure.identity.v1.SessionService/SignIn",
        request_id: None,
        fingerprint: [0; 32],
        now: world.clock.now(),
        trace_id: None,
        new_id: world.use_cases.ids.random(),
    };
    let password = ClaimedPassword::new("Wr0ng one");
    let command = SignInCommand { name: name.to_owned(), password, client_description: String::new() };
    Ok(world.use_cases.sign_in(&call, source, &command).await.map(|_| ())?)
}

#[tokio::test]
async fn failures_are_counted_by_source_whatever_the_name() {
    let settings = Settings { sign_in_failures_per_source_per_hour: 3, ..Settings::default() };
    let world = World::with(settings).await;
    for name in ["a@x.io", "b@x.io", "c@x.io"] {
        let refused = sign_in_from(&world, "203.0.113.1", name).await.unwrap_err();
        assert_eq!(refused.reason().as_str(), "CREDENTIALS_INVALID", "{name}");
    }
    let throttled = sign_in_from(&world, "203.0.113.1", "d@x.io").await.unwrap_err();
    assert_eq!(throttled.reason().as_str(), "SIGN_IN_THROTTLED");
    assert!(throttled.retry_delay().is_some_and(|delay| delay >= Duration::from_secs(1)));
    let elsewhere = sign_in_from(&world, "203.0.113.2", "d@x.io").await.unwrap_err();
    assert_eq!(elsewhere.reason().as_str(), "CREDENTIALS_INVALID");
    world.clock.advance(Duration::from_mins(20));
    let later = sign_in_from(&world, "203.0.113.1", "d@x.io").await.unwrap_err();
    assert_eq!(later.reason().as_str(), "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn whoever_is_throttled_takes_no_place_in_the_queue() {
    let settings = Settings { hash_queue: 1, sign_in_failures_per_name_per_hour: 1, ..Settings::default() };
    let world = World::with(settings).await;
    let name = "nobody@contoso.tenure.internal";
    assert_eq!(reason(&world.try_sign_in(name, PASSWORD).await.unwrap_err()), "CREDENTIALS_INVALID");
    let _full = world.use_cases.hasher.place().unwrap();
    assert_eq!(reason(&world.try_sign_in(name, PASSWORD).await.unwrap_err()), "SIGN_IN_THROTTLED");
    assert_eq!(reason(&world.try_sign_in("x@y.io", PASSWORD).await.unwrap_err()), "RATE_LIMITED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_sheds_sign_ins_and_rights_are_judged_all_the_while() {
    let world = World::with(Settings { hash_queue: 1, ..Settings::default() }).await;
    let ada = world.founded("contoso").await;
    let throttles = world.count("throttles").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut sessions = world.sessions();
        let message = SignInRequest {
            user_principal_name: ADA.into(),
            password: PASSWORD.into(),
            ..Default::default()
        };
        calls.spawn(async move { sessions.sign_in(message).await });
    }
    let answers = calls.join_all().await;
    let shed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(!shed.is_empty() && shed.len() < answers.len(), "some are served, the others shed");
    for status in shed {
        assert_eq!((status.code(), reason(status)), (Code::ResourceExhausted, "RATE_LIMITED".into()));
        assert!(retry_delay(status) >= Duration::from_secs(1));
    }
    assert_eq!(world.count("throttles").await, throttles, "nothing was spent for those");
    // K18: the check of rights waits for no hash.
    let _full = world.use_cases.hasher.place().unwrap();
    let question = CheckDirectoryRoleRequest {
        directory: ada.directory(),
        principal: ada.user.name.clone(),
        session: ada.session.name.clone(),
        ..Default::default()
    };
    let mut peer = DirectoryRoleServiceClient::new(world.as_service(Service::Subscription));
    let answer = peer.check_directory_role(question).await.unwrap().into_inner();
    assert_eq!(answer.decision(), Decision::Allowed);
    assert_eq!(reason(&world.try_sign_in(ADA, PASSWORD).await.unwrap_err()), "RATE_LIMITED");
}

#[tokio::test]
async fn a_full_queue_sheds_a_sign_up_before_anything_is_spent_or_made() {
    let world = World::with(Settings { hash_queue: 1, ..Settings::default() }).await;
    let place = world.use_cases.hasher.place().unwrap();
    let shed = world.sign_up(sign_up_request("contoso", "1")).await.unwrap_err();
    assert_eq!((shed.code(), reason(&shed)), (Code::ResourceExhausted, "RATE_LIMITED".into()));
    assert!(world.directory.states().is_empty());
    assert_eq!((world.count("sign_ups").await, world.count("throttles").await), (0, 0));
    drop(place);
    let made = world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    let _place = world.use_cases.hasher.place().unwrap();
    assert_eq!(world.sign_up(sign_up_request("contoso", "1")).await.unwrap(), made, "a retry hashes nothing");
}

#[tokio::test]
async fn all_sources_together_begin_so_many_sign_ups_and_no_more() {
    let settings = Settings { sign_up_total_per_hour: 2, ..Settings::default() };
    let world = World::with(settings).await;
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    world.sign_up(sign_up_request("fabrikam", "2")).await.unwrap();
    let refused = world.sign_up(sign_up_request("woodgrove", "3")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::ResourceExhausted, "RATE_LIMITED".into()));
    assert!(retry_delay(&refused) >= Duration::from_secs(1));
    assert_eq!((world.directory.states().len(), world.count("sign_ups").await), (2, 2));
    world.clock.advance(Duration::from_mins(31));
    world.sign_up(sign_up_request("woodgrove", "3")).await.unwrap();
}

#[tokio::test]
async fn one_source_begins_so_many_sign_ups_and_no_more() {
    let settings = Settings { sign_up_per_source_per_hour: 2, ..Settings::default() };
    let world = World::with(settings).await;
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    world.sign_up(sign_up_request("fabrikam", "2")).await.unwrap();
    world.sign_up(sign_up_request("contoso", "1")).await.unwrap();
    let refused = world.sign_up(sign_up_request("woodgrove", "3")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused)), (Code::ResourceExhausted, "RATE_LIMITED".into()));
    assert_eq!(world.count("sign_ups").await, 2);
    world.clock.advance(Duration::from_mins(31));
    world.sign_up(sign_up_request("woodgrove", "3")).await.unwrap();
}
