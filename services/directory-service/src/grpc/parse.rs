//! From messages to commands (S2): all violations at once; rules that need state stand in `domain/`.

use std::collections::BTreeSet;

use api::directory::v1::{
    self, CreateDirectoryRequest, CreateDomainRequest, CreateLienRequest, DeleteDomainRequest,
    DeleteLienRequest, ErrorReason, ListDomainsRequest, ListLiensRequest,
};
use kernel::{DirectoryId, Etag, LienId, Parsed, RegionCode, Violations};
use runtime::page_token::page_size;
use runtime::wire::read_timestamp;

use super::status::reason;
use crate::domain::directory::{AgreementType, NewDirectory, Settings};
use crate::domain::domain_name::{DomainName, DomainSuffix, NotAddable};
use crate::domain::lien::{Blocker, Claim, Guarded, MOST_BLOCKERS, Restriction};
use crate::use_cases::{CreateLien, DeleteDomain, DeleteLien, DomainOf, Page};

const DIRECTORY: &str = "directories/*";
const LIEN: &str = "directories/*/liens/*";
const DOMAIN: &str = "directories/*/domains/*";

const MOST_DISPLAY_NAME: usize = 256;
const MOST_LIEN_TEXT: usize = 200;
const MOST_BLOCKER_STATE: usize = 64;

/// Why the values are there once nothing was wrong.
const COMPLETE: &str = "a value is missing only where a violation was noted";

pub(super) fn create_directory(
    message: CreateDirectoryRequest,
    suffix: &DomainSuffix,
) -> Parsed<NewDirectory> {
    let mut violations = Violations::new();
    violations.request_id(&message.request_id);
    let initial_domain =
        violations.take("initial_domain_label", suffix.initial_domain(&message.initial_domain_label));
    // A missing one is told by its missing fields.
    let directory = message.directory.unwrap_or_default();
    let display_name =
        violations.display_text("directory.display_name", &directory.display_name, MOST_DISPLAY_NAME);
    // D-02: where nothing is said, it is the United States.
    let region_code = match directory.region_code.as_str() {
        "" => Some(RegionCode::UNITED_STATES),
        code => violations.text("directory.region_code", code),
    };
    let agreement_type = agreement_type(&mut violations, directory.agreement_type);
    let said = directory.settings.and_then(|settings| settings.members_may_create_subscriptions);
    violations.finish()?;
    Ok(NewDirectory {
        display_name: display_name.expect(COMPLETE),
        initial_domain: initial_domain.expect(COMPLETE),
        region_code: region_code.expect(COMPLETE),
        agreement_type: agreement_type.expect(COMPLETE),
        // The text of 2020: no administrator right is needed, unless the directory says so (S-05).
        settings: Settings { members_may_create_subscriptions: said.unwrap_or(true) },
    })
}

fn agreement_type(violations: &mut Violations, number: i32) -> Option<AgreementType> {
    match v1::AgreementType::try_from(number) {
        Ok(v1::AgreementType::Unspecified | v1::AgreementType::SelfService) => {
            Some(AgreementType::SelfService)
        }
        Ok(v1::AgreementType::Enterprise) => Some(AgreementType::Enterprise),
        Err(_) => {
            violations.add("directory.agreement_type", "is not a value of AgreementType");
            None
        }
    }
}

pub(super) fn directory_to_change(name: &str, request_id: &str) -> Parsed<DirectoryId> {
    let mut violations = Violations::new();
    let id = violations.name("name", name, DIRECTORY);
    violations.request_id(request_id);
    violations.finish()?;
    Ok(id.expect(COMPLETE))
}

pub(super) fn directory_name(field: &str, name: &str) -> Parsed<DirectoryId> {
    let mut violations = Violations::new();
    let id = violations.name(field, name, DIRECTORY);
    violations.finish()?;
    Ok(id.expect(COMPLETE))
}

pub(super) fn domain(text: &str) -> Parsed<DomainName> {
    let mut violations = Violations::new();
    let domain = violations.text("domain", text);
    violations.finish()?;
    Ok(domain.expect(COMPLETE))
}

