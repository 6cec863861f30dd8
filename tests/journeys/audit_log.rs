//! P-10: what was changed, by whom, and what was refused, as whoever may read it sees it; and no secret in any of it.

use std::collections::BTreeSet;

use api::directory::v1::{GetAuditEventRequest, GetAuditEventResponse};
use api::identity::v1::{PasswordProfile, RefreshSessionRequest, User};
use api::types::v1::audit_event::Kind;
use database::{Db, on, verify};
use prost::Message as _;
use sqlx::AssertSqlSafe;

use crate::audit_logs::{CONTEXTS, all, of, page, settle, settle_with_refusals};
use crate::raw;
use crate::world::{E3, PASSWORD, World, reason, tables, with_token};

#[tokio::test]
async fn an_administrator_reads_who_did_what_and_what_was_refused() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let cy = world.add(&ada, "cy").await;
    world.attach_trial(&ada, E3).await.unwrap();
    for _ in 0..3 {
        world.attach_trial(&cy, E3).await.unwrap_err();
    }
    settle_with_refusals(&world).await;

    let made = all(&world, "identity", &ada, &format!("target = \"{}\"", cy.name)).await;
    let created: Vec<_> = made.iter().filter(|event| event.kind() == Kind::Created).collect();
    assert_eq!(created.len(), 1);
    assert_eq!(created[0].action, "/tenure.identity.v1.UserService/CreateUser");
    assert_eq!((&created[0].actor, &created[0].targets), (&ada.name, &vec![cy.name.clone()]));
    assert!(!created[0].request_id.is_empty());

    let bought = all(&world, "subscription", &ada, &format!("actor = \"{}\"", ada.name)).await;
    assert!(!bought.is_empty() && bought.iter().all(|event| event.outcome.as_ref().unwrap().code == "OK"));

    // K15: equal ones of a minute are one, in the directory of whoever was refused.
    let refused = all(&world, "subscription", &ada, "outcome = PERMISSION_DENIED").await;
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let outcome = refused[0].outcome.clone().unwrap();
    assert_eq!((outcome.code.as_str(), outcome.reason.as_str()), ("PERMISSION_DENIED", "PERMISSION_DENIED"));
    assert_eq!((refused[0].count, refused[0].kind(), &refused[0].actor), (3, Kind::Refused, &cy.name));
    assert_eq!(refused[0].action, "/tenure.subscription.v1.SubscriptionService/AttachOffice365Subscription");

    for context in CONTEXTS {
        let events = all(&world, context, &ada, "").await;
        let times: Vec<_> =
            events.iter().map(|event| event.event_time.map(|time| (time.seconds, time.nanos))).collect();
        assert!(!events.is_empty() && times.is_sorted_by(|newer, older| newer >= older), "{context}");
        let names: BTreeSet<_> = events.iter().map(|event| &event.name).collect();
        assert_eq!(names.len(), events.len(), "each has a name of its own");
        assert!(names.iter().all(|name| name.starts_with(&format!("{}/auditEvents/", ada.directory))));
    }
}

#[tokio::test]
async fn an_entry_is_read_by_its_name_with_the_seal_that_is_exported() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    settle(&world).await;
    let event = all(&world, "identity", &ada, "").await.remove(0);
    let request = GetAuditEventRequest { name: event.name.clone() };
    let path = "/tenure.identity.v1.AuditService/GetAuditEvent";
    let asked = with_token(request.encode_to_vec(), &ada.token);
    let answer = raw::call(world.identity_peer(), path, asked).await.unwrap();
    let answer = GetAuditEventResponse::decode(answer.into_inner().as_slice()).unwrap();
    assert_eq!(answer.audit_event, Some(event.clone()));
    let exported =
        verify::exported_seals(&mut world.databases.identity.read().await.unwrap(), 0).await.unwrap();
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
        digits.collect::<Result<_, _>>().unwrap()
    };
    assert!(exported.iter().any(|exported| bytes(&exported.seal) == event.seal));
}

/// K5: by the data of the roles.
#[tokio::test]
async fn a_global_reader_and_an_operator_read_it_and_a_billing_administrator_does_not() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let (reader, billing) = (world.add(&ada, "ben").await, world.add(&ada, "cy").await);
    world.give(&ada, &reader, "global-reader").await;
    world.give(&ada, &billing, "billing-administrator").await;
    world.attach_trial(&ada, E3).await.unwrap();
    settle(&world).await;
    for context in CONTEXTS {
        for token in [&reader.token, &world.operator_token()] {
            assert!(!page(&world, context, token, &of(&ada, "")).await.unwrap().audit_events.is_empty());
        }
        let refused = page(&world, context, &billing.token, &of(&ada, "")).await.unwrap_err();
        assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
    }
}

