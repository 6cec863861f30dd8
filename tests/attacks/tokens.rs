//! Attacks 2 and 13: tokens of the wrong key, issuer, audience, algorithm, lifetime or header.

use std::time::Duration;

use access::Service;
use access::token::{AUDIENCE, Claims, OPERATOR_ISSUER};
use api::directory::v1::GetDirectoryRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::world::{Person, World, reason, with_token};

const INVALID: &str = "Unauthenticated/TOKEN_INVALID";

async fn outcome(world: &World, token: &str, directory: &str) -> String {
    let request = GetDirectoryRequest { name: directory.to_owned() };
    let answer = world.directories().get_directory(with_token(request, token)).await;
    answer.map_or_else(|status| reason(&status), |_| "OK".to_owned())
}

/// The parts of a token, decoded.
fn parts(token: &str) -> [serde_json::Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

fn encoded(part: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn claims(person: &Person, now: i64) -> Claims {
    Claims {
        iss: "tenure".to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: person.name.clone(),
        sid: person.session.rsplit('/').next().map(str::to_owned),
        iat: now,
        exp: now + 300,
        jti: None,
    }
}

#[tokio::test]
async fn a_header_that_is_changed_voids_the_token() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    assert_eq!(outcome(&world, &ada.token, &ada.directory).await, "OK");
    let [header, payload] = parts(&ada.token);
    let signature = ada.token.rsplit('.').next().unwrap();
    let kid = header["kid"].clone();
    let headers = [
        serde_json::json!({ "alg": "none", "typ": "JWT", "kid": kid }),
        serde_json::json!({ "alg": "HS256", "typ": "JWT", "kid": kid }),
        serde_json::json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid, "crit": ["exp"], "exp": 1 }),
        serde_json::json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k".repeat(1_000) }),
        serde_json::json!({ "alg": "EdDSA", "typ": "JWT", "kid": "../../etc/passwd" }),
        serde_json::json!({ "alg": "EdDSA", "typ": "JWT" }),
    ];
    for header in headers {
        for signature in [signature, ""] {
            let token = format!("{}.{}.{signature}", encoded(&header), encoded(&payload));
            assert_eq!(outcome(&world, &token, &ada.directory).await, INVALID, "{header}");
        }
    }
}

#[tokio::test]
async fn a_payload_that_is_changed_voids_the_token() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let [header, mut payload] = parts(&eve.token);
    let signature = eve.token.rsplit('.').next().unwrap();
    payload["sub"] = ada.name.clone().into();
    let token = format!("{}.{}.{signature}", encoded(&header), encoded(&payload));
    assert_eq!(outcome(&world, &token, &ada.directory).await, INVALID);
}

#[tokio::test]
async fn a_token_that_another_key_signed_is_refused() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let [header, _] = parts(&ada.token);
    let kid = header["kid"].as_str().map(str::to_owned);
    let now = world.clock.now().seconds();
    for service in Service::ALL {
        let forged = world.keys.service(service).sign(kid.clone(), &claims(&ada, now)).unwrap();
        assert_eq!(outcome(&world, &forged, &ada.directory).await, INVALID, "{service}");
    }
}

#[tokio::test]
async fn a_service_cannot_speak_for_others_elsewhere_or_for_long() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let key = world.keys.service(Service::Subscription);
    let now = world.clock.now().seconds();
    let good = Claims {
        iss: Service::Subscription.as_str().to_owned(),
        aud: Service::Directory.as_str().to_owned(),
        sub: "services/subscription-service".to_owned(),
        sid: None,
        iat: now,
        exp: now + 300,
        jti: None,
    };
    let token = |claims: &Claims| key.sign(None, claims).unwrap();
    assert_eq!(outcome(&world, &token(&good), &ada.directory).await, "OK");
    let bad = [
        Claims { aud: Service::Identity.as_str().to_owned(), ..good.clone() },
        Claims { aud: AUDIENCE.to_owned(), ..good.clone() },
        Claims { iss: Service::Identity.as_str().to_owned(), ..good.clone() },
        Claims { sub: "services/identity-service".to_owned(), ..good.clone() },
        Claims { sub: ada.name.clone(), ..good.clone() },
        Claims { exp: now + 301, ..good.clone() },
        Claims { iat: now + 60, exp: now + 300, ..good.clone() },
        Claims {
            iss: OPERATOR_ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: "operators/x".to_owned(),
            ..good.clone()
        },
        Claims { iss: "tenure".to_owned(), aud: AUDIENCE.to_owned(), ..good.clone() },
    ];
    for claims in bad {
        assert_eq!(outcome(&world, &token(&claims), &ada.directory).await, INVALID, "{claims:?}");
    }
    world.clock.advance(Duration::from_mins(5));
    let expired = outcome(&world, &token(&good), &ada.directory).await;
    assert_eq!(expired, "Unauthenticated/TOKEN_EXPIRED");
}

#[tokio::test]
async fn an_operator_token_lives_an_hour_at_most_and_buys_nothing() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let id = uuid::Uuid::from_u128(1);
    let long = world
        .keys
        .operator()
        .operator_token(AUDIENCE, id, world.clock.now(), Duration::from_secs(3_601))
        .unwrap();
    assert_eq!(outcome(&world, &long, &ada.directory).await, INVALID);
    let operator = world.operator_token();
    assert_eq!(outcome(&world, &operator, &ada.directory).await, "OK");
    // P-3: whoever runs the platform still holds no directory's role.
    let attach = with_token(world.trial_request(&ada.directory, crate::world::E3), &operator);
    let refused = world.subscriptions().attach_office365_subscription(attach).await.unwrap_err();
    assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
    let azure = with_token(world.azure_request(crate::world::FREE_TRIAL), &operator);
    let refused = world.subscriptions().sign_up_azure_subscription(azure).await.unwrap_err();
    assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
}
