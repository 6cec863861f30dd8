//! Contests: many want at once what only one can have. Each asserts what the winner and the losers are told, and what
//! the databases say afterwards; how many replicas the calls are spread over, whoever makes the [`People`] decides.

use api::identity::v1::{
    CreateUserRequest, ListRoleAssignmentsRequest, RefreshSessionRequest, SignUpRequest, User,
};
use database::{Db, on};
use sqlx::AssertSqlSafe;
use tenure::embedded::Databases;
use tonic::{Response, Status};

use crate::people::{E3, FREE_TRIAL, People, Person, reason, together};

/// How many race.
pub const RACERS: usize = 64;

const GLOBAL_ADMINISTRATOR: &str = "global-administrator";

/// Where a contest is held: who calls, and what is looked into afterwards.
#[derive(Debug, Clone)]
pub struct Place {
    /// The ways to the services.
    pub people: People,
    /// Their databases.
    pub databases: Databases,
}

impl Place {
    /// P-4: two Global Administrators remove each other; one is left.
    pub async fn two_administrators_remove_each_other(&self, label: &str) {
        let [(ada, adas), (eve, eves)] = two_administrators(&self.people, label).await;
        let duel = [(ada.clone(), eves), (eve.clone(), adas)].map(|(who, whose)| {
            let people = self.people.clone();
            async move { people.take(&who, &whose).await }
        });
        let outcomes = together(duel).await;
        let refused = losers(&outcomes);
        assert_eq!(refused.len(), 1, "{outcomes:?}");
        let expected = ["FailedPrecondition/LAST_GLOBAL_ADMINISTRATOR", "PermissionDenied/PERMISSION_DENIED"];
        assert!(expected.contains(&refused[0].as_str()), "{refused:?}");
        let left = if outcomes[0].is_ok() { &ada } else { &eve };
        assert_eq!(administrators(&self.people, left).await, 1);
        let rows = "role_assignments WHERE role = 'global-administrator'";
        assert_eq!(self.of(&self.databases.identity, rows, &ada).await, 1);
    }

    /// P-7: one of many organisations gets the label.
    pub async fn one_of_many_sign_ups_gets_the_label(&self, label: &str) {
        let requests = (0..RACERS).map(|_| self.people.sign_up_request(label));
        let outcomes = together(requests.map(|request| self.sign_up(request))).await;
        assert_lost(&outcomes, "AlreadyExists/INITIAL_DOMAIN_TAKEN");
        self.assert_one_organisation(label).await;
    }

    /// P-9: many sign-ups with one request id are one.
    pub async fn many_sign_ups_with_one_request_id_are_one(&self, label: &str) {
        let request = self.people.sign_up_request(label);
        let outcomes = together((0..RACERS).map(|_| self.sign_up(request.clone()))).await;
        assert_one_answer(outcomes);
        self.assert_one_organisation(label).await;
    }

    /// P-9: many attaches with one request id are one.
    pub async fn many_attaches_with_one_request_id_are_one(&self, label: &str) {
        let ada = self.people.sign_up(label).await;
        let request = self.people.trial_request(&ada.directory, E3);
        let outcomes = together((0..RACERS).map(|_| {
            let (people, ada, request) = (self.people.clone(), ada.clone(), request.clone());
            async move { people.attach(&ada, request).await }
        }))
        .await;
        assert_one_answer(outcomes);
        self.assert_one_trial(&ada).await;
    }

    /// K25: one of many attaches gets the trial.
    pub async fn one_of_many_attaches_gets_the_trial(&self, label: &str) {
        let ada = self.people.sign_up(label).await;
        let outcomes = together((0..RACERS).map(|_| {
            let (people, ada) = (self.people.clone(), ada.clone());
            async move { people.attach_trial(&ada, E3).await }
        }))
        .await;
        assert_lost(&outcomes, "FailedPrecondition/TRIAL_ALREADY_USED");
        self.assert_one_trial(&ada).await;
    }

    /// S-04, P-14: one free Azure trial a person, however many ask at once.
    pub async fn one_of_many_free_trials_of_one_person_is_given(&self, label: &str) {
        let ada = self.people.sign_up(label).await;
        let outcomes = together((0..RACERS).map(|_| {
            let (people, ada) = (self.people.clone(), ada.clone());
            async move { people.azure(&ada, FREE_TRIAL).await }
        }))
        .await;
        assert_lost(&outcomes, "FailedPrecondition/OFFER_ALREADY_USED");
        for rows in ["subscriptions", "azure_owner_guards WHERE free_trial_time IS NOT NULL"] {
            assert_eq!(self.of(&self.databases.subscription, rows, &ada).await, 1, "{rows}");
        }
    }

    /// P-7: one of many creations of one user principal name succeeds.
    pub async fn one_of_many_creations_gets_the_name(&self, label: &str) {
        let ada = self.people.sign_up(label).await;
        let domain = ada.user_principal_name.split('@').nth(1).expect("a name has a domain");
        let name = format!("eve@{domain}");
        let outcomes = together((0..RACERS).map(|_| {
            let (people, ada) = (self.people.clone(), ada.clone());
            let request = CreateUserRequest {
                parent: ada.directory.clone(),
                user: Some(User {
                    user_principal_name: name.clone(),
                    display_name: "Eve".to_owned(),
                    ..User::default()
                }),
                request_id: people.request_id(),
                ..CreateUserRequest::default()
            };
            async move { people.users().create_user(ada.says(request)).await.map(Response::into_inner) }
        }))
        .await;
        assert_lost(&outcomes, "AlreadyExists/USER_PRINCIPAL_NAME_TAKEN");
        assert_eq!(self.of(&self.databases.identity, "users", &ada).await, 2);
    }