/// P-11: each directory's log is its own.
#[tokio::test]
async fn no_log_tells_of_another_directory() {
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let eve = world.sign_up("fabrikam").await;
    let other = world.add(&eve, "ed").await;
    settle(&world).await;
    let foreign = eve.directory.rsplit('/').next().unwrap();
    for context in CONTEXTS {
        for filter in ["", "outcome = OK", &format!("target = \"{}*\"", eve.directory)] {
            let text = format!("{:?}", all(&world, context, &ada, filter).await);
            assert!(!text.contains(foreign) && !text.contains(&other.name), "{context}: {text}");
        }
        let refused = page(&world, context, &ada.token, &of(&eve, "")).await.unwrap_err();
        assert_eq!(reason(&refused), "PermissionDenied/PERMISSION_DENIED");
    }
}

/// Everything that stands in a log, refusals that are still counted, and answers that are kept for retries.
async fn stored_text(db: &Db) -> String {
    let mut text = String::new();
    for table in tables(db).await {
        let columns: &[&str] = match table.as_str() {
            "change_log" => &["actor", "action", "resource", "after", "changed_fields", "outcome"],
            "refusals" => &["actor", "action", "target", "reason"],
            "idempotency_records" => &["caller", "method", "answer"],
            _ => continue,
        };
        let mut tx = db.read().await.unwrap();
        for column in columns {
            let select = AssertSqlSafe(format!("SELECT {column} FROM {table}"));
            let values: Vec<String> =
                on!(&mut tx, |c| sqlx::query_scalar(select).fetch_all(c).await).unwrap();
            text.push_str(&values.join("\n"));
        }
    }
    text
}

/// Attack 24: passwords and tokens are in no entry, not as they are stored either.
#[tokio::test]
async fn no_log_has_a_secret_in_it() {
    const OTHER: &str = "Another-Horse-7";
    let world = World::new().await;
    let ada = world.sign_up("contoso").await;
    let message = api::identity::v1::CreateUserRequest {
        parent: ada.directory.clone(),
        user: Some(User {
            user_principal_name: "ben@contoso.tenure.internal".to_owned(),
            display_name: "Ben".to_owned(),
            password_profile: Some(PasswordProfile { password: OTHER.to_owned(), change_required: false }),
            ..User::default()
        }),
        request_id: world.request_id(),
        validate_only: false,
    };
    world.users().create_user(ada.says(message.clone())).await.unwrap();
    // A name that is taken: refused, with a password in the request.
    let again = api::identity::v1::CreateUserRequest { request_id: world.request_id(), ..message };
    world.users().create_user(ada.says(again)).await.unwrap_err();
    let ben = world.try_sign_in("ben@contoso.tenure.internal", OTHER).await.unwrap();
    world.try_sign_in("ben@contoso.tenure.internal", "Wrong-Horse-5").await.unwrap_err();
    let refresh = RefreshSessionRequest { refresh_token: ben.refresh_token.clone() };
    let refreshed = world.sessions().refresh_session(refresh).await.unwrap().into_inner();
    world.attach_trial(&ada, E3).await.unwrap();
    let unsettled = stored_text(&world.databases.identity).await;
    settle_with_refusals(&world).await;

    let mut told = unsettled;
    for (context, db) in world.stores() {
        let events = all(&world, context, &ada, "").await;
        assert!(!events.is_empty());
        let events = format!("{events:?}");
        told.push_str(&events);
        told.push_str(&stored_text(db).await);
    }
    assert!(told.contains("ben@contoso.tenure.internal"), "the log was read");
    let tokens =
        [&ada.token, &ada.refresh_token, &ben.access_token, &ben.refresh_token, &refreshed.refresh_token];
    let signatures = tokens.map(|token| token.rsplit('.').next().unwrap());
    let passwords = [PASSWORD, OTHER, "Wrong-Horse-5"];
    for secret in passwords.into_iter().chain(tokens.map(String::as_str)).chain(signatures) {
        assert!(!told.contains(secret), "{secret}");
    }
    assert!(!told.contains("$argon2"), "no hash either");
}
