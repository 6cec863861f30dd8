//! A process dies while it suspends a directory (K2, K38): whoever asks again brings it home, and if nobody does, the job.

use std::time::{Duration, Instant};

use access::Service;
use access::token::AUDIENCE;
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::{Directory, GetDirectoryRequest, SuspendDirectoryRequest};
use api::identity::v1::{SignUpRequest, User};
use database::fail_point::FailPoint;
use runtime::clock::{system_clock, system_ids};
use test_support::database::{Engine, engine};
use tonic::Status;

use crate::client::{PATIENCE, insist, request_id};
use crate::intent::{Answer, Intent, PASSWORD, is_open, reason, with_token};
use crate::system::System;

const PLACES: [FailPoint; 2] = [FailPoint::AfterSetOut, FailPoint::AfterApplyDirectoryState];

impl System {
    fn operator(&self) -> String {
        let (id, now) = (system_ids().random(), system_clock().now());
        self.keys().operator().operator_token(AUDIENCE, id, now, Duration::from_mins(10)).unwrap()
    }

    async fn suspend(&self, message: &SuspendDirectoryRequest, token: &str) -> Result<Directory, Status> {
        let mut directories = DirectoryServiceClient::new(self.services.directory.clone());
        let answer = directories.suspend_directory(with_token(message.clone(), token)).await?;
        Ok(answer.into_inner().directory.unwrap())
    }

    /// Waits until the directory is as it should be.
    async fn await_state(&self, name: &str, state: State) {
        let begun = Instant::now();
        loop {
            let get = GetDirectoryRequest { name: name.to_owned() };
            let mut directories = DirectoryServiceClient::new(self.services.directory.clone());
            let answer = directories.get_directory(with_token(get, &self.operator())).await;
            let found = answer.map(|answer| answer.into_inner().directory.unwrap().state());
            if found.as_ref().is_ok_and(|found| *found == state) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn dies_on_the_way_and_arrives(mut system: System) {
    let process = system.process_of(Service::Directory);
    for (round, place) in PLACES.into_iter().enumerate() {
        for asks_again in [true, false] {
            let label = format!("contoso-{round}-{asks_again}");
            let sign_up = Intent::SignUp(SignUpRequest {
                organization_display_name: "Contoso".to_owned(),
                domain_label: label.clone(),
                admin_user: Some(User {
                    user_principal_name: "ada".to_owned(),
                    display_name: "Ada".to_owned(),
                    ..User::default()
                }),
                password: PASSWORD.to_owned(),
                request_id: request_id(),
                ..SignUpRequest::default()
            });
            let Answer::SignedUp(made) = insist(&sign_up, &system.services, "", PATIENCE).await.unwrap()
            else {
                panic!("a sign-up is answered as one")
            };
            let (name, ada) = (made.directory.unwrap().name, made.user.unwrap().user_principal_name);
            let message = SuspendDirectoryRequest {
                name: name.clone(),
                reason: "unpaid".to_owned(),
                request_id: request_id(),
            };
            let token = system.operator();
            system.arm(process, place, 1);
            let cut_off = system.suspend(&message, &token).await.unwrap_err();
            assert!(is_open(&cut_off), "{cut_off:?}");
            system.await_death(process);
            system.start_again();
            if asks_again {
                let begun = Instant::now();
                let suspended = loop {
                    match system.suspend(&message, &token).await {
                        Err(status) if is_open(&status) && begun.elapsed() < PATIENCE => {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        other => break other.unwrap(),
                    }
                };
                assert_eq!((suspended.state(), suspended.revision), (State::Suspended, 4));
            }
            system.await_state(&name, State::Suspended).await;
            // P-9: the answer is there, whoever has finished it.
            assert_eq!(system.suspend(&message, &token).await.unwrap().revision, 4);
            let refused =
                insist(&Intent::SignIn { name: ada }, &system.services, "", PATIENCE).await.unwrap_err();
            assert_eq!(reason(&refused), "DIRECTORY_SUSPENDED");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_that_dies_while_it_suspends_has_suspended_in_the_end() {
    if engine() == Engine::Sqlite {
        dies_on_the_way_and_arrives(System::embedded()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_service_that_dies_while_it_suspends_has_suspended_in_the_end() {
    dies_on_the_way_and_arrives(System::split().await).await;
}
