//! directory-service: what a directory is; every failure means that nothing happens (P-3).

use access::Service;
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::{AgreementType, Directory, GetDirectoryRequest};
use kernel::{DirectoryId, Refusal};
use runtime::peer::{Peer, PeerError};

use crate::domain::directory::DirectoryFacts;
use crate::domain::refused::Refused;

/// directory-service, asked as subscription-service.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryService {
    peer: Peer,
}

impl DirectoryService {
    pub(crate) const fn new(peer: Peer) -> Self {
        Self { peer }
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
