//! Attacks 3, 8 and 40: directories that are suspended, deleted and taken back; whoever got in before gets in no more
//! (P-12), and names that were somebody's do not become somebody else's (K37).

use api::directory::v1::directory::State;
use api::directory::v1::{
    CreateLienRequest, DeleteDirectoryRequest, Directory, GetDirectoryRequest, Lien, ResumeDirectoryRequest,
    SuspendDirectoryRequest, UndeleteDirectoryRequest, UpdateDirectoryRequest,
};
use api::identity::v1::{
    CheckDirectoryRoleRequest, Decision, GetMeRequest, GetUserRequest, ListUsersRequest,
    RefreshSessionRequest,
};
use api::subscription::v1::{GetSubscriptionRequest, ListSubscriptionsRequest};
use kernel::Timestamp;
use prost_types::FieldMask;
use tonic::Status;

use crate::world::{E3, E5, FREE_TRIAL, PASSWORD, Person, World, metadata, reason, with_token};

const DENIED: &str = "PermissionDenied/PERMISSION_DENIED";
const SHUT: &str = "PermissionDenied/DIRECTORY_SUSPENDED";

impl World {
    async fn suspend(&self, person: &Person) -> Directory {
        let message = SuspendDirectoryRequest {
            name: person.directory.clone(),
            reason: "unpaid".to_owned(),
            request_id: self.request_id(),
        };
        let answer = self.directories().suspend_directory(with_token(message, &self.operator_token())).await;
        answer.unwrap().into_inner().directory.unwrap()
    }

    async fn resume(&self, person: &Person) -> Directory {
        let message = ResumeDirectoryRequest {
            name: person.directory.clone(),
            reason: "paid".to_owned(),
            request_id: self.request_id(),
        };
        let answer = self.directories().resume_directory(with_token(message, &self.operator_token())).await;
        answer.unwrap().into_inner().directory.unwrap()
    }

    async fn delete(&self, token: &str, directory: &str) -> Result<Directory, Status> {
        let message = DeleteDirectoryRequest {
            name: directory.to_owned(),
            request_id: self.request_id(),
            ..DeleteDirectoryRequest::default()
        };
        let answer = self.directories().delete_directory(with_token(message, token)).await?;
        Ok(answer.into_inner().directory.unwrap())
    }

    async fn undelete(&self, directory: &str) -> Result<Directory, Status> {
        let message = UndeleteDirectoryRequest { name: directory.to_owned(), request_id: self.request_id() };
        let answer =
            self.directories().undelete_directory(with_token(message, &self.operator_token())).await?;
        Ok(answer.into_inner().directory.unwrap())
    }

    async fn state_of(&self, directory: &str) -> State {
        let get = GetDirectoryRequest { name: directory.to_owned() };
        let answer = self.directories().get_directory(with_token(get, &self.operator_token())).await;
        answer.unwrap().into_inner().directory.unwrap().state()
    }

