//! Journey 3: "How to know your role", and what a right that was taken away means at the next call (P-12).

use api::directory::v1::GetDirectoryRequest;
use api::identity::v1::{GetMeRequest, RefreshSessionRequest, RevokeSessionRequest};

use crate::world::{E3, FREE_TRIAL, VISIO, World, reason};

#[tokio::test]
async fn a_user_is_told_the_roles_held_now() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let ben = world.add(&ada, "ben").await;
    let roles = async || {
        let me = world.users().get_me(ben.says(GetMeRequest {})).await.unwrap().into_inner();
        (me.organizational_roles, me.effective_permissions)
    };
    let (plain, permissions) = roles().await;
    assert_eq!(plain, ["User"]);
    let attach = "tenure.subscription/office365Subscriptions/attach".to_owned();
    assert!(!permissions.contains(&attach));
    let assignment = world.give(&ada, &ben, "billing-administrator").await;
    let (given, permissions) = roles().await;
    assert_eq!(given, ["Billing Administrator"]);
    assert!(permissions.contains(&attach));
    world.take(&ada, &assignment).await.unwrap();
    assert_eq!(roles().await.0, ["User"]);
}

#[tokio::test]
async fn a_role_taken_away_is_refused_at_the_next_attach_with_the_same_token() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let ben = world.add(&ada, "ben").await;
    let assignment = world.give(&ada, &ben, "billing-administrator").await;
    world.attach_trial(&ben, VISIO).await.unwrap();
    world.take(&ada, &assignment).await.unwrap();
    let refused = world.attach_trial(&ben, E3).await.unwrap_err();
    assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
}

#[tokio::test]
async fn a_revoked_session_is_refused_by_every_service() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let ben = world.add(&ada, "ben").await;
    world.users().get_me(ben.says(GetMeRequest {})).await.unwrap();
    let revoke = RevokeSessionRequest { name: ben.session.clone() };
    world.sessions().revoke_session(ben.says(revoke)).await.unwrap();
    let revoked = "Unauthenticated/SESSION_REVOKED";
    let me = world.users().get_me(ben.says(GetMeRequest {})).await.unwrap_err();
    assert_eq!(reason(&me), revoked);
    let directory = GetDirectoryRequest { name: ben.directory.clone() };
    assert_eq!(reason(&world.directories().get_directory(ben.says(directory)).await.unwrap_err()), revoked);
    assert_eq!(reason(&world.azure(&ben, FREE_TRIAL).await.unwrap_err()), revoked);
    let refresh = RefreshSessionRequest { refresh_token: ben.refresh_token.clone() };
    let refused = world.sessions().refresh_session(refresh).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused:?}");
}

#[tokio::test]
async fn a_token_is_refused_when_its_time_is_over_and_the_session_gives_a_new_one() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    world.clock.advance(std::time::Duration::from_mins(11));
    let expired = world.users().get_me(ada.says(GetMeRequest {})).await.unwrap_err();
    assert_eq!(reason(&expired), "Unauthenticated/TOKEN_EXPIRED");
    let refresh = RefreshSessionRequest { refresh_token: ada.refresh_token.clone() };
    let pair = world.sessions().refresh_session(refresh).await.unwrap().into_inner();
    let refreshed = crate::world::with_token(GetMeRequest {}, &pair.access_token);
    world.users().get_me(refreshed).await.unwrap();
}
