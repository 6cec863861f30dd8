//! Attacks 28 to 30: what a sign-in tells, and what it costs.

use crate::world::{PASSWORD, World, reason};

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_answer_alike() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let wrong = world.try_sign_in(&ada.user_principal_name, "Wrong-Horse-9").await.unwrap_err();
    let unknown = world.try_sign_in("nobody@contoso.tenure.internal", PASSWORD).await.unwrap_err();
    let nowhere = world.try_sign_in("ada@nowhere.tenure.internal", PASSWORD).await.unwrap_err();
    let seen =
        |status: &tonic::Status| (status.code(), status.message().to_owned(), status.details().to_vec());
    assert_eq!(reason(&wrong), "Unauthenticated/CREDENTIALS_INVALID");
    assert_eq!(seen(&unknown), seen(&wrong));
    assert_eq!(seen(&nowhere), seen(&wrong));
}

#[tokio::test]
async fn a_name_has_no_case_and_a_password_has() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    world.try_sign_in(&ada.user_principal_name.to_uppercase(), PASSWORD).await.unwrap();
    let refused = world.try_sign_in(&ada.user_principal_name, &PASSWORD.to_lowercase()).await.unwrap_err();
    assert_eq!(reason(&refused), "Unauthenticated/CREDENTIALS_INVALID");
}

#[tokio::test]
async fn monstrous_passwords_are_just_wrong() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    for password in [String::new(), "\0".repeat(16), "x".repeat(1024 * 1024), format!("{PASSWORD}\0")] {
        let refused = world.try_sign_in(&ada.user_principal_name, &password).await.unwrap_err();
        let told = reason(&refused);
        let expected = ["Unauthenticated/CREDENTIALS_INVALID", "InvalidArgument/FIELD_INVALID"];
        assert!(expected.contains(&told.as_str()), "{told}");
    }
}

#[tokio::test]
async fn guessing_is_throttled_for_known_and_unknown_names_alike() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    for name in [ada.user_principal_name.as_str(), "nobody@contoso.tenure.internal"] {
        let mut outcomes = Vec::new();
        for _ in 0..110 {
            outcomes.push(reason(&world.try_sign_in(name, "Wrong-Horse-9").await.unwrap_err()));
        }
        let throttled = outcomes.iter().position(|told| told == "ResourceExhausted/SIGN_IN_THROTTLED");
        assert_eq!(throttled, Some(100), "{name}");
    }
}
