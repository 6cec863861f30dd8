//! From the domain's values to messages; nothing is decided here.

use api::directory::v1::directory::State as WireState;
use api::directory::v1::{self, DeleteDirectoryResponse, DirectorySettings};
use kernel::{DirectoryId, Etag};
use runtime::wire::timestamp;

use crate::domain::directory::{AgreementType, Directory, State};
use crate::domain::lien::{Blocker, Lien};
use crate::use_cases::Preflight;

/// A directory.
pub(super) fn directory(directory: Directory) -> v1::Directory {
    let settings = DirectorySettings {
        members_may_create_subscriptions: Some(directory.settings.members_may_create_subscriptions),
        subscriptions_may_leave: Some(directory.settings.subscriptions_may_leave),
        subscriptions_may_enter: Some(directory.settings.subscriptions_may_enter),
        exempted_principals: directory.settings.exempted_principals.iter().map(ToString::to_string).collect(),
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
        language_code: directory.language_code,
        labels: directory.labels,
        delete_time: directory.delete_time.map(timestamp),
        purge_time: directory.purge_time.map(timestamp),
        state_reason: directory.state_reason,
    }
}

/// What a deletion would meet; nothing where there is no directory.
pub(super) fn preflight(preflight: Option<Preflight>) -> DeleteDirectoryResponse {
    let Some(Preflight { directory: found, liens, count }) = preflight else {
        return DeleteDirectoryResponse::default();
    };
    let id = found.id;
    let blockers = liens.iter().map(|lien| i64::from(lien.claim.blocker_count)).sum::<i64>();
    DeleteDirectoryResponse {
        directory: Some(directory(found)),
        liens: liens.into_iter().map(|found| lien(id, found)).collect(),
        lien_count: i32::try_from(count).unwrap_or(i32::MAX),
        blocker_count: i32::try_from(blockers).unwrap_or(i32::MAX),
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
