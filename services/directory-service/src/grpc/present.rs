//! From the domain's values to messages; nothing is decided here.

use api::directory::v1::directory::State as WireState;
use api::directory::v1::{self, DirectorySettings, DomainCheckResult, DomainState, DomainVerification};
use kernel::{DirectoryId, Etag};
use runtime::wire::timestamp;

use crate::domain::directory::{AgreementType, Directory, State};
use crate::domain::directory_domain::{CheckResult, Domain, Seen, State as StateOfDomain};
use crate::domain::lien::{Blocker, Lien};

/// A directory.
pub(super) fn directory(directory: Directory) -> v1::Directory {
    let settings = DirectorySettings {
        members_may_create_subscriptions: Some(directory.settings.members_may_create_subscriptions),
    };
    v1::Directory {
        name: format!("directories/{}", directory.id),
        uid: directory.id.to_string(),
        display_name: directory.display_name,
        initial_domain: directory.initial_domain.into(),
        primary_domain: directory.primary_domain.into(),
        region_code: directory.region_code.into(),
        state: state(directory.state).into(),
        agreement_type: agreement_type(directory.agreement_type).into(),
        settings: Some(settings),
        create_time: Some(timestamp(directory.create_time)),
        update_time: Some(timestamp(directory.update_time)),
        etag: Etag::of(directory.revision).into(),
        revision: directory.revision,
    }
}

/// A directory's state.
pub(super) const fn state(state: State) -> WireState {
    match state {
        State::Provisioning => WireState::Provisioning,
        State::Active => WireState::Active,
        State::Suspending => WireState::Suspending,
        State::Suspended => WireState::Suspended,
        State::Deleting => WireState::Deleting,
        State::Deleted => WireState::Deleted,
    }
}

const fn agreement_type(agreement: AgreementType) -> v1::AgreementType {
    match agreement {
        AgreementType::SelfService => v1::AgreementType::SelfService,
        AgreementType::Enterprise => v1::AgreementType::Enterprise,
    }
}

/// A domain of a directory.
pub(super) fn domain(seen: Seen) -> v1::Domain {
    let Seen { directory, domain, initial, primary } = seen;
    v1::Domain {
        name: format!("directories/{directory}/domains/{}", domain.name),
        state: domain_state(domain.state).into(),
        initial,
        primary,
        verification: verification(&domain),
        create_time: Some(timestamp(domain.create_time)),
        verify_time: domain.verify_time.map(timestamp),
        etag: Etag::of(domain.revision).into(),
        revision: domain.revision,
    }
}

fn verification(domain: &Domain) -> Option<DomainVerification> {
    let challenge = domain.challenge.as_ref()?;
    let result = domain.last_check.map_or(DomainCheckResult::Unspecified, |check| match check.result {
        CheckResult::RecordMissing => DomainCheckResult::RecordMissing,
        CheckResult::RecordMismatch => DomainCheckResult::RecordMismatch,
        CheckResult::DnsUnavailable => DomainCheckResult::DnsUnavailable,
    });
    Some(DomainVerification {
        record_type: "TXT".to_owned(),
        record_name: domain.name.to_string(),
        record_value: challenge.record_value.clone(),
        expire_time: Some(timestamp(challenge.expire_time)),
        last_check_time: domain.last_check.map(|check| timestamp(check.time)),
        last_check_result: result.into(),
    })
}

const fn domain_state(state: StateOfDomain) -> DomainState {
    match state {
        StateOfDomain::Pending => DomainState::Pending,
        StateOfDomain::Verified => DomainState::Verified,
        StateOfDomain::Failed => DomainState::Failed,
    }
}

/// A lien of a directory.
pub(super) fn lien(directory: DirectoryId, lien: Lien) -> v1::Lien {
    let claim = lien.claim;
    v1::Lien {
        name: format!("directories/{directory}/liens/{}", lien.id),
        resource: claim.guarded.name_in(directory),
        restrictions: claim.restrictions.iter().map(|restriction| restriction.as_str().to_owned()).collect(),
        reason: claim.reason,
        origin: claim.origin,
        holder: claim.holder,
        revision: claim.revision,
        blockers: claim.blockers.into_iter().map(blocker).collect(),
        blocker_count: claim.blocker_count,
        create_time: Some(timestamp(lien.create_time)),
        create_principal: lien.create_principal,
    }
}

fn blocker(blocker: Blocker) -> v1::Blocker {
    v1::Blocker {
        resource: blocker.resource,
        state: blocker.state,
        earliest_clear_time: blocker.earliest_clear_time.map(timestamp),
    }
}
