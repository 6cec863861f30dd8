//! P-12: what is taken away through one replica is gone at every other, for writes and checks at once, for reads within
//! five seconds.

use std::time::{Duration, Instant};

use api::identity::v1::{
    CheckDirectoryRoleRequest, CheckDirectoryRoleResponse, CreateUserRequest, Decision, DenialReason,
    GetMeRequest, RevokeSessionRequest, User,
};
use api::subscription::v1::ListSubscriptionsRequest;
use api::types::v1::ReadConsistency;
use api::types::v1::read_consistency::Level;
use database::{Db, on};
use system_tests::people::{E3, People, Person, reason, together};
use tonic::Status;

use crate::fleet::{Fleet, is_not_for_sqlite, until};

const DIRECTORIES: usize = 4;
const ROLES_EACH: usize = 50;
const SESSIONS_EACH: usize = 12;
const BILLING: &str = "billing-administrator";

/// How old what a read rests on may be.
const MOST_AGE: Duration = Duration::from_secs(5);

/// The two sides: what is taken away here is asked for there.
#[derive(Clone)]
struct Sides {
    here: People,
    there: People,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_away_through_one_replica_is_gone_at_the_other() {
    if is_not_for_sqlite() {
        return;
    }
    let fleet = Fleet::start().await;
    let sides = Sides { here: fleet.through(0), there: fleet.through(1) };
    let mut sessions = Vec::new();
    for number in 0..DIRECTORIES {
        let ada = sides.here.sign_up(&format!("sessions-{number}")).await;
        for _ in 0..SESSIONS_EACH {
            sessions.push(sides.here.sign_in(&ada.user_principal_name).await);
        }
    }
    let roles = together((0..DIRECTORIES).map(|number| take_roles(sides.clone(), number)));
    let sessions = together(sessions.into_iter().map(|session| revoke(sides.clone(), session)));
    tokio::join!(roles, sessions, suspend(&sides, &fleet.databases.identity));
    fleet.assert_change_logs_intact().await;
}

/// A role: neither a check nor a write finds it again.
async fn take_roles(sides: Sides, number: usize) {
    let Sides { here, there } = &sides;
    let ada = here.sign_up(&format!("roles-{number}")).await;
    let eve = here.add(&ada, "eve").await;
    there.attach_trial(&ada, E3).await.unwrap();
    for _ in 0..ROLES_EACH {
        let role = here.give(&ada, &eve, BILLING).await;
        assert_eq!(check(there, &ada, &eve).await.decision(), Decision::Allowed);
        assert_eq!(attach(there, &eve).await, "FailedPrecondition/TRIAL_ALREADY_USED", "she may, and had it");
        here.take(&ada, &role).await.unwrap();
        let answer = check(there, &ada, &eve).await;
        assert_eq!(answer.decision(), Decision::Denied);
        assert_eq!(answer.denial_reason(), DenialReason::RoleMissing);
        assert_eq!(attach(there, &eve).await, "PermissionDenied/PERMISSION_DENIED");
    }
}

/// A session: writes are refused at once, and reads in time.
async fn revoke(sides: Sides, session: Person) {
    let Sides { here, there } = &sides;
    // Both services answer reads from what they have just seen.
    assert_eq!(read(there, &session).await, ["", ""]);
    assert_eq!(write(there, &session).await, "");
    let message = RevokeSessionRequest { name: session.session.clone() };
    here.sessions().revoke_session(session.says(message)).await.unwrap();
    let revoked = Instant::now();
    assert_eq!(write(there, &session).await, "Unauthenticated/SESSION_REVOKED");
    assert_eq!(attach(there, &session).await, "Unauthenticated/SESSION_REVOKED");
    assert_reads_end(there, &session, revoked, "Unauthenticated/SESSION_REVOKED").await;
}

/// A directory, written past both replicas: as another one would write what the directory context tells it (K2).
async fn suspend(sides: &Sides, identity: &Db) {
    let Sides { here, there } = sides;
    let ada = here.sign_up("suspended").await;
    for people in [here, there] {
        assert_eq!(read(people, &ada).await, ["", ""]);
    }
    let id: uuid::Uuid = ada.directory["directories/".len()..].parse().unwrap();
    let mut tx = identity.write().await.unwrap();
    let update =
        "UPDATE directory_states SET state = 'SUSPENDED', revision = revision + 1 WHERE directory = $1";
    on!(&mut tx, |c| sqlx::query(update).bind(id).execute(c).await.map(|_| ())).unwrap();
    tx.commit_bookkeeping().await.unwrap();
    let suspended = Instant::now();
    for people in [here, there] {
        assert_eq!(write(people, &ada).await, "PermissionDenied/PERMISSION_DENIED");
        assert_eq!(attach(people, &ada).await, "PermissionDenied/PERMISSION_DENIED");
        assert_reads_end(people, &ada, suspended, "PermissionDenied/PERMISSION_DENIED").await;
    }
}

/// Reads of both services are refused in time, and for this reason.
async fn assert_reads_end(people: &People, who: &Person, gone: Instant, expected: &str) {
    until("reads are refused", || async {
        let began = gone.elapsed();
        let told = read(people, who).await;
        assert!(told.iter().all(|told| told.is_empty() || told == expected), "{told:?}");
        assert!(began <= MOST_AGE || told == [expected, expected], "served {began:?} later: {told:?}");
        told == [expected, expected]
    })
    .await;
}

/// A read of identity's and one of subscription's; empty where it was served.
async fn read(people: &People, who: &Person) -> [String; 2] {
    let parent = who.directory.clone();
    let list = ListSubscriptionsRequest { parent, ..ListSubscriptionsRequest::default() };
    let me = people.users().get_me(who.says(GetMeRequest {})).await;
    let listed = people.subscriptions().list_subscriptions(who.says(list)).await;
    [told(&me), told(&listed)]
}

/// A write of identity's, judged as such and not carried out; empty where it would have been.
async fn write(people: &People, who: &Person) -> String {
    let (_, domain) = who.user_principal_name.split_once('@').unwrap();
    let message = CreateUserRequest {
        parent: who.directory.clone(),
        user: Some(User {
            user_principal_name: format!("new@{domain}"),
            display_name: "New".to_owned(),
            ..User::default()
        }),
        validate_only: true,
        ..CreateUserRequest::default()
    };
    told(&people.users().create_user(who.says(message)).await)
}

/// A write of subscription's; empty where it was carried out.
async fn attach(people: &People, who: &Person) -> String {
    told(&people.attach_trial(who, E3).await)
}

async fn check(people: &People, asking: &Person, about: &Person) -> CheckDirectoryRoleResponse {
    let message = CheckDirectoryRoleRequest {
        directory: about.directory.clone(),
        principal: about.name.clone(),
        session: about.session.clone(),
        any_of_roles: vec![format!("directoryRoles/{BILLING}")],
        consistency: Some(ReadConsistency { level: Some(Level::FullyConsistent(true)) }),
        ..CheckDirectoryRoleRequest::default()
    };
    people.roles().check_directory_role(asking.says(message)).await.unwrap().into_inner()
}

fn told<T>(outcome: &Result<T, Status>) -> String {
    outcome.as_ref().err().map(reason).unwrap_or_default()
}