    /// K22: one refresh token, exchanged from many places at once, has one successor; used after that, it ends the
    /// session.
    pub async fn one_refresh_token_has_one_successor(&self, label: &str) {
        let ada = self.people.sign_up(label).await;
        let refresh = |token: &str| {
            let (people, refresh_token) = (self.people.clone(), token.to_owned());
            async move {
                let reply =
                    people.sessions().refresh_session(RefreshSessionRequest { refresh_token }).await?;
                Ok::<_, Status>(reply.into_inner().refresh_token)
            }
        };
        let outcomes = together((0..RACERS).map(|_| refresh(&ada.refresh_token))).await;
        let successor = assert_one_answer(outcomes);
        let next = refresh(&successor).await.expect("the successor is good");
        let expected = [(&ada.refresh_token, "REFRESH_TOKEN_REUSED"), (&next, "REFRESH_TOKEN_INVALID")];
        for (token, expected) in expected {
            let refused = refresh(token).await.expect_err("a stolen token ends the session");
            assert_eq!(reason(&refused), format!("Unauthenticated/{expected}"));
        }
        let rows = "sessions WHERE revoke_time IS NOT NULL";
        assert_eq!(self.of(&self.databases.identity, rows, &ada).await, 1);
    }

    /// Signs up, for a task of its own.
    fn sign_up(
        &self,
        request: SignUpRequest,
    ) -> impl Future<Output = Result<api::identity::v1::SignUpResponse, Status>> + Send + use<> {
        let people = self.people.clone();
        async move { people.sign_ups().sign_up(request).await.map(Response::into_inner) }
    }

    /// One directory is in use under the label, with one user, and has the claim.
    async fn assert_one_organisation(&self, label: &str) {
        let domain = format!("'{label}.tenure.internal'");
        let active = format!("directories WHERE state = 'ACTIVE' AND initial_domain = {domain}");
        assert_eq!(count(&self.databases.directory, &active).await, 1);
        assert_eq!(
            count(&self.databases.directory, &format!("domain_claims WHERE domain = {domain}")).await,
            1
        );
        let users = format!("users WHERE upn_key = 'ada@{label}.tenure.internal'");
        assert_eq!(count(&self.databases.identity, &users).await, 1);
    }

    /// One subscription, one order, one use of the trial, under one hold and one lien.
    async fn assert_one_trial(&self, ada: &Person) {
        let rows = [
            "subscriptions",
            "orders",
            "product_guards WHERE trial_time IS NOT NULL",
            "holds WHERE state = 'HELD'",
        ];
        for rows in rows {
            assert_eq!(self.of(&self.databases.subscription, rows, ada).await, 1, "{rows}");
        }
        assert_eq!(self.of(&self.databases.directory, "liens", ada).await, 1);
    }

    /// How many of these rows belong to a person's directory.
    async fn of(&self, db: &Db, rows: &str, person: &Person) -> i64 {
        let id: uuid::Uuid = person.directory["directories/".len()..].parse().expect("a directory has an id");
        let joined = if rows.contains(" WHERE ") { "AND" } else { "WHERE" };
        let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {rows} {joined} directory = $1");
        let mut tx = db.read().await.expect("a test database reads");
        on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select.clone())).bind(id).fetch_one(c).await)
            .expect("rows can be counted")
    }
}

/// Ada and Eve, both Global Administrators, each with the name of the own assignment.
pub async fn two_administrators(people: &People, label: &str) -> [(Person, String); 2] {
    let ada = people.sign_up(label).await;
    let eve = people.add(&ada, "eve").await;
    let eves = people.give(&ada, &eve, GLOBAL_ADMINISTRATOR).await;
    let adas = people.assignment_of(&ada, &ada, GLOBAL_ADMINISTRATOR).await;
    [(ada, adas), (eve, eves)]
}

async fn administrators(people: &People, who: &Person) -> usize {
    let message = ListRoleAssignmentsRequest {
        parent: who.directory.clone(),
        filter: format!("role = \"directoryRoles/{GLOBAL_ADMINISTRATOR}\""),
        ..ListRoleAssignmentsRequest::default()
    };
    let reply = people.roles().list_role_assignments(who.says(message)).await;
    reply.expect("who is left may look").into_inner().role_assignments.len()
}

/// Rows, given as a table with or without a condition.
pub async fn count(db: &Db, rows: &str) -> i64 {
    let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {rows}");
    let mut tx = db.read().await.expect("a test database reads");
    on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select.clone())).fetch_one(c).await)
        .expect("rows can be counted")
}

fn losers<T>(outcomes: &[Result<T, Status>]) -> Vec<String> {
    outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(reason).collect()
}

/// All but one were refused, for this reason.
fn assert_lost<T>(outcomes: &[Result<T, Status>], expected: &str) {
    let losers = losers(outcomes);
    assert_eq!(losers.len(), outcomes.len() - 1, "{losers:?}");
    assert!(losers.iter().all(|loser| loser == expected), "{losers:?}");
}

/// Each got the same answer, which is given.
fn assert_one_answer<T: PartialEq + std::fmt::Debug>(outcomes: Vec<Result<T, Status>>) -> T {
    let mut answers = outcomes.into_iter().map(|outcome| outcome.expect("each gets the one answer"));
    let first = answers.next().expect("somebody asked");
    assert!(answers.all(|answer| answer == first), "the answers differ");
    first
}