pub(super) fn create_domain(message: &CreateDomainRequest, suffix: &DomainSuffix) -> Parsed<DomainOf> {
    let mut violations = Violations::new();
    let directory = violations.name("parent", &message.parent, DIRECTORY);
    violations.request_id(&message.request_id);
    let name = DomainName::to_add(&message.domain_id, suffix).map_err(|wrong| {
        let told = match wrong {
            NotAddable::PublicSuffix => ErrorReason::PublicSuffix,
            NotAddable::Name | NotAddable::Address | NotAddable::OwnSuffix => ErrorReason::DomainInvalid,
        };
        violations.add_reason("domain_id", wrong.to_string(), reason(told));
    });
    violations.finish()?;
    Ok(DomainOf { directory: directory.expect(COMPLETE), name: name.expect(COMPLETE) })
}

pub(super) fn domain_name(name: &str) -> Parsed<DomainOf> {
    domain_to_change(name, "")
}

pub(super) fn domain_to_change(name: &str, request_id: &str) -> Parsed<DomainOf> {
    let mut violations = Violations::new();
    let named = violations.nested_name("name", name, DOMAIN);
    violations.request_id(request_id);
    violations.finish()?;
    let (directory, name) = named.expect(COMPLETE);
    Ok(DomainOf { directory, name })
}

pub(super) fn delete_domain(message: DeleteDomainRequest) -> Parsed<DeleteDomain> {
    let domain = domain_to_change(&message.name, &message.request_id)?;
    Ok(DeleteDomain { domain, etag: Etag::received(message.etag), allow_missing: message.allow_missing })
}

pub(super) fn list_domains(message: ListDomainsRequest) -> Parsed<(DirectoryId, Page)> {
    in_pages(&message.parent, message.page_size, message.page_token)
}

pub(super) fn page(size: i32, token: String) -> Parsed<Page> {
    let mut violations = Violations::new();
    let size = page_size(&mut violations, size);
    violations.finish()?;
    Ok(Page { size: size.expect(COMPLETE), token })
}

pub(super) fn lien_name(name: &str) -> Parsed<(DirectoryId, LienId)> {
    let mut violations = Violations::new();
    let ids = violations.nested_name("name", name, LIEN);
    violations.finish()?;
    Ok(ids.expect(COMPLETE))
}

pub(super) fn list_liens(message: ListLiensRequest) -> Parsed<(DirectoryId, Page)> {
    in_pages(&message.parent, message.page_size, message.page_token)
}

fn in_pages(parent: &str, size: i32, token: String) -> Parsed<(DirectoryId, Page)> {
    let mut violations = Violations::new();
    let directory = violations.name("parent", parent, DIRECTORY);
    let size = page_size(&mut violations, size);
    violations.finish()?;
    Ok((directory.expect(COMPLETE), Page { size: size.expect(COMPLETE), token }))
}

pub(super) fn delete_lien(message: &DeleteLienRequest) -> Parsed<DeleteLien> {
    let mut violations = Violations::new();
    let ids = violations.nested_name("name", &message.name, LIEN);
    violations.request_id(&message.request_id);
    violations.finish()?;
    let (directory, lien) = ids.expect(COMPLETE);
    Ok(DeleteLien { directory, lien, allow_missing: message.allow_missing })
}

pub(super) fn create_lien(message: CreateLienRequest) -> Parsed<CreateLien> {
    let mut violations = Violations::new();
    violations.request_id(&message.request_id);
    let directory = violations.name("parent", &message.parent, DIRECTORY);
    // A missing one is told by its missing fields.
    let lien = message.lien.unwrap_or_default();
    let guarded = guarded(&mut violations, directory, &lien.resource);
    let unknown = unknown_restrictions(&lien.restrictions);
    let restrictions = restrictions(&mut violations, &lien.restrictions, &unknown);
    let reason = violations.display_text("lien.reason", &lien.reason, MOST_LIEN_TEXT);
    let origin = violations.display_text("lien.origin", &lien.origin, MOST_LIEN_TEXT);
    let holder = violations.optional_text("lien.holder", &lien.holder, MOST_LIEN_TEXT);
    if lien.revision < 0 {
        violations.add("lien.revision", "must not be negative");
    }
    let blockers = blockers(&mut violations, lien.blockers);
    let blocker_count = blocker_count(&mut violations, lien.blocker_count, blockers.len());
    violations.finish().map_err(|refusal| {
        let told = refusal.reason().as_str() == ErrorReason::RestrictionUnknown.reason();
        if told { refusal.with("restriction", unknown.join(",")) } else { refusal }
    })?;
    let claim = Claim {
        guarded: guarded.expect(COMPLETE),
        restrictions,
        reason: reason.expect(COMPLETE),
        origin: origin.expect(COMPLETE),
        holder: holder.expect(COMPLETE),
        revision: lien.revision,
        blockers,
        blocker_count: blocker_count.expect(COMPLETE),
    };
    Ok(CreateLien { directory: directory.expect(COMPLETE), claim })
}