    /// What a person meets at every door of every service: one outcome each.
    async fn doors(&self, person: &Person, subscription: &str) -> Vec<(&'static str, String)> {
        let told =
            |status: Result<(), Status>| status.map_or_else(|status| reason(&status), |()| "OK".to_owned());
        let check = CheckDirectoryRoleRequest {
            directory: person.directory.clone(),
            principal: person.name.clone(),
            session: person.session.clone(),
            ..CheckDirectoryRoleRequest::default()
        };
        let update = UpdateDirectoryRequest {
            directory: Some(Directory { name: person.directory.clone(), ..Directory::default() }),
            update_mask: Some(FieldMask { paths: vec!["labels".to_owned()] }),
            request_id: String::new(),
        };
        let users = ListUsersRequest { parent: person.directory.clone(), ..ListUsersRequest::default() };
        let subscriptions = ListSubscriptionsRequest {
            parent: person.directory.clone(),
            ..ListSubscriptionsRequest::default()
        };
        let user = GetUserRequest { name: person.name.clone() };
        let directory = GetDirectoryRequest { name: person.directory.clone() };
        let one = GetSubscriptionRequest { name: subscription.to_owned() };
        let says = |outcome: Result<(), Status>| told(outcome);
        vec![
            (
                "check",
                says(self.roles().check_directory_role(person.says(check)).await.map(|answer| {
                    assert_eq!(answer.into_inner().decision(), Decision::Allowed);
                })),
            ),
            ("me", says(self.users().get_me(person.says(GetMeRequest {})).await.map(|_| ()))),
            ("user", says(self.users().get_user(person.says(user)).await.map(|_| ()))),
            ("users", says(self.users().list_users(person.says(users)).await.map(|_| ()))),
            ("directory", says(self.directories().get_directory(person.says(directory)).await.map(|_| ()))),
            ("update", says(self.directories().update_directory(person.says(update)).await.map(|_| ()))),
            ("subscription", says(self.subscriptions().get_subscription(person.says(one)).await.map(|_| ()))),
            (
                "subscriptions",
                says(self.subscriptions().list_subscriptions(person.says(subscriptions)).await.map(|_| ())),
            ),
        ]
    }
}

fn all(doors: &[(&str, String)], expected: &str) -> bool {
    doors.iter().all(|(_, told)| told == expected)
}

#[tokio::test]
async fn p_12_a_suspended_directory_is_shut_in_every_service_at_once_and_the_same_session_goes_on_after() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let foreign = world.sign_up("fabrikam").await;
    let subscription = world.attach_trial(&ada, E3).await.unwrap().name;
    let others = world.attach_trial(&foreign, E3).await.unwrap().name;
    let warm = world.doors(&ada, &subscription).await;
    assert!(all(&warm, "OK"), "{warm:?}");
    let suspended = world.suspend(&ada).await;
    assert_eq!((suspended.state(), suspended.state_reason.as_str()), (State::Suspended, "unpaid"));
    let shut = world.doors(&ada, &subscription).await;
    assert!(all(&shut, DENIED), "{shut:?}");
    let signed_in = world.try_sign_in(&ada.user_principal_name, PASSWORD).await.unwrap_err();
    assert_eq!(reason(&signed_in), SHUT);
    let refresh = || RefreshSessionRequest { refresh_token: ada.refresh_token.clone() };
    assert_eq!(reason(&world.sessions().refresh_session(refresh()).await.unwrap_err()), SHUT);
    assert_eq!(reason(&world.attach_trial(&ada, E5).await.unwrap_err()), DENIED);
    let azure = world.azure(&ada, FREE_TRIAL).await.unwrap_err();
    assert_eq!(reason(&azure), DENIED);
    assert_eq!(metadata(&azure, "denial_reason").as_deref(), Some("DIRECTORY_NOT_ACTIVE"));
    // A wrong password is told nothing of it, and nobody else notices.
    let wrong = world.try_sign_in(&ada.user_principal_name, "Wrong-Horse-9").await.unwrap_err();
    assert_eq!(reason(&wrong), "Unauthenticated/CREDENTIALS_INVALID");
    let open = world.doors(&foreign, &others).await;
    assert!(all(&open, "OK"), "{open:?}");
    assert_eq!(world.resume(&ada).await.state(), State::Active);
    let open = world.doors(&ada, &subscription).await;
    assert!(all(&open, "OK"), "{open:?}");
    world.sessions().refresh_session(refresh()).await.unwrap();
    world.sign_in(&ada.user_principal_name).await;
    world.attach_trial(&ada, E5).await.unwrap();
}

