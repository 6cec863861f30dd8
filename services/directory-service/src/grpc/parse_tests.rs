//! Requests good and bad, and every violation that is told for the bad ones; no state is needed here.

use super::*;
use crate::domain::directory::State;
use kernel::{Refusal, new_ids};

fn suffix() -> DomainSuffix {
    "tenure.internal".parse().unwrap()
}

fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.violations().iter().map(|violation| violation.field.as_str()).collect()
}

fn directory_id() -> DirectoryId {
    DirectoryId::from_uuid(new_ids::derive(&["contoso"]))
}

fn contoso() -> CreateDirectoryRequest {
    let directory = v1::Directory { display_name: "Contoso".to_owned(), ..v1::Directory::default() };
    CreateDirectoryRequest {
        directory: Some(directory),
        initial_domain_label: "Contoso".to_owned(),
        request_id: String::new(),
    }
}

fn lien() -> CreateLienRequest {
    let parent = format!("directories/{}", directory_id());
    let lien = v1::Lien {
        resource: parent.clone(),
        restrictions: vec!["directory.directories.delete".to_owned()],
        reason: "subscriptions".to_owned(),
        origin: "subscription-service".to_owned(),
        ..v1::Lien::default()
    };
    CreateLienRequest { parent, lien: Some(lien), request_id: String::new() }
}

fn lien_with(change: impl FnOnce(&mut v1::Lien)) -> Parsed<CreateLien> {
    let mut request = lien();
    change(request.lien.as_mut().unwrap());
    create_lien(request)
}

#[test]
fn d_02_a_directory_is_in_the_united_states_and_self_service_where_nothing_is_said() {
    let parsed = create_directory(contoso(), &suffix()).unwrap();
    assert_eq!(parsed.initial_domain.as_str(), "contoso.tenure.internal");
    assert_eq!(parsed.region_code, RegionCode::UNITED_STATES);
    assert_eq!(parsed.agreement_type, AgreementType::SelfService);
    assert!(parsed.settings.members_may_create_subscriptions);
}

#[test]
fn what_is_said_about_a_directory_is_kept() {
    let mut request = contoso();
    let directory = request.directory.as_mut().unwrap();
    directory.region_code = "DE".to_owned();
    directory.agreement_type = v1::AgreementType::Enterprise.into();
    directory.settings =
        Some(v1::DirectorySettings { members_may_create_subscriptions: Some(false), ..Default::default() });
    let parsed = create_directory(request, &suffix()).unwrap();
    assert_eq!((parsed.region_code.as_str(), parsed.agreement_type), ("DE", AgreementType::Enterprise));
    assert!(!parsed.settings.members_may_create_subscriptions);
}

#[test]
fn every_violation_of_a_new_directory_is_told_at_once() {
    let directory = v1::Directory {
        display_name: "x".repeat(257),
        region_code: "XX".to_owned(),
        agreement_type: 9,
        ..v1::Directory::default()
    };
    let request = CreateDirectoryRequest {
        directory: Some(directory),
        initial_domain_label: "xn--a".to_owned(),
        request_id: "x".to_owned(),
    };
    let refusal = create_directory(request, &suffix()).unwrap_err();
    assert_eq!(
        fields(&refusal),
        [
            "request_id",
            "initial_domain_label",
            "directory.display_name",
            "directory.region_code",
            "directory.agreement_type"
        ]
    );
    let empty = create_directory(CreateDirectoryRequest::default(), &suffix()).unwrap_err();
    assert_eq!(fields(&empty), ["initial_domain_label", "directory.display_name"]);
}

#[test]
fn every_violation_of_a_lien_is_told_at_once() {
    let blocker = v1::Blocker {
        resource: String::new(),
        state: "x".repeat(65),
        earliest_clear_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
    };
    let wrong = v1::Lien {
        resource: "directories/other".to_owned(),
        reason: String::new(),
        origin: "x".repeat(201),
        holder: "\n".to_owned(),
        revision: -1,
        blockers: vec![blocker],
        blocker_count: -1,
        ..v1::Lien::default()
    };
    let request = CreateLienRequest { lien: Some(wrong), request_id: "x".to_owned(), ..lien() };
    let refusal = create_lien(request).unwrap_err();
    let told = [
        "request_id",
        "lien.resource",
        "lien.restrictions",
        "lien.reason",
        "lien.origin",
        "lien.holder",
        "lien.revision",
        "lien.blockers[0].resource",
        "lien.blockers[0].state",
        "lien.blockers[0].earliest_clear_time",
        "lien.blocker_count",
    ];
    assert_eq!(fields(&refusal), told);
}