/// The directory of the parent, or one of its domains; nothing of another directory (K9).
fn guarded(violations: &mut Violations, parent: Option<DirectoryId>, resource: &str) -> Option<Guarded> {
    let named = guarded_in(resource);
    // A wrong parent is told already: what would fit it cannot be said.
    let fits = named.as_ref().is_some_and(|(directory, _)| parent.is_none_or(|parent| parent == *directory));
    if !fits {
        violations.add("lien.resource", "must be the parent, or one of its domains in lower case");
    }
    named.map(|(_, guarded)| guarded)
}

/// What a resource name guards, and in which directory.
fn guarded_in(resource: &str) -> Option<(DirectoryId, Guarded)> {
    let mut form = Violations::new();
    if let Some(directory) = form.name("lien.resource", resource, DIRECTORY) {
        return Some((directory, Guarded::Directory));
    }
    let (directory, domain) = form.nested_name::<_, DomainName>("lien.resource", resource, DOMAIN)?;
    resource.ends_with(domain.as_str()).then_some((directory, Guarded::Domain(domain)))
}

fn unknown_restrictions(names: &[String]) -> Vec<String> {
    let unknown: BTreeSet<&String> = names.iter().filter(|name| Restriction::named(name).is_none()).collect();
    unknown.into_iter().take(MOST_BLOCKERS).map(|name| name.chars().take(MOST_LIEN_TEXT).collect()).collect()
}

fn restrictions(violations: &mut Violations, names: &[String], unknown: &[String]) -> BTreeSet<Restriction> {
    let field = "lien.restrictions";
    if names.is_empty() {
        violations.add(field, "must have at least one entry");
    } else if !unknown.is_empty() {
        let known: Vec<&str> = Restriction::ALL.iter().map(|restriction| restriction.as_str()).collect();
        let description = format!("knows {} only", known.join(" and "));
        violations.add_reason(field, description, reason(ErrorReason::RestrictionUnknown));
    }
    names.iter().filter_map(|name| Restriction::named(name)).collect()
}

fn blockers(violations: &mut Violations, messages: Vec<v1::Blocker>) -> Vec<Blocker> {
    if messages.len() > MOST_BLOCKERS {
        violations.add("lien.blockers", format!("must have at most {MOST_BLOCKERS} entries"));
        return Vec::new();
    }
    let read = messages.into_iter().enumerate().filter_map(|(index, message)| {
        let field = |name: &str| format!("lien.blockers[{index}].{name}");
        let resource = violations.display_text(&field("resource"), &message.resource, MOST_LIEN_TEXT);
        let state = violations.optional_text(&field("state"), &message.state, MOST_BLOCKER_STATE);
        let earliest_clear_time = message.earliest_clear_time.and_then(|stamp| {
            let time = read_timestamp(stamp);
            if time.is_none() {
                violations.add(&field("earliest_clear_time"), "is not a timestamp");
            }
            time
        });
        Some(Blocker { resource: resource?, state: state?, earliest_clear_time })
    });
    read.collect()
}

/// Zero counts the listed ones; what is listed is counted at least.
fn blocker_count(violations: &mut Violations, said: i32, listed: usize) -> Option<i32> {
    let listed = i32::try_from(listed).expect("no more than are listed at most");
    match said {
        0 => Some(listed),
        said if said >= listed => Some(said),
        _ => {
            violations.add("lien.blocker_count", "must be at least as many as are listed");
            None
        }
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
