//! What a directory's domains are to each other, to other directories, and to those who may change them.

use std::time::Duration;

use api::directory::v1::{
    CreateLienRequest, DeleteDomainRequest, DeleteLienRequest, DomainState, GetDirectoryRequest,
    GetDomainRequest, Lien, ListDomainsRequest, VerifyDomainRequest,
};
use api::identity::v1::DenialReason;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::domains::record;
use crate::{World, reason, told};

#[tokio::test]
async fn k_46_what_lies_below_a_proven_domain_needs_no_record_and_goes_first() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let below = "a.mail.contoso.co.uk";
    let refused = world.add(&directory, below).await.unwrap_err();
    assert_eq!(told(&refused).1, "DOMAIN_NOT_VERIFIED");
    assert_eq!(told(&refused).2["domain"], "contoso.co.uk");
    let root = world.add(&directory, "contoso.co.uk").await.unwrap();
    assert_eq!(reason(world.add(&directory, below).await), "DOMAIN_NOT_VERIFIED", "it is pending");
    world.dns.texts("contoso.co.uk", &[&record(&root)]);
    world.verify(&root.name).await.unwrap();
    let sub = world.add(&directory, below).await.unwrap();
    assert_eq!((sub.state(), sub.verification.as_ref()), (DomainState::Verified, None));
    assert_eq!(world.resolve(below).await, Some(directory.clone()));
    assert_eq!(world.resolve("mail.contoso.co.uk").await, None, "it is no row of its own");
    // Another directory gets neither the domain nor what lies below it.
    let other = world.active("fabrikam").await.name;
    let added = world.add(&other, "contoso.co.uk").await.unwrap();
    world.dns.texts("contoso.co.uk", &[&record(&added)]);
    assert_eq!(reason(world.verify(&added.name).await), "DOMAIN_VERIFIED_ELSEWHERE");
    assert_eq!(reason(world.add(&other, below).await), "DOMAIN_NOT_VERIFIED");
    assert_eq!(reason(world.remove(&root.name).await), "DOMAIN_HAS_SUBDOMAINS");
    world.remove(&sub.name).await.unwrap();
    world.remove(&root.name).await.unwrap();
    // What was removed is free at once.
    world.verify(&added.name).await.unwrap();
    assert_eq!(world.resolve("contoso.co.uk").await, Some(other));
}

#[tokio::test]
async fn k_46_neither_what_lies_above_nor_below_may_belong_to_another_directory() {
    // Names that count as registered today can lie below each other: the list of public suffixes changes.
    for elsewhere in ["co.uk", "mail.contoso.co.uk", "a.b.contoso.co.uk"] {
        let world = World::new().await;
        let (directory, other) = (world.active("contoso").await.name, world.active("fabrikam").await.name);
        let reversed: Vec<&str> = elsewhere.rsplit('.').collect();
        let claim = format!(
            "INSERT INTO domain_claims (domain, reversed, directory)
            SELECT '{elsewhere}', '{}', id FROM directories WHERE initial_domain = 'fabrikam.tenure.internal'",
            reversed.join(".")
        );
        world.execute(&claim).await;
        let added = world.add(&directory, "contoso.co.uk").await.unwrap();
        world.dns.texts("contoso.co.uk", &[&record(&added)]);
        assert_eq!(reason(world.verify(&added.name).await), "DOMAIN_VERIFIED_ELSEWHERE", "{elsewhere}");
        assert_eq!(world.resolve("contoso.co.uk").await, None);
        // Its own directory's is in nobody's way.
        world.proven(&other, "contoso.co.uk").await;
        // Neither is what only looks alike.
        if elsewhere != "co.uk" {
            world.proven(&directory, "notcontoso.co.uk").await;
        }
    }
}