#[tokio::test]
async fn q_10_whoever_deletes_is_told_everything_that_stands_in_the_way_and_then_is_let() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    world.attach_trial(&ada, E3).await.unwrap();
    let operator = world.operator_token();
    let freeze = CreateLienRequest {
        parent: ada.directory.clone(),
        lien: Some(Lien {
            resource: ada.directory.clone(),
            restrictions: vec!["directory.directories.delete".to_owned()],
            reason: "A court wants it kept.".to_owned(),
            origin: "court".to_owned(),
            holder: "the legal department".to_owned(),
            ..Lien::default()
        }),
        request_id: String::new(),
    };
    world.clock.advance(std::time::Duration::from_secs(1));
    world.liens().create_lien(with_token(freeze, &operator)).await.unwrap();
    let tried = DeleteDirectoryRequest {
        name: ada.directory.clone(),
        validate_only: true,
        ..DeleteDirectoryRequest::default()
    };
    let preflight = world.directories().delete_directory(ada.says(tried)).await.unwrap().into_inner();
    let origins: Vec<_> = preflight.liens.iter().map(|lien| lien.origin.as_str()).collect();
    assert_eq!((origins, preflight.lien_count), (vec!["subscription-service", "court"], 2));
    let refused = world.delete(&ada.token, &ada.directory).await.unwrap_err();
    assert_eq!(reason(&refused), "FailedPrecondition/LIEN_PRESENT");
    assert_eq!(metadata(&refused, "lien_count").as_deref(), Some("2"));
    assert_eq!(world.state_of(&ada.directory).await, State::Active);
    // Nothing of it is shut: a deletion that is refused has not begun.
    world.sign_in(&ada.user_principal_name).await;
    let bo = world.sign_up("fabrikam").await;
    let deleted = world.delete(&bo.token, &bo.directory).await.unwrap();
    assert_eq!(deleted.state(), State::Deleted);
}

#[tokio::test]
async fn d_30_nobody_but_global_administrators_and_operators_deletes_and_nobody_elses_directory() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let cy = world.add(&ada, "cy").await;
    let bo = world.add(&ada, "bo").await;
    world.give(&ada, &bo, "billing-administrator").await;
    let eve = world.sign_up("fabrikam").await;
    let nowhere = "directories/00000000-0000-4000-8000-000000000001";
    for (token, directory) in [
        (&cy.token, &ada.directory),
        (&bo.token, &ada.directory),
        (&eve.token, &ada.directory),
        (&eve.token, &nowhere.to_owned()),
    ] {
        assert_eq!(reason(&world.delete(token, directory).await.unwrap_err()), DENIED);
    }
    assert_eq!(world.state_of(&ada.directory).await, State::Active);
}

