//! Signing in, refreshing, revoking, and the keys behind the tokens.

use std::time::{Duration, Instant};

use api::identity::v1::*;
use tonic::Code;

use super::world::{PASSWORD, Persona, World, as_bearer, reason, request_id};
use crate::Settings;

const ADA: &str = "ada@contoso.tenure.internal";

async fn refresh(world: &World, token: &str) -> Result<RefreshSessionResponse, tonic::Status> {
    let message = RefreshSessionRequest { refresh_token: token.to_owned() };
    world.sessions().refresh_session(message).await.map(tonic::Response::into_inner)
}

async fn who_am_i(world: &World, token: &str) -> Result<(), tonic::Status> {
    world.users().get_me(as_bearer(token, GetMeRequest {})).await.map(|_| ())
}

async fn revoke(world: &World, by: &Persona, name: &str) -> Result<Session, tonic::Status> {
    let message = RevokeSessionRequest { name: name.to_owned() };
    let answer = world.sessions().revoke_session(as_bearer(&by.token, message)).await?;
    Ok(answer.into_inner().session.unwrap())
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_answer_and_take_alike() {
    let world = World::new().await;
    world.founded("contoso").await;
    let mut answers = Vec::new();
    let mut times = Vec::new();
    for (name, password) in [
        (ADA, "Wrong passw0rd"),
        ("nobody@contoso.tenure.internal", PASSWORD),
        ("no name at all", PASSWORD),
        (ADA, "Passw0rd\0"),
        (ADA, &"x".repeat(5_000)),
    ] {
        let start = Instant::now();
        let refused = world.try_sign_in(name, password).await.unwrap_err();
        times.push(start.elapsed());
        answers.push((refused.code(), refused.message().to_owned(), refused.details().to_vec()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, Code::Unauthenticated);
    // A hash costs far more than everything else: nobody gets away without one.
    let (fastest, slowest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*fastest * 10 > *slowest, "{times:?}");
}

#[tokio::test]
async fn only_a_right_password_tells_that_user_or_directory_are_blocked() {
    let world = World::new().await;
    world.founded("contoso").await;
    world.execute("UPDATE users SET state = 'DISABLED'").await;
    assert_eq!(reason(&world.try_sign_in(ADA, "Wr0ng one").await.unwrap_err()), "CREDENTIALS_INVALID");
    assert_eq!(reason(&world.try_sign_in(ADA, PASSWORD).await.unwrap_err()), "USER_DISABLED");
    world.execute("UPDATE users SET state = 'ACTIVE'").await;
    world.execute("UPDATE directory_states SET state = 'SUSPENDED'").await;
    assert_eq!(reason(&world.try_sign_in(ADA, "Wr0ng one").await.unwrap_err()), "CREDENTIALS_INVALID");
    assert_eq!(reason(&world.try_sign_in(ADA, PASSWORD).await.unwrap_err()), "DIRECTORY_SUSPENDED");
}

#[tokio::test]
async fn failures_are_counted_by_name_known_or_not_and_successes_given_back() {
    let settings = Settings { sign_in_failures_per_name_per_hour: 3, ..Settings::default() };
    let world = World::with(settings).await;
    world.founded("contoso").await;
    for _ in 0..5 {
        world.sign_in(ADA).await;
    }
    for name in [ADA, "nobody@contoso.tenure.internal"] {
        for _ in 0..3 {
            let refused = world.try_sign_in(name, "Wr0ng one").await.unwrap_err();
            assert_eq!(reason(&refused), "CREDENTIALS_INVALID");
        }
        let refused = world.try_sign_in(&name.to_uppercase(), PASSWORD).await.unwrap_err();
        assert_eq!(reason(&refused), "SIGN_IN_THROTTLED", "{name}");
    }
    world.clock.advance(Duration::from_mins(20));
    world.sign_in(ADA).await;
    world.clock.advance(Duration::from_hours(2));
    world.work("sweep").await.unwrap();
    assert_eq!(world.count("throttles").await, 0);
}

#[tokio::test]
async fn a_name_that_no_database_holds_is_unknown() {
    let world = World::new().await;
    world.founded("contoso").await;
    let unknown = world.try_sign_in("nobody@contoso.tenure.internal", PASSWORD).await.unwrap_err();
    for name in ["\0", "ada@contoso.tenure.internal\0", "ada\u{7}@contoso.tenure.internal"] {
        let refused = world.try_sign_in(name, PASSWORD).await.unwrap_err();
        assert_eq!(refused.details(), unknown.details(), "{name:?}: {refused:?}");
    }
    assert_eq!(reason(&unknown), "CREDENTIALS_INVALID");
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_and_the_same_successor_comes_for_thirty_seconds() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let second = refresh(&world, &ada.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(30));
    let again = refresh(&world, &ada.refresh_token).await.unwrap();
    assert_eq!(second.refresh_token, again.refresh_token);
    who_am_i(&world, &again.access_token).await.unwrap();
    let third = refresh(&world, &second.refresh_token).await.unwrap();
    assert_ne!(third.refresh_token, second.refresh_token);
    // The successor was used: the first token is stolen goods now, and the family dies.
    let reused = refresh(&world, &ada.refresh_token).await.unwrap_err();
    assert_eq!((reused.code(), reason(&reused)), (Code::Unauthenticated, "REFRESH_TOKEN_REUSED".into()));
    assert_eq!(reason(&refresh(&world, &third.refresh_token).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
    assert_eq!(reason(&who_am_i(&world, &third.access_token).await.unwrap_err()), "SESSION_REVOKED");
}

#[tokio::test]
async fn a_predecessor_that_comes_too_late_ends_the_session() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    refresh(&world, &ada.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(reason(&refresh(&world, &ada.refresh_token).await.unwrap_err()), "REFRESH_TOKEN_REUSED");
}

#[tokio::test]
async fn forged_expired_and_orphaned_refresh_tokens_are_told_apart() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let mut forged = ada.refresh_token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    for token in [forged.as_str(), "x", &ada.token] {
        assert_eq!(reason(&refresh(&world, token).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
    }
    world.execute("UPDATE users SET state = 'DISABLED'").await;
    assert_eq!(reason(&refresh(&world, &ada.refresh_token).await.unwrap_err()), "SESSION_REVOKED");
    world.execute("UPDATE users SET state = 'ACTIVE'").await;
    world.execute("UPDATE directory_states SET state = 'SUSPENDED'").await;
    assert_eq!(reason(&refresh(&world, &ada.refresh_token).await.unwrap_err()), "DIRECTORY_SUSPENDED");
    world.execute("UPDATE directory_states SET state = 'ACTIVE'").await;
    world.clock.advance(Duration::from_hours(31 * 24));
    assert_eq!(reason(&refresh(&world, &ada.refresh_token).await.unwrap_err()), "REFRESH_TOKEN_EXPIRED");
    world.clock.advance(Duration::from_hours(31 * 24));
    world.work("sweep").await.unwrap();
    assert_eq!(reason(&refresh(&world, &ada.refresh_token).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn a_session_is_revoked_by_its_owner_or_an_administrator() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let (cy, di) = (world.member(&ada, "cy").await, world.member(&ada, "di").await);
    let refused = revoke(&world, &di, &cy.session.name).await.unwrap_err();
    assert_eq!(reason(&refused), "PERMISSION_DENIED");
    let ended = revoke(&world, &ada, &cy.session.name).await.unwrap();
    assert_eq!(ended.state(), session::State::Revoked);
    assert_eq!(revoke(&world, &ada, &cy.session.name).await.unwrap(), ended);
    assert_eq!(reason(&who_am_i(&world, &cy.token).await.unwrap_err()), "SESSION_REVOKED");
    assert_eq!(reason(&refresh(&world, &cy.refresh_token).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
    let absent = format!("{}/sessions/{}", cy.user.name, request_id("none"));
    assert_eq!(reason(&revoke(&world, &ada, &absent).await.unwrap_err()), "SESSION_NOT_FOUND");
    let (_, own_id) = di.session.name.rsplit_once('/').unwrap();
    let mismatched = format!("{}/sessions/{own_id}", cy.user.name);
    assert_eq!(reason(&revoke(&world, &ada, &mismatched).await.unwrap_err()), "SESSION_NOT_FOUND");
    revoke(&world, &di, &di.session.name).await.unwrap();
    assert_eq!(reason(&who_am_i(&world, &di.token).await.unwrap_err()), "SESSION_REVOKED");
    let bo = world.founded("fabrikam").await;
    assert_eq!(reason(&revoke(&world, &bo, &ada.session.name).await.unwrap_err()), "PERMISSION_DENIED");
}

#[tokio::test]
async fn r20_a_session_is_ended_by_others_only_where_they_may_reset_the_password() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let cy = world.member(&ada, "cy").await;
    let holder = async |name: &str, role: &str| {
        let persona = world.member(&ada, name).await;
        let given = world.assign(&ada, &persona.user, role).await.unwrap();
        (persona, given.name)
    };
    let (ula, _) = holder("ula", "user-administrator").await;
    let (hal, _) = holder("hal", "helpdesk-administrator").await;
    let (bo, of_bo) = holder("bo", "billing-administrator").await;
    let refused = async |by: &Persona, name: &str| {
        let refused = revoke(&world, by, name).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::PermissionDenied, "TARGET_MORE_PRIVILEGED".into())
        );
    };
    refused(&ula, &ada.session.name).await;
    refused(&hal, &ada.session.name).await;
    refused(&hal, &ula.session.name).await;
    refused(&ula, &bo.session.name).await;
    // Whether there is such a session is not told either.
    refused(&ula, &format!("{}/sessions/{}", ada.user.name, request_id("none"))).await;
    who_am_i(&world, &ada.token).await.unwrap();
    revoke(&world, &hal, &cy.session.name).await.unwrap();
    // A role that is over protects nobody.
    world.unassign(&ada.token, &of_bo).await.unwrap();
    revoke(&world, &ula, &bo.session.name).await.unwrap();
    revoke(&world, &ula, &hal.session.name).await.unwrap();
    revoke(&world, &ada, &ula.session.name).await.unwrap();
    // Whoever it is ends their own.
    revoke(&world, &ada, &ada.session.name).await.unwrap();
}

#[tokio::test]
async fn an_access_token_ends_and_a_foreign_one_is_none() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    who_am_i(&world, &ada.token).await.unwrap();
    assert_eq!(reason(&who_am_i(&world, "").await.unwrap_err()), "TOKEN_MISSING");
    let (head, _) = ada.token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", "A".repeat(86));
    assert_eq!(reason(&who_am_i(&world, &forged).await.unwrap_err()), "TOKEN_INVALID");
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(reason(&who_am_i(&world, &ada.token).await.unwrap_err()), "TOKEN_EXPIRED");
}

#[tokio::test]
async fn signing_keys_rotate_and_are_published_before_use_and_long_after() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let keys = || async {
        let answer = world.sessions().get_json_web_key_set(GetJsonWebKeySetRequest {}).await;
        let keys = answer.unwrap().into_inner().keys;
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    };
    let first = keys().await;
    assert_eq!(first.len(), 1);
    world.clock.advance(Duration::from_hours(30 * 24));
    world.work("rotate").await.unwrap();
    world.work("rotate").await.unwrap();
    let both = keys().await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    let kid_of = |token: &str| {
        use base64::Engine as _;
        let header =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
        let header: serde_json::Value = serde_json::from_slice(&header.unwrap()).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    let early = world.sign_in(&ada.user.user_principal_name).await;
    assert_eq!(kid_of(&early.token), both[0], "the new key is not used before others can know it");
    world.clock.advance(Duration::from_mins(15));
    let late = world.sign_in(&ada.user.user_principal_name).await;
    assert_eq!(kid_of(&late.token), both[1]);
    who_am_i(&world, &late.token).await.unwrap();
    world.clock.advance(Duration::from_hours(25));
    world.work("rotate").await.unwrap();
    assert_eq!(keys().await, [both[1].clone()]);
}

#[tokio::test]
async fn two_processes_make_one_first_key() {
    use crate::signing_keys::SigningKeys;
    let database = test_support::database::fresh("identity", &crate::migrations()).await;
    let key = access::service_key::PrivateKey::generate().unwrap();
    let now = test_support::clock::START;
    let process = |seed| SigningKeys::new(database.db.clone(), test_support::ids::seeded(seed), &key);
    let (one, other) = (process(1), process(2));
    let (a, b) = tokio::join!(one.signer(now), other.signer(now));
    assert_eq!(a.unwrap().kid, b.unwrap().kid);
    assert_eq!(one.key_set(now).await.unwrap().keys.len(), 1);
    // Another service key does not open it.
    let foreign = access::service_key::PrivateKey::generate().unwrap();
    let foreign = SigningKeys::new(database.db.clone(), test_support::ids::seeded(3), &foreign);
    assert!(foreign.signer(now).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_with_one_token_get_one_successor_and_harm_nobody() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (mut sessions, refresh_token) = (world.sessions(), ada.refresh_token.clone());
        let message = RefreshSessionRequest { refresh_token };
        calls.spawn(async move { sessions.refresh_session(message).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer.refresh_token == answers[0].refresh_token));
    refresh(&world, &answers[0].refresh_token).await.unwrap();
}

#[tokio::test]
async fn no_row_holds_a_password_or_a_token() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    let request = CreateUserRequest { request_id: request_id("cy"), ..World::new_user(&ada, "cy") };
    world.users().create_user(as_bearer(&ada.token, request)).await.unwrap();
    for (table, column) in [
        ("change_log", "after"),
        ("idempotency_records", "answer"),
        ("sign_ups", "answer"),
        ("credentials", "password_hash"),
    ] {
        assert!(world.count(table).await > 0, "{table}");
        for secret in [PASSWORD, "argon2id", &ada.refresh_token, &ada.token] {
            let holds = format!("{table} WHERE {column} LIKE '%{secret}%'");
            let expected = if table == "credentials" && secret == "argon2id" { 2 } else { 0 };
            assert_eq!(world.count(&holds).await, expected, "{table}");
        }
    }
}
