//! A domain of one's own, over the services: users are named under it (U-03), and while one is, it stays (K11, D-19).

use std::time::Duration;

use api::directory::v1::domain_service_client::DomainServiceClient;
use api::directory::v1::{CreateDomainRequest, DeleteDomainRequest};
use api::identity::v1::{CreateUserRequest, User};
use database::{Db, on};
use sqlx::AssertSqlSafe;
use tonic::Status;

use crate::world::{Person, World, reason};

async fn execute(db: &Db, statement: &str) {
    let mut tx = db.write().await.unwrap();
    on!(&mut tx, |c| sqlx::query(AssertSqlSafe(statement)).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
}

/// What VerifyDomain writes; DNS is asked in directory-service's own tests.
async fn prove(world: &World, domain: &str) {
    let db = &world.databases.directory;
    let reversed: Vec<&str> = domain.rsplit('.').collect();
    execute(
        db,
        &format!(
            "INSERT INTO domain_claims (domain, reversed, directory)
            SELECT domain, '{}', directory FROM domains WHERE domain = '{domain}'",
            reversed.join(".")
        ),
    )
    .await;
    let update = format!("UPDATE domains SET state = 'VERIFIED', challenge = NULL WHERE domain = '{domain}'");
    execute(db, &update).await;
}

async fn create(world: &World, admin: &Person, name: &str) -> Result<(), Status> {
    let user =
        User { user_principal_name: name.to_owned(), display_name: "Cy".to_owned(), ..User::default() };
    let message = CreateUserRequest {
        parent: admin.directory.clone(),
        user: Some(user),
        request_id: world.request_id(),
        validate_only: false,
    };
    world.users().create_user(admin.says(message)).await.map(|_| ())
}

#[tokio::test]
async fn a_domain_stays_while_a_user_is_named_under_it_and_can_go_after_the_last() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let mut domains = DomainServiceClient::new(world.directory_peer());
    let add = CreateDomainRequest {
        parent: ada.directory.clone(),
        domain_id: "contoso.com".to_owned(),
        ..CreateDomainRequest::default()
    };
    let added = domains.create_domain(ada.says(add)).await.unwrap().into_inner().domain.unwrap();
    let refused = create(&world, &ada, "cy@contoso.com").await.unwrap_err();
    assert_eq!(reason(&refused), "FailedPrecondition/DOMAIN_NOT_VERIFIED");
    prove(&world, "contoso.com").await;
    create(&world, &ada, "cy@contoso.com").await.unwrap();
    let delete = || DeleteDomainRequest { name: added.name.clone(), ..DeleteDomainRequest::default() };
    let refused = domains.delete_domain(ada.says(delete())).await.unwrap_err();
    assert_eq!(reason(&refused), "FailedPrecondition/LIEN_PRESENT");
    let gone = "UPDATE users SET state = 'DELETED' WHERE user_principal_name = 'cy@contoso.com'";
    execute(&world.databases.identity, gone).await;
    world.clock.advance(Duration::from_mins(61));
    let worker = world.embedded.workers.iter().find(|worker| worker.name == "identity: release domains");
    worker.unwrap().run_once().await.unwrap();
    let ada = world.sign_in(&ada.user_principal_name).await;
    domains.delete_domain(ada.says(delete())).await.unwrap();
    let refused = create(&world, &ada, "di@contoso.com").await.unwrap_err();
    assert_eq!(reason(&refused), "FailedPrecondition/DOMAIN_NOT_VERIFIED");
}