/// Attack 40: tokens, sessions, names and subscriptions of a deleted directory, until it is back, and after it is purged.
#[tokio::test]
async fn a_deleted_directory_is_shut_is_had_back_whole_and_its_label_is_never_given_again() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let cy = world.add(&ada, "cy").await;
    let nothing = "subscriptions/00000000-0000-4000-8000-000000000001";
    let message = DeleteDirectoryRequest {
        name: ada.directory.clone(),
        request_id: world.request_id(),
        ..DeleteDirectoryRequest::default()
    };
    let delete = async || world.directories().delete_directory(ada.says(message.clone())).await;
    let deleted = delete().await.unwrap().into_inner().directory.unwrap();
    // P-9: the answer can be had again by whoever is nobody by now.
    assert_eq!(delete().await.unwrap().into_inner().directory.unwrap(), deleted);
    let again = world.delete(&ada.token, &ada.directory).await.unwrap_err();
    assert_eq!(reason(&again), DENIED);
    for person in [&ada, &cy] {
        let shut = world.doors(person, nothing).await;
        assert!(all(&shut, DENIED), "{shut:?}");
        assert_eq!(
            reason(&world.try_sign_in(&person.user_principal_name, PASSWORD).await.unwrap_err()),
            SHUT
        );
    }
    let taken = world.sign_ups().sign_up(world.sign_up_request("contoso")).await.unwrap_err();
    assert_eq!(reason(&taken), "AlreadyExists/INITIAL_DOMAIN_TAKEN");
    assert_eq!(world.undelete(&ada.directory).await.unwrap().state(), State::Active);
    assert_eq!(reason(&world.undelete(&ada.directory).await.unwrap_err()), "AlreadyExists/NOT_DELETED");
    world.users().get_me(cy.says(GetMeRequest {})).await.unwrap();
    world.attach_trial(&ada, E3).await.unwrap();

    let eve = world.sign_up("fabrikam").await;
    let deleted = world.delete(&eve.token, &eve.directory).await.unwrap();
    let purge_time = Timestamp::from_seconds(deleted.purge_time.unwrap().seconds);
    world.clock.advance(purge_time.since(world.clock.now()));
    // By the clock, and after the purge, all the same.
    for purges in [false, true] {
        if purges {
            let workers = world.embedded.workers.iter().filter(|worker| worker.name.contains("purge"));
            for worker in workers {
                assert!(worker.run_once().await.unwrap());
            }
        }
        let late = world.undelete(&eve.directory).await.unwrap_err();
        assert_eq!(reason(&late), "FailedPrecondition/PURGE_STARTED");
        let get = GetDirectoryRequest { name: eve.directory.clone() };
        let gone = world.directories().get_directory(with_token(get, &world.operator_token())).await;
        assert_eq!(reason(&gone.unwrap_err()), "NotFound/DIRECTORY_NOT_FOUND");
        let taken = world.sign_ups().sign_up(world.sign_up_request("fabrikam")).await.unwrap_err();
        assert_eq!(reason(&taken), "AlreadyExists/INITIAL_DOMAIN_TAKEN");
        let signed_in = world.try_sign_in(&eve.user_principal_name, PASSWORD).await.unwrap_err();
        assert_eq!(reason(&signed_in), SHUT);
    }
}

/// Attack 4: an administrator changes what is theirs to change, and nothing else.
#[tokio::test]
async fn a_global_administrator_changes_the_settings_and_no_protected_field() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let cy = world.add(&ada, "cy").await;
    let update = |person: &Person, directory: Directory, path: &str| {
        let directory = Some(Directory { name: ada.directory.clone(), ..directory });
        let update_mask = Some(FieldMask { paths: vec![path.to_owned()] });
        let request_id = world.request_id();
        let message = person.says(UpdateDirectoryRequest { directory, update_mask, request_id });
        async {
            world
                .directories()
                .update_directory(message)
                .await
                .map(|answer| answer.into_inner().directory.unwrap())
        }
    };
    let settings = api::directory::v1::DirectorySettings {
        members_may_create_subscriptions: Some(false),
        exempted_principals: vec![cy.name.clone()],
        ..Default::default()
    };
    let said = Directory {
        settings: Some(settings),
        state: State::Deleted.into(),
        revision: 99,
        ..Default::default()
    };
    let changed = update(&ada, said.clone(), "settings").await.unwrap();
    assert_eq!((changed.state(), changed.revision), (State::Active, 3));
    assert_eq!(changed.settings.as_ref().unwrap().exempted_principals, std::slice::from_ref(&cy.name));
    // S-05: it counts for members at once.
    let refused = world.azure(&cy, FREE_TRIAL).await.unwrap_err();
    assert_eq!(reason(&refused), "PermissionDenied/MEMBER_SIGN_UP_DISABLED");
    world.azure(&ada, FREE_TRIAL).await.unwrap();
    for path in ["state", "initial_domain", "agreement_type", "purge_time", "*"] {
        let refused = update(&ada, said.clone(), path).await.unwrap_err();
        assert_eq!(reason(&refused), "InvalidArgument/UPDATE_MASK_INVALID");
        assert_eq!(metadata(&refused, "path").as_deref(), Some(path));
    }
    assert_eq!(reason(&update(&cy, said.clone(), "settings").await.unwrap_err()), DENIED);
    let stale = Directory { etag: "AAAAAAAAAAE".to_owned(), ..said };
    assert_eq!(reason(&update(&ada, stale, "settings").await.unwrap_err()), "Aborted/ETAG_MISMATCH");
}