#[tokio::test]
async fn d_11_another_domain_becomes_the_primary_one_and_can_then_not_go() {
    let world = World::new().await;
    let made = world.active("contoso").await;
    let directory = made.name;
    let domain = world.proven(&directory, "contoso.com").await;
    let before = world.count("change_log").await;
    let primary = world.set_primary(&domain.name).await.unwrap();
    assert!(primary.primary && primary.etag == domain.etag);
    assert_eq!(world.set_primary(&domain.name).await.unwrap(), primary);
    assert_eq!(world.count("change_log").await, before + 1);
    let get = GetDirectoryRequest { name: directory.clone() };
    let read = world.directories().get_directory(world.member(&directory, get)).await.unwrap().into_inner();
    let read = read.directory.unwrap();
    assert_eq!((read.primary_domain.as_str(), read.revision), ("contoso.com", made.revision + 1));
    assert_eq!(read.initial_domain, "contoso.tenure.internal");
    let initial = format!("{directory}/domains/contoso.tenure.internal");
    assert!(!world.get(&initial).await.unwrap().primary);
    assert_eq!(reason(world.remove(&initial).await), "DOMAIN_IS_INITIAL");
    assert_eq!(reason(world.remove(&domain.name).await), "DOMAIN_IS_PRIMARY");
    world.set_primary(&initial).await.unwrap();
    world.remove(&domain.name).await.unwrap();
    assert_eq!(reason(world.get(&domain.name).await), "DOMAIN_NOT_FOUND");
    assert_eq!(reason(world.remove(&domain.name).await), "DOMAIN_NOT_FOUND");
    for absent in [world.verify(&domain.name).await, world.rotate(&domain.name).await] {
        assert_eq!(reason(absent), "DOMAIN_NOT_FOUND");
    }
    let message =
        DeleteDomainRequest { name: domain.name, allow_missing: true, ..DeleteDomainRequest::default() };
    world.domains().delete_domain(world.member(&directory, message)).await.unwrap();
}

#[tokio::test]
async fn k_11_a_domain_stays_while_a_lien_says_so() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let domain = world.proven(&directory, "contoso.com").await;
    let lien = |restriction: &str, origin: &str| CreateLienRequest {
        parent: directory.clone(),
        lien: Some(Lien {
            resource: domain.name.clone(),
            restrictions: vec![restriction.to_owned()],
            reason: "Names of users end with the domain.".to_owned(),
            origin: origin.to_owned(),
            revision: 1,
            ..Lien::default()
        }),
        request_id: String::new(),
    };
    let mut liens = Vec::new();
    for request in [lien("directory.domains.delete", "one"), lien("directory.domains.delete", "other")] {
        let answer = world.liens().create_lien(world.identity(request)).await.unwrap();
        liens.push(answer.into_inner().lien.unwrap().name);
    }
    let refused = world.remove(&domain.name).await.unwrap_err();
    let (code, reason, metadata) = told(&refused);
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "LIEN_PRESENT"));
    assert_eq!((&metadata["resource"], metadata["liens"].as_str()), (&domain.name, "2"));
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    let mut subjects: Vec<_> = violations.iter().map(|violation| violation.subject.clone()).collect();
    subjects.sort();
    liens.sort();
    assert_eq!(subjects, liens);
    assert_eq!(violations[0].description, "Names of users end with the domain. (services/identity-service)");
    for name in liens {
        let delete = DeleteLienRequest { name, ..DeleteLienRequest::default() };
        world.liens().delete_lien(world.identity(delete)).await.unwrap();
    }
    // A lien that forbids something else is no hindrance.
    let other = lien("directory.directories.delete", "one more");
    world.liens().create_lien(world.identity(other)).await.unwrap();
    let mut message = DeleteDomainRequest { name: domain.name, ..DeleteDomainRequest::default() };
    message.etag = "AAAAAAAAAAk".to_owned();
    let stale = world.domains().delete_domain(world.member(&directory, message.clone())).await;
    assert_eq!(crate::reason(stale), "ETAG_MISMATCH");
    message.etag = domain.etag;
    world.domains().delete_domain(world.member(&directory, message)).await.unwrap();
}

#[tokio::test]
async fn d_15_what_no_directory_can_have_is_told_by_its_reason() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    for (domain, expected) in [
        ("contoso", "DOMAIN_INVALID"),
        ("contoso.com.", "DOMAIN_INVALID"),
        ("192.0.2.1", "DOMAIN_INVALID"),
        ("other.tenure.internal", "DOMAIN_INVALID"),
        ("CO.uk", "PUBLIC_SUFFIX"),
        ("'; DROP TABLE domains; --.com", "DOMAIN_INVALID"),
        ("%.contoso.com", "DOMAIN_INVALID"),
    ] {
        let refused = world.add(&directory, domain).await.unwrap_err();
        assert_eq!(
            (told(&refused).0, told(&refused).1.as_str()),
            (Code::InvalidArgument, expected),
            "{domain}"
        );
    }
    assert_eq!(world.count("domains").await, 1);
}

