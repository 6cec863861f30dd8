//! identity-service, beyond judging: where a guest is at home; every failure means that nothing happens (P-3).

use access::Service;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{GetUserRequest, UserType};
use kernel::{Principal, Refusal};
use runtime::peer::{Peer, PeerError};

/// identity-service, asked as subscription-service.
#[derive(Debug, Clone)]
pub(crate) struct IdentityService {
    peer: Peer,
}

impl IdentityService {
    pub(crate) const fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// The home directory of a guest; `None` when the user is no guest.
    pub(crate) async fn home_directory_of_guest(
        &self,
        principal: Principal,
    ) -> Result<Option<String>, Refusal> {
        let name = principal.to_string();
        let response = UserServiceClient::new(self.peer.clone())
            .get_user(GetUserRequest { name: name.clone() })
            .await
            .map_err(|status| PeerError::from(status).unavailable(Service::Identity))?;
        let user = response.into_inner().user.filter(|user| user.name == name).ok_or_else(unfitting)?;
        match user.user_type() {
            UserType::Unspecified => Err(unfitting()),
            UserType::Member => Ok(None),
            UserType::Guest => {
                let home: Principal = user.home_user.parse().map_err(|_| unfitting())?;
                Ok(Some(format!("directories/{}", home.directory())))
            }
        }
    }
}

fn unfitting() -> Refusal {
    tracing::error!("identity-service's answer does not fit the question");
    Refusal::dependency_unavailable(Service::Identity.as_str())
}
