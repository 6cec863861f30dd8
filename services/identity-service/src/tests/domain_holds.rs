//! K11, D-19: a domain that user names have is held, whoever dies on the way, and let go when none has it any more.

use std::time::Duration;

use api::identity::v1::*;
use tonic::{Code, Status};

use super::directory::{Hook, Trouble};
use super::world::{Persona, World, as_bearer, reason, request_id};

const MORE_THAN_AN_HOUR: Duration = Duration::from_mins(61);

/// Rows in these states, and liens that stand at directory-service.
async fn standing(world: &World) -> (i64, i64, usize) {
    let [taking, held] = ["TAKING", "HELD"].map(|state| format!("holds WHERE state = '{state}'"));
    (world.count(&taking).await, world.count(&held).await, world.directory.guarded().len())
}

async fn create(world: &World, admin: &Persona, name: &str) -> Result<User, Status> {
    let (local, _) = name.split_once('@').unwrap();
    let mut request = CreateUserRequest { request_id: request_id(name), ..World::new_user(admin, local) };
    request.user.as_mut().unwrap().user_principal_name = name.to_owned();
    let answer = world.users().create_user(as_bearer(&admin.token, request)).await?;
    Ok(answer.into_inner().user.unwrap())
}

async fn release(world: &World) {
    world.clock.advance(MORE_THAN_AN_HOUR);
    world.work("release domains").await.unwrap();
}

#[tokio::test]
async fn the_first_name_of_a_domain_takes_a_lien_and_the_next_ones_rely_on_it() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    world.directory.verify_domain("contoso.com", &ada.directory());
    world.directory.verify_domain("contoso.example", &ada.directory());
    world.member(&ada, "initial").await;
    assert_eq!(standing(&world).await, (0, 0, 0), "the initial domain stays by itself");
    for name in ["cy@contoso.com", "di@Contoso.COM"] {
        create(&world, &ada, name).await.unwrap();
        assert_eq!(world.directory.guarded(), [format!("{}/domains/contoso.com", ada.directory())]);
    }
    create(&world, &ada, "cy@contoso.example").await.unwrap();
    assert_eq!(standing(&world).await, (0, 2, 2));
    assert!(world.try_sign_in("di@contoso.com", super::world::PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_domain_cannot_go_while_a_name_has_it_and_can_when_none_has_it_any_more() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    world.directory.verify_domain("contoso.com", &ada.directory());
    create(&world, &ada, "cy@contoso.com").await.unwrap();
    create(&world, &ada, "di@contoso.com").await.unwrap();
    release(&world).await;
    assert!(!world.directory.delete_domain("contoso.com"));
    world.execute("UPDATE users SET state = 'DELETED' WHERE display_name = 'cy'").await;
    release(&world).await;
    assert!(!world.directory.delete_domain("contoso.com"), "di has it");
    world.execute("UPDATE users SET state = 'DELETED' WHERE display_name = 'di'").await;
    world.directory.suffers(&[Trouble::LienNotLetGo]);
    world.clock.advance(MORE_THAN_AN_HOUR);
    world.work("release domains").await.unwrap_err();
    assert!(!world.directory.delete_domain("contoso.com"), "the lien stands");
    world.directory.suffers(&[]);
    release(&world).await;
    assert_eq!(standing(&world).await, (0, 0, 0));
    assert!(world.directory.delete_domain("contoso.com"));
    let ada = world.sign_in(&ada.user.user_principal_name).await;
    assert_eq!(reason(&create(&world, &ada, "ed@contoso.com").await.unwrap_err()), "DOMAIN_NOT_VERIFIED");
}

#[tokio::test]
async fn what_is_refused_or_only_asked_about_takes_no_lien() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    world.directory.verify_domain("contoso.com", &ada.directory());
    world.directory.verify_domain("foreign.com", "directories/00000000-0000-4000-8000-000000000001");
    for name in ["cy@foreign.com", "cy@unknown.com"] {
        assert_eq!(reason(&create(&world, &ada, name).await.unwrap_err()), "DOMAIN_NOT_VERIFIED");
    }
    let mut request = CreateUserRequest { validate_only: true, ..World::new_user(&ada, "cy") };
    request.user.as_mut().unwrap().user_principal_name = "cy@contoso.com".to_owned();
    world.users().create_user(as_bearer(&ada.token, request)).await.unwrap();
    assert_eq!((world.count("holds").await, world.directory.guarded().len()), (0, 0));
}

#[tokio::test]
async fn a_lien_whose_answer_was_lost_is_taken_once_more_or_let_go() {
    for retried in [true, false] {
        let world = World::new().await;
        let ada = world.founded("contoso").await;
        world.directory.verify_domain("contoso.com", &ada.directory());
        world.directory.suffers(&[Trouble::LienAnswerLost]);
        let lost = create(&world, &ada, "cy@contoso.com").await.unwrap_err();
        assert_eq!((lost.code(), standing(&world).await), (Code::Unavailable, (1, 0, 1)));
        world.directory.suffers(&[]);
        if retried {
            create(&world, &ada, "cy@contoso.com").await.unwrap();
            assert_eq!(standing(&world).await, (0, 1, 1));
        } else {
            release(&world).await;
            assert_eq!(standing(&world).await, (0, 0, 0));
        }
    }
}

#[tokio::test]
async fn p_7_a_domain_that_goes_before_its_lien_is_taken_gets_no_name() {
    // Between the first look and the lien the domain is removed, or comes back to another directory.
    for comes_back in [false, true] {
        let world = World::new().await;
        let ada = world.founded("contoso").await;
        world.directory.verify_domain("contoso.com", &ada.directory());
        let directory = world.directory.clone();
        let hook: Hook = Box::new(move || {
            Box::pin(async move {
                assert!(directory.delete_domain("contoso.com"));
                if comes_back {
                    directory
                        .verify_domain("contoso.com", "directories/00000000-0000-4000-8000-000000000001");
                }
            })
        });
        world.directory.while_lien_is_taken(hook);
        let refused = create(&world, &ada, "cy@contoso.com").await.unwrap_err();
        assert_eq!(reason(&refused), "DOMAIN_NOT_VERIFIED", "{comes_back}");
        assert_eq!(world.count("users").await, 1);
    }
}

#[tokio::test]
async fn a_request_whose_hold_is_let_go_on_the_way_starts_over() {
    let world = World::new().await;
    let ada = world.founded("contoso").await;
    world.directory.verify_domain("contoso.com", &ada.directory());
    let (use_cases, clock) = (world.use_cases.clone(), world.clock.clone());
    let directory = ada.directory()["directories/".len()..].parse().unwrap();
    let hook: Hook = Box::new(move || {
        Box::pin(async move {
            clock.advance(Duration::from_secs(1));
            use_cases.release_domain(directory, "domains/contoso.com").await.unwrap();
        })
    });
    world.directory.while_lien_is_taken(hook);
    create(&world, &ada, "cy@contoso.com").await.unwrap();
    assert_eq!(standing(&world).await, (0, 1, 1));
}
