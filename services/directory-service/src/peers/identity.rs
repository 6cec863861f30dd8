//! identity-service, asked for memberships and told what can be done in a directory; rights are asked through
//! `runtime::judge`.

use std::collections::BTreeSet;

use access::Service;
use api::identity::v1::directory_state_service_client::DirectoryStateServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{ApplyDirectoryStateRequest, DirectoryState, ListMembershipsRequest};
use kernel::{DirectoryId, Principal, Refusal};
use runtime::peer::{Peer, PeerError};

use crate::domain::life_cycle::Goal;

/// As many as one page of identity's can have.
const PAGE: i32 = 1000;
/// A person belongs to at most 500 directories, which fit one page; an answer that goes on and on does not fit.
const MOST_PAGES: usize = 10;

/// identity-service as this context sees it.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Peer);

impl Identity {
    /// Speaks through `peer`, which already speaks as this service.
    pub(crate) const fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// The directories that the principal belongs to, as a member or as a guest; a service account to its own alone.
    pub(crate) async fn memberships(&self, principal: &Principal) -> Result<BTreeSet<DirectoryId>, Refusal> {
        if principal.user().is_none() {
            return Ok([principal.directory()].into());
        }
        let mut client = UserServiceClient::new(self.0.clone());
        let mut request = ListMembershipsRequest {
            user: principal.to_string(),
            page_size: PAGE,
            page_token: String::new(),
        };
        let mut directories = BTreeSet::new();
        for _ in 0..MOST_PAGES {
            let answer = client
                .list_memberships(request.clone())
                .await
                .map_err(|status| PeerError::of(status).unavailable(Service::Identity))?
                .into_inner();
            for membership in &answer.memberships {
                directories
                    .insert(directory_of(&membership.directory).ok_or_else(|| unfitting("memberships"))?);
            }
            if answer.next_page_token.is_empty() {
                return Ok(directories);
            }
            request.page_token = answer.next_page_token;
        }
        Err(unfitting("memberships"))
    }

    /// Tells what can be done in a directory; from the answer on, identity acts on it, or on a higher revision (K2).
    pub(crate) async fn apply_directory_state(
        &self,
        directory: DirectoryId,
        goal: Goal,
        revision: i64,
    ) -> Result<(), Refusal> {
        let state = match goal {
            Goal::Active => DirectoryState::Active,
            Goal::Suspended => DirectoryState::Suspended,
            Goal::Deleted => DirectoryState::Deleted,
        };
        let directory = format!("directories/{directory}");
        let request =
            ApplyDirectoryStateRequest { directory: directory.clone(), state: state.into(), revision };
        let answer = DirectoryStateServiceClient::new(self.0.clone())
            .apply_directory_state(request)
            .await
            .map_err(|status| PeerError::of(status).unavailable(Service::Identity))?
            .into_inner();
        let applied = answer.revision == revision && answer.state() == state;
        if answer.directory == directory && (applied || answer.revision > revision) {
            Ok(())
        } else {
            Err(unfitting("state of a directory"))
        }
    }
}

fn directory_of(name: &str) -> Option<DirectoryId> {
    name.strip_prefix("directories/")?.parse().ok()
}

/// An answer that cannot be read is no answer (P-3).
fn unfitting(what: &str) -> Refusal {
    tracing::error!(what, "identity-service's answer does not fit the question");
    Refusal::dependency_unavailable(Service::Identity.as_str())
}