#[tokio::test]
async fn a_directory_has_at_most_5000_domains() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let numbers: Vec<String> = (1..5_000).map(|number| format!("({number})")).collect();
    let fill = format!(
        "INSERT INTO domains (directory, domain, reversed, state, rotations, rotation_day, create_time, revision)
        SELECT id, 'n' || v.column1 || '.example', 'example.n' || v.column1, 'PENDING', 0, 0, 0, 1
        FROM directories, (VALUES {}) AS v",
        numbers.join(", ")
    );
    world.execute(&fill).await;
    let refused = world.add(&directory, "contoso.com").await.unwrap_err();
    assert_eq!((told(&refused).0, told(&refused).1.as_str()), (Code::ResourceExhausted, "DOMAIN_QUOTA"));
    assert_eq!(told(&refused).2["limit"], "5000");
    // What is there is answered all the same.
    world.add(&directory, "n1.example").await.unwrap();
    world.remove(&format!("{directory}/domains/n1.example")).await.unwrap();
    world.add(&directory, "contoso.com").await.unwrap();
}

#[tokio::test]
async fn domains_are_listed_in_pages_oldest_first() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let foreign = world.active("fabrikam").await.name;
    world.add(&foreign, "fabrikam.com").await.unwrap();
    for (domain, seconds) in [("b.example", 1), ("a.example", 0), ("c.example", 1)] {
        world.clock.advance(Duration::from_secs(seconds));
        world.add(&directory, domain).await.unwrap();
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = ListDomainsRequest { parent: directory.clone(), page_size: 3, page_token };
        let page = world.domains().list_domains(world.member(&directory, message)).await.unwrap();
        let page = page.into_inner();
        listed.extend(page.domains);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let names: Vec<_> = listed.iter().map(|domain| domain.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["contoso.tenure.internal", "a.example", "b.example", "c.example"]);
    assert!(listed[0].initial && listed[0].primary && listed[0].state() == DomainState::Verified);
    assert!(listed[1..].iter().all(|domain| !domain.initial && !domain.primary));
}

#[tokio::test]
async fn d_14_domains_are_written_by_whom_identity_allows_and_read_by_members() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let foreign = world.active("fabrikam").await.name;
    let added = world.add(&directory, "contoso.com").await.unwrap();
    assert_eq!(
        world.identity.script(|script| script.asked.clone()),
        ["microsoft.directory/domains/allProperties/update"]
    );
    world.get(&added.name).await.unwrap();
    assert_eq!(
        world.identity.script(|script| script.asked.clone()),
        ["microsoft.directory/domains/standard/read"]
    );
    // P-11: a foreign directory's domains, present and absent alike.
    for name in [added.name.clone(), format!("{directory}/domains/absent.example")] {
        let read = GetDomainRequest { name: name.clone() };
        let verify = VerifyDomainRequest { name, ..VerifyDomainRequest::default() };
        let read = world.domains().get_domain(world.member(&foreign, read)).await;
        let verify = world.domains().verify_domain(world.member(&foreign, verify)).await;
        assert_eq!((reason(read), reason(verify)), ("PERMISSION_DENIED".into(), "PERMISSION_DENIED".into()));
    }
    world.identity.script(|script| script.denial = Some(DenialReason::RoleMissing));
    let refused = world.add(&directory, "contoso.net").await.unwrap_err();
    let (code, _, metadata) = told(&refused);
    assert_eq!(code, Code::PermissionDenied);
    assert_eq!(metadata["roles"], "domain-name-administrator,global-administrator");
    for denied in [world.verify(&added.name).await, world.rotate(&added.name).await] {
        assert_eq!(reason(denied), "PERMISSION_DENIED");
    }
    assert_eq!(reason(world.remove(&added.name).await), "PERMISSION_DENIED");
    assert_eq!(world.asked(), 0, "DNS is asked for nobody who may not");
}
