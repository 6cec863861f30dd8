//! directory-service: what a directory is, and the lien that guards it; every failure means that nothing happens (P-3).

use access::Service;
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::lien_service_client::LienServiceClient;
use api::directory::v1::{
    AgreementType, CreateLienRequest, DeleteLienRequest, Directory, GetDirectoryRequest, Lien,
};
use kernel::{DirectoryId, LienId, Refusal};
use runtime::peer::{Peer, PeerError};

use crate::domain::directory::DirectoryFacts;
use crate::domain::refused::Refused;

/// What a lien of ours forbids.
const RESTRICTION: &str = "directory.directories.delete";
/// Under which name we take liens.
const ORIGIN: &str = "subscription-service";
/// Why, for whoever wants to delete the directory.
const LIEN_REASON: &str = "The directory has subscriptions.";

/// What directory-service says of the lien of a revision.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LienAnswer {
    /// It stands, or one of a higher revision in its place.
    Stands(LienId),
    /// Liens up to a revision were removed, and do not come back.
    Removed { up_to: i64 },
}

/// directory-service, asked as subscription-service.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryService {
    peer: Peer,
}

impl DirectoryService {
    pub(crate) const fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// The transport itself, for whoever follows the feed.
    pub(crate) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// The directory as it is now.
    pub(crate) async fn directory(&self, id: DirectoryId) -> Result<DirectoryFacts, Refused> {
        let name = format!("directories/{id}");
        let response = DirectoryServiceClient::new(self.peer.clone())
            .get_directory(GetDirectoryRequest { name })
            .await
            .map_err(|status| unavailable(&PeerError::from(status)))?;
        let directory = response.into_inner().directory;
        directory.and_then(|directory| facts(id, directory)).ok_or_else(|| unfitting().into())
    }

    /// Takes the lien of a revision on a directory; equal revisions give the same one (K11).
    pub(crate) async fn take_lien(&self, id: DirectoryId, revision: i64) -> Result<LienAnswer, Refused> {
        let directory = format!("directories/{id}");
        let lien = Lien {
            resource: directory.clone(),
            restrictions: vec![RESTRICTION.to_owned()],
            reason: LIEN_REASON.to_owned(),
            origin: ORIGIN.to_owned(),
            revision,
            ..Lien::default()
        };
        let request =
            CreateLienRequest { parent: directory.clone(), lien: Some(lien), request_id: String::new() };
        let response = LienServiceClient::new(self.peer.clone()).create_lien(request).await;
        let lien = match response.map_err(PeerError::from) {
            Ok(response) => response.into_inner().lien,
            Err(error) if error.is("DIRECTORY_NOT_ACTIVE") => {
                let state = error.metadata.get("state").cloned().unwrap_or_default();
                return Err(Refused::DirectoryNotActive { directory: id, state });
            }
            Err(error) if error.is("LIEN_REMOVED") => {
                let up_to = error.metadata.get("removed_revision").and_then(|text| text.parse().ok());
                let removed = up_to.map(|up_to| LienAnswer::Removed { up_to });
                return removed.ok_or_else(|| unfitting().into());
            }
            Err(error) => return Err(unavailable(&error).into()),
        };
        let stands = lien.filter(|lien| lien.resource == directory).and_then(|lien| {
            let id = lien.name.strip_prefix(&directory)?.strip_prefix("/liens/")?.parse().ok()?;
            Some(LienAnswer::Stands(id))
        });
        stands.ok_or_else(|| unfitting().into())
    }

    /// Lets a lien go; one that is gone already is no trouble.
    pub(crate) async fn release_lien(&self, directory: DirectoryId, lien: LienId) -> Result<(), Refused> {
        let name = format!("directories/{directory}/liens/{lien}");
        let request = DeleteLienRequest { name, allow_missing: true, request_id: String::new() };
        LienServiceClient::new(self.peer.clone())
            .delete_lien(request)
            .await
            .map_err(|status| unavailable(&PeerError::from(status)))?;
        Ok(())
    }
}

/// What we need of a directory, if the answer is about the one that was asked for and says what it must.
fn facts(id: DirectoryId, directory: Directory) -> Option<DirectoryFacts> {
    let is_enterprise = match directory.agreement_type() {
        AgreementType::Unspecified => return None,
        AgreementType::SelfService => false,
        AgreementType::Enterprise => true,
    };
    let state = State::try_from(directory.state).ok().filter(|state| *state != State::Unspecified)?;
    if directory.name != format!("directories/{id}") {
        return None;
    }
    let settings = directory.settings?;
    Some(DirectoryFacts {
        id,
        display_name: directory.display_name,
        primary_domain: directory.primary_domain,
        state: state.as_str_name().to_owned(),
        revision: directory.revision,
        is_active: state == State::Active,
        is_enterprise,
        members_may_create_subscriptions: settings.members_may_create_subscriptions?,
    })
}

fn unavailable(error: &PeerError) -> Refusal {
    error.unavailable(Service::Directory)
}

fn unfitting() -> Refusal {
    tracing::error!("directory-service's answer does not fit the question");
    Refusal::dependency_unavailable(Service::Directory.as_str())
}
