//! Attacks 8 to 10: refresh tokens that are forged, replayed, or outlive their session (K22).

use std::time::Duration;

use api::identity::v1::{
    GetMeRequest, RefreshSessionRequest, RefreshSessionResponse, RevokeSessionRequest, SignInRequest,
};
use tonic::Status;

use crate::world::{PASSWORD, World, reason, together, with_token};

async fn refresh(world: &World, token: &str) -> Result<RefreshSessionResponse, Status> {
    let message = RefreshSessionRequest { refresh_token: token.to_owned() };
    Ok(world.sessions().refresh_session(message).await?.into_inner())
}

async fn refused(world: &World, token: &str) -> String {
    reason(&refresh(world, token).await.unwrap_err())
}

#[tokio::test]
async fn the_same_predecessor_gives_the_same_successor_for_thirty_seconds() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let first = refresh(&world, &ada.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(29));
    let again = refresh(&world, &ada.refresh_token).await.unwrap();
    assert_eq!(first.refresh_token, again.refresh_token, "an answer that was lost can be had again");
    let me = world.users().get_me(with_token(GetMeRequest {}, &again.access_token)).await;
    me.unwrap();
}

/// A client that always sends its token must be able to renew an expired one.
#[tokio::test]
async fn a_token_that_is_over_stops_nobody_from_renewing_it() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    world.clock.advance(Duration::from_mins(11));
    for token in [ada.token.as_str(), "nonsense"] {
        let message = RefreshSessionRequest { refresh_token: ada.refresh_token.clone() };
        world.sessions().refresh_session(with_token(message, token)).await.unwrap();
        let message = SignInRequest {
            user_principal_name: ada.user_principal_name.clone(),
            password: PASSWORD.to_owned(),
            client_description: String::new(),
        };
        world.sessions().sign_in(with_token(message, token)).await.unwrap();
    }
}

#[tokio::test]
async fn a_predecessor_after_its_successor_was_used_ends_the_session() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let first = refresh(&world, &ada.refresh_token).await.unwrap();
    let second = refresh(&world, &first.refresh_token).await.unwrap();
    assert_eq!(refused(&world, &ada.refresh_token).await, "Unauthenticated/REFRESH_TOKEN_REUSED");
    // The thief's and the owner's tokens die together.
    assert_eq!(
        refresh(&world, &second.refresh_token).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
    let me = world.users().get_me(with_token(GetMeRequest {}, &second.access_token)).await.unwrap_err();
    assert_eq!(reason(&me), "Unauthenticated/SESSION_REVOKED");
}

#[tokio::test]
async fn a_predecessor_after_thirty_seconds_ends_the_session() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    refresh(&world, &ada.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(refused(&world, &ada.refresh_token).await, "Unauthenticated/REFRESH_TOKEN_REUSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_refreshes_at_once_have_one_successor() {
    let world = std::sync::Arc::new(World::new().await);
    let ada = world.sign_up("contoso").await;
    let successors = together((0..16).map(|_| {
        let (world, token) = (world.clone(), ada.refresh_token.clone());
        async move { refresh(&world, &token).await.unwrap().refresh_token }
    }))
    .await;
    assert!(successors.iter().all(|successor| *successor == successors[0]));
}

#[tokio::test]
async fn a_changed_refresh_token_is_no_token() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    for position in [0, ada.refresh_token.len() / 2, ada.refresh_token.len() - 2] {
        let mut token = ada.refresh_token.clone().into_bytes();
        token[position] = if token[position] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(token).unwrap();
        assert_eq!(refused(&world, &token).await, "Unauthenticated/REFRESH_TOKEN_INVALID");
    }
    refresh(&world, &ada.refresh_token).await.expect("guessing ends nobody's session");
}

#[tokio::test]
async fn a_session_that_was_revoked_or_is_over_gives_no_tokens() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let ben = world.add(&ada, "ben").await;
    // P-12: an administrator ends another's session; it is over at the next call.
    let revoke = RevokeSessionRequest { name: ben.session.clone() };
    world.sessions().revoke_session(ada.says(revoke.clone())).await.unwrap();
    world.sessions().revoke_session(ada.says(revoke)).await.expect("revoking twice is revoking");
    assert_eq!(refresh(&world, &ben.refresh_token).await.unwrap_err().code(), tonic::Code::Unauthenticated);
    world.clock.advance(Duration::from_hours(24 * 400));
    assert_eq!(refused(&world, &ada.refresh_token).await, "Unauthenticated/REFRESH_TOKEN_EXPIRED");
}
