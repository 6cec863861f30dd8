//! Domains are added and proven; DNS is scripted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::directory::v1::domain_service_client::DomainServiceClient;
use api::directory::v1::{
    CreateDomainRequest, DeleteDomainRequest, Domain, DomainCheckResult, DomainState, GetDomainRequest,
    ResolveDomainRequest, RotateDomainChallengeRequest, SetPrimaryDomainRequest, VerifyDomainRequest,
};
use database::on;
use kernel::new_ids;
use runtime::peer::Peer;
use sqlx::AssertSqlSafe;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::fake_dns::Zone;
use crate::{World, reason, told};

const WEEK: Duration = Duration::from_hours(7 * 24);

impl World {
    pub(crate) fn domains(&self) -> DomainServiceClient<Peer> {
        DomainServiceClient::new(self.peer.clone())
    }

    pub(crate) async fn add(&self, directory: &str, domain: &str) -> Result<Domain, Status> {
        let message = CreateDomainRequest {
            parent: directory.to_owned(),
            domain_id: domain.to_owned(),
            request_id: String::new(),
        };
        let answer = self.domains().create_domain(self.member(directory, message)).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn verify(&self, name: &str) -> Result<Domain, Status> {
        let message = VerifyDomainRequest { name: name.to_owned(), request_id: String::new() };
        let answer = self.domains().verify_domain(self.member(directory_of(name), message)).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn rotate(&self, name: &str) -> Result<Domain, Status> {
        let message = RotateDomainChallengeRequest { name: name.to_owned(), request_id: String::new() };
        let answer = self.domains().rotate_domain_challenge(self.member(directory_of(name), message)).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn set_primary(&self, name: &str) -> Result<Domain, Status> {
        let message = SetPrimaryDomainRequest { name: name.to_owned(), request_id: String::new() };
        let answer = self.domains().set_primary_domain(self.member(directory_of(name), message)).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Domain, Status> {
        let message = GetDomainRequest { name: name.to_owned() };
        let answer = self.domains().get_domain(self.member(directory_of(name), message)).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), Status> {
        let message = DeleteDomainRequest { name: name.to_owned(), ..DeleteDomainRequest::default() };
        self.domains().delete_domain(self.member(directory_of(name), message)).await.map(|_| ())
    }

    /// The directory that has a domain.
    pub(crate) async fn resolve(&self, domain: &str) -> Option<String> {
        let message = ResolveDomainRequest { domain: domain.to_owned() };
        let answer = self.domains().resolve_domain(self.identity(message)).await;
        answer.ok().map(|answer| answer.into_inner().directory)
    }

    /// A domain that is proven by its record.
    pub(crate) async fn proven(&self, directory: &str, domain: &str) -> Domain {
        let added = self.add(directory, domain).await.unwrap();
        self.dns.texts(domain, &[&record(&added)]);
        self.verify(&added.name).await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &str) {
        let mut tx = self.database.db.write().await.unwrap();
        on!(&mut tx, |c| sqlx::query(AssertSqlSafe(statement)).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        let mut tx = self.database.db.read().await.unwrap();
        let select = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {from}");
        on!(&mut tx, |c| sqlx::query_scalar(AssertSqlSafe(select)).fetch_one(c).await).unwrap()
    }

    pub(crate) fn asked(&self) -> usize {
        self.dns.asked.udp.load(Ordering::SeqCst)
    }
}

fn directory_of(name: &str) -> &str {
    name.split("/domains/").next().unwrap()
}

pub(crate) fn record(domain: &Domain) -> String {
    domain.verification.as_ref().unwrap().record_value.clone()
}

fn last_check(domain: &Domain) -> DomainCheckResult {
    domain.verification.as_ref().unwrap().last_check_result()
}

#[tokio::test]
async fn d_13_a_domain_is_added_proven_and_then_its_directorys() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let added = world.add(&directory, "MÜNCHEN.example").await.unwrap();
    let verification = added.verification.clone().unwrap();
    assert_eq!(added.name, format!("{directory}/domains/xn--mnchen-3ya.example"));
    assert_eq!((added.state(), added.initial, added.primary), (DomainState::Pending, false, false));
    assert_eq!(
        (verification.record_type.as_str(), verification.record_name.as_str()),
        ("TXT", "xn--mnchen-3ya.example")
    );
    let value = verification.record_value.strip_prefix("tenure-verification=").unwrap();
    assert!(value.len() == 26 && value.chars().all(|c| matches!(c, 'a'..='z' | '2'..='7')), "{value}");
    assert_eq!(world.resolve("xn--mnchen-3ya.example").await, None);
    // D-16: what is not verified is of no use.
    assert_eq!(reason(world.set_primary(&added.name).await), "DOMAIN_NOT_VERIFIED");
    world.dns.texts("xn--mnchen-3ya.example", &["v=spf1 -all", &verification.record_value]);
    let verified = world.verify(&added.name).await.unwrap();
    assert_eq!((verified.state(), verified.verification.as_ref()), (DomainState::Verified, None));
    assert!(verified.verify_time.is_some() && verified.etag != added.etag);
    assert_eq!(world.resolve("XN--mnchen-3ya.Example").await, Some(directory.clone()));
    assert_eq!(world.get(&added.name).await.unwrap(), verified);
    // What is so already is no change, and nobody asks DNS again.
    let (asked, changes) = (world.asked(), world.count("change_log").await);
    for again in [world.verify(&added.name).await, world.add(&directory, "münchen.example").await] {
        assert_eq!(again.unwrap(), verified);
    }
    assert_eq!(world.rotate(&added.name).await.unwrap(), verified);
    assert_eq!((world.asked(), world.count("change_log").await), (asked, changes));
}

#[tokio::test]
async fn d_16_whatever_dns_says_is_told_and_can_be_tried_again() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let added = world.add(&directory, "contoso.com").await.unwrap();
    let asked_for = record(&added);
    let text = |text: &str| Zone::Texts(vec![vec![text.to_owned()]]);
    let other = "tenure-verification=aaaaaaaaaaaaaaaaaaaaaaaaaa";
    let (missing, mismatch) = ("TXT_RECORD_MISSING", "TXT_RECORD_MISMATCH");
    // No such name at all.
    assert_eq!(reason(world.verify(&added.name).await), missing);
    for (zone, expected) in [
        (Zone::Texts(Vec::new()), missing),
        (text("v=spf1 -all"), missing),
        (Zone::Alias("nowhere.example".to_owned()), missing),
        (text(other), mismatch),
        (text(&asked_for.to_uppercase().replace("TENURE-VERIFICATION", "tenure-verification")), mismatch),
    ] {
        world.dns.set("contoso.com", zone.clone());
        let refused = world.verify(&added.name).await.unwrap_err();
        let (code, reason, metadata) = told(&refused);
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, expected), "{zone:?}");
        assert_eq!(
            (metadata["record_name"].as_str(), &metadata["record_value"]),
            ("contoso.com", &asked_for)
        );
        assert_eq!(world.get(&added.name).await.unwrap().state(), DomainState::Failed);
    }
    let failed = world.get(&added.name).await.unwrap();
    assert_eq!(last_check(&failed), DomainCheckResult::RecordMismatch);
    assert!(failed.verification.unwrap().last_check_time.is_some());
    world.dns.set("contoso.com", Zone::ServFail);
    let refused = world.verify(&added.name).await.unwrap_err();
    assert_eq!((told(&refused).0, told(&refused).1.as_str()), (Code::Unavailable, "DNS_UNAVAILABLE"));
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!(last_check(&world.get(&added.name).await.unwrap()), DomainCheckResult::DnsUnavailable);
    assert_eq!(world.resolve("contoso.com").await, None);
    world.dns.set("contoso.com", text(&asked_for));
    assert_eq!(world.verify(&added.name).await.unwrap().state(), DomainState::Verified);
}

#[tokio::test]
async fn a_record_is_found_in_parts_behind_an_alias_and_among_4_kib_of_others() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let parts = |value: &str| {
        let (first, second) = value.split_at(25);
        Zone::Texts(vec![vec!["v=spf1 -all".to_owned()], vec![first.to_owned(), second.to_owned()]])
    };
    let added = world.add(&directory, "parts.example").await.unwrap();
    world.dns.set("parts.example", parts(&record(&added)));
    world.verify(&added.name).await.unwrap();
    let added = world.add(&directory, "alias.example").await.unwrap();
    world.dns.set("alias.example", Zone::Alias("target.example".to_owned()));
    world.dns.set("target.example", parts(&record(&added)));
    world.verify(&added.name).await.unwrap();
    assert_eq!(world.dns.asked.tcp.load(Ordering::SeqCst), 0);
    let added = world.add(&directory, "large.example").await.unwrap();
    let mut records: Vec<_> = (0..20).map(|n| vec![format!("{n} {}", "x".repeat(200))]).collect();
    records.push(vec![record(&added)]);
    world.dns.set("large.example", Zone::Texts(records));
    world.verify(&added.name).await.unwrap();
    assert!(world.dns.asked.tcp.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_silent_name_server_is_told_within_the_callers_deadline() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let added = world.add(&directory, "contoso.com").await.unwrap();
    world.dns.set("contoso.com", Zone::Silence);
    let mut request =
        world.member(&directory, VerifyDomainRequest { name: added.name.clone(), ..Default::default() });
    request.set_timeout(Duration::from_secs(2));
    let refused = world.domains().verify_domain(request).await;
    assert_eq!(reason(refused), "DNS_UNAVAILABLE");
    let silent = world.get(&added.name).await.unwrap();
    assert_eq!(
        (silent.state(), last_check(&silent)),
        (DomainState::Pending, DomainCheckResult::DnsUnavailable)
    );
}

#[tokio::test]
async fn k_23_a_challenge_stays_for_a_week_and_is_replaced_five_times_a_day() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let added = world.add(&directory, "contoso.com").await.unwrap();
    world.clock.advance(WEEK - Duration::from_secs(1));
    assert_eq!(world.add(&directory, "contoso.com").await.unwrap(), added);
    world.clock.advance(Duration::from_secs(1));
    world.dns.texts("contoso.com", &[&record(&added)]);
    let asked = world.asked();
    assert_eq!(reason(world.verify(&added.name).await), "CHALLENGE_EXPIRED");
    assert_eq!(world.asked(), asked, "nobody asks for what proves nothing");
    let mut seen = vec![record(&added)];
    for _ in 0..5 {
        let rotated = world.rotate(&added.name).await.unwrap();
        // At the same moment the bits are the same; the wall clock does not stand still.
        world.clock.advance(Duration::from_secs(1));
        assert!(!seen.contains(&record(&rotated)));
        seen.push(record(&rotated));
    }
    let refused = world.rotate(&added.name).await.unwrap_err();
    assert_eq!((told(&refused).0, told(&refused).1.as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert!(refused.get_details_quota_failure().is_some());
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait <= Duration::from_hours(24));
    // The one before proves nothing.
    world.dns.texts("contoso.com", &[&seen[4]]);
    assert_eq!(reason(world.verify(&added.name).await), "TXT_RECORD_MISMATCH");
    world.clock.advance(wait);
    let rotated = world.rotate(&added.name).await.unwrap();
    world.dns.texts("contoso.com", &[&record(&rotated)]);
    world.verify(&added.name).await.unwrap();
}

#[tokio::test]
async fn p_9_a_retry_of_what_failed_looks_again_and_of_what_succeeded_does_not() {
    let world = World::new().await;
    let directory = world.active("contoso").await.name;
    let added = world.add(&directory, "contoso.com").await.unwrap();
    let verify = || {
        let request_id = new_ids::derive(&["verify"]).to_string();
        let message = VerifyDomainRequest { name: added.name.clone(), request_id };
        let (mut domains, request) = (world.domains(), world.member(&directory, message));
        async move { domains.verify_domain(request).await.map(tonic::Response::into_inner) }
    };
    assert_eq!(reason(verify().await), "TXT_RECORD_MISSING");
    world.dns.texts("contoso.com", &[&record(&added)]);
    let verified = verify().await.unwrap();
    let asked = world.asked();
    world.dns.texts("contoso.com", &[]);
    assert_eq!((verify().await.unwrap(), world.asked()), (verified, asked));
}

/// The naive way: look whether somebody has it, and if nobody has, say that one has it oneself.
async fn verify_naively(world: &World, directory: &str, both_looked: &tokio::sync::Barrier) {
    let select =
        "SELECT CAST(COUNT(*) AS BIGINT) FROM domains WHERE domain = 'naive.example' AND state = 'VERIFIED'";
    let mut tx = world.database.db.read().await.unwrap();
    let others: i64 = on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).unwrap();
    drop(tx);
    both_looked.wait().await;
    if others == 0 {
        let id: uuid::Uuid = directory["directories/".len()..].parse().unwrap();
        let update =
            "UPDATE domains SET state = 'VERIFIED' WHERE domain = 'naive.example' AND directory = $1";
        let mut tx = world.database.db.write().await.unwrap();
        on!(&mut tx, |c| sqlx::query(update).bind(id).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d_15_of_all_directories_that_prove_a_domain_at_once_one_has_it() {
    let world = Arc::new(World::new().await);
    let mut directories = Vec::new();
    for label in ["contoso", "fabrikam", "tailspin", "adatum"] {
        directories.push(world.active(label).await.name);
    }
    for directory in &directories[..2] {
        world.add(directory, "naive.example").await.unwrap();
    }
    let both_looked = tokio::sync::Barrier::new(2);
    tokio::join!(
        verify_naively(&world, &directories[0], &both_looked),
        verify_naively(&world, &directories[1], &both_looked)
    );
    assert_eq!(world.count("domains WHERE domain = 'naive.example' AND state = 'VERIFIED'").await, 2);
    for round in 0..5 {
        let domain = format!("round{round}.example");
        let (mut names, mut records) = (Vec::new(), Vec::new());
        for directory in &directories {
            let added = world.add(directory, &domain).await.unwrap();
            records.push(record(&added));
            names.push(added.name);
        }
        records.dedup();
        assert_eq!(records.len(), directories.len(), "each directory proves it by a record of its own");
        world.dns.texts(&domain, &records.iter().map(String::as_str).collect::<Vec<_>>());
        let mut running = tokio::task::JoinSet::new();
        for name in names {
            let world = Arc::clone(&world);
            running.spawn(async move { (directory_of(&name).to_owned(), world.verify(&name).await) });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            running.join_all().await.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1);
        assert_eq!(world.resolve(&domain).await.as_ref(), Some(&won[0].0));
        for (_, outcome) in lost {
            let (code, reason, metadata) = told(&outcome.unwrap_err());
            assert_eq!((code, reason.as_str()), (Code::AlreadyExists, "DOMAIN_VERIFIED_ELSEWHERE"));
            // K33: nothing of who has it.
            assert_eq!(metadata.keys().collect::<Vec<_>>(), ["domain"]);
        }
        let verified = format!("domains WHERE domain = '{domain}' AND state = 'VERIFIED'");
        assert_eq!(world.count(&verified).await, 1);
    }
}