#[test]
fn an_unknown_restriction_has_a_reason_of_its_own() {
    let refusal =
        lien_with(|lien| lien.restrictions.push("directory.directories.rename".to_owned())).unwrap_err();
    assert_eq!(refusal.reason().as_str(), "RESTRICTION_UNKNOWN");
    assert_eq!(refusal.metadata(), [("restriction", "directory.directories.rename".to_owned())]);
    assert_eq!(fields(&refusal), ["lien.restrictions"]);
}

#[test]
fn a_lien_guards_its_parent_or_one_of_the_parents_domains() {
    let parent = directory_id();
    let on = |resource: String| lien_with(|lien| lien.resource = resource);
    assert_eq!(on(format!("directories/{parent}")).unwrap().claim.guarded, Guarded::Directory);
    let domain = on(format!("directories/{parent}/domains/contoso.com")).unwrap().claim.guarded;
    assert_eq!(domain, Guarded::Domain("contoso.com".parse().unwrap()));
    let other = new_ids::derive(&["fabrikam"]);
    for wrong in [
        format!("directories/{other}"),
        format!("directories/{other}/domains/contoso.com"),
        format!("directories/{parent}/domains/Contoso.com"),
        format!("directories/{parent}/domains/contoso.com."),
        format!("directories/{parent}/"),
        String::new(),
    ] {
        assert_eq!(fields(&on(wrong.clone()).unwrap_err()), ["lien.resource"], "{wrong}");
    }
    let orphan = CreateLienRequest { parent: "x".to_owned(), ..lien() };
    assert_eq!(fields(&create_lien(orphan).unwrap_err()), ["parent"]);
}

#[test]
fn blockers_are_counted_at_least_as_listed() {
    let blocker = v1::Blocker { resource: "subscriptions/1".to_owned(), ..v1::Blocker::default() };
    let count = |listed: usize, said: i32| {
        lien_with(|lien| {
            lien.blockers = vec![blocker.clone(); listed];
            lien.blocker_count = said;
        })
        .map(|lien| lien.claim.blocker_count)
    };
    assert_eq!((count(2, 0), count(2, 7), count(0, 0)), (Ok(2), Ok(7), Ok(0)));
    assert_eq!(fields(&count(2, 1).unwrap_err()), ["lien.blocker_count"]);
    assert!(count(MOST_BLOCKERS, 0).is_ok());
    assert_eq!(fields(&count(MOST_BLOCKERS + 1, 0).unwrap_err()), ["lien.blockers"]);
}

#[test]
fn names_have_one_form() {
    let id = directory_id();
    assert_eq!(directory_name("name", &format!("directories/{id}")), Ok(id));
    for wrong in [id.to_string(), format!("directories/{id}/"), format!("Directories/{id}"), String::new()] {
        assert_eq!(fields(&directory_name("name", &wrong).unwrap_err()), ["name"]);
        assert_eq!(fields(&directory_to_change(&wrong, "x").unwrap_err()), ["name", "request_id"]);
        assert_eq!(fields(&lien_name(&wrong).unwrap_err()), ["name"]);
        let message = DeleteLienRequest { name: wrong, allow_missing: true, request_id: "x".to_owned() };
        assert_eq!(fields(&delete_lien(&message).unwrap_err()), ["name", "request_id"]);
    }
    let request = ListLiensRequest { parent: "x".to_owned(), page_size: -1, page_token: String::new() };
    assert_eq!(fields(&list_liens(request).unwrap_err()), ["parent", "page_size"]);
    assert_eq!(fields(&page(-1, String::new()).unwrap_err()), ["page_size"]);
    assert_eq!(fields(&domain("contoso.com.").unwrap_err()), ["domain"]);
    assert_eq!(domain("Contoso.COM").unwrap().as_str(), "contoso.com");
}

#[test]
fn the_states_of_a_filter_are_those_of_the_contract() {
    let specified = State::ALL.map(|state| super::super::present::state(state).as_str_name());
    assert_eq!(STATES, specified);
}

#[test]
fn all_that_is_wrong_with_a_list_of_directories_is_told_at_once() {
    let wrong = ListDirectoriesRequest {
        page_size: -1,
        filter: "owner = \"ada\"".to_owned(),
        order_by: "name".to_owned(),
        ..ListDirectoriesRequest::default()
    };
    assert_eq!(fields(&list_directories(wrong.clone()).unwrap_err()), ["page_size", "filter", "order_by"]);
    let order = ListDirectoriesRequest { page_size: 0, filter: String::new(), ..wrong };
    assert_eq!(list_directories(order).unwrap_err().reason(), kernel::reason::ORDER_BY_INVALID);
    for refused in ["state = STATE_UNSPECIFIED", "state = ACTIVE", "display_name != \"a*\"", "labels = \"a\""]
    {
        let request =
            ListDirectoriesRequest { filter: refused.to_owned(), ..ListDirectoriesRequest::default() };
        assert_eq!(
            list_directories(request).unwrap_err().reason(),
            kernel::reason::FILTER_INVALID,
            "{refused}"
        );
    }
}
