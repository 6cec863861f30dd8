//! What identity asks of the directory context: making a directory, and whose domain it is.
//!
//! A refusal that means something here is told apart by its reason; anything else is UNAVAILABLE, and nothing happens.

use access::Service;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::domain_service_client::DomainServiceClient;
use api::directory::v1::{
    AbandonDirectoryRequest, ActivateDirectoryRequest, AgreementType as WireAgreementType,
    CreateDirectoryRequest, Directory, DomainState, ErrorReason, ResolveDomainRequest,
};
use kernel::DirectoryId;
use runtime::peer::{Peer, PeerError};
use tonic::{Code, Status};

use crate::domain::refused::Refused;
use crate::domain::sign_up::{AgreementType, CREATE, SignUp};

/// The directory context.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryPeer(Peer);

/// A directory that is being made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) directory: DirectoryId,
    pub(crate) display_name: String,
    pub(crate) initial_domain: String,
    pub(crate) revision: i64,
}

/// Why no directory was made.
#[derive(Debug)]
pub(crate) enum NotMade {
    /// Its label belongs to another one.
    DomainTaken { domain: String },
    /// The directory context does not take what it was given; the text is for a person.
    Invalid(String),
    /// It was made longer ago than the directory context keeps its answers (K39).
    RequestIdReused,
    /// There is no answer, or none that fits.
    Unavailable,
}

impl DirectoryPeer {
    /// The peer behind this transport, which already speaks as identity-service.
    pub(crate) const fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// The transport itself, for whoever follows the feed.
    pub(crate) fn peer(&self) -> Peer {
        self.0.clone()
    }

    /// Makes the directory of a sign-up's attempt, or gives the one that this attempt has made before (K40).
    pub(crate) async fn create(&self, sign_up: &SignUp) -> Result<Made, NotMade> {
        let new = &sign_up.new_directory;
        let agreement_type = match new.agreement_type {
            AgreementType::SelfService => WireAgreementType::SelfService,
            AgreementType::Enterprise => WireAgreementType::Enterprise,
        };
        let request = CreateDirectoryRequest {
            directory: Some(Directory {
                display_name: new.display_name.clone(),
                region_code: new.region_code.clone(),
                agreement_type: agreement_type.into(),
                ..Directory::default()
            }),
            initial_domain_label: new.label.clone(),
            request_id: sign_up.inner_request_id(CREATE).to_string(),
        };
        let response = DirectoryServiceClient::new(self.0.clone()).create_directory(request).await;
        let directory = response.map_err(not_made)?.into_inner().directory.ok_or(NotMade::Unavailable)?;
        let fits = directory.initial_domain.starts_with(&format!("{}.", new.label));
        let id = directory_id(&directory.name).filter(|_| fits).ok_or(NotMade::Unavailable)?;
        Ok(Made {
            directory: id,
            display_name: directory.display_name,
            initial_domain: directory.initial_domain,
            revision: directory.revision,
        })
    }

    /// Puts the directory of a sign-up into use; gives its revision.
    pub(crate) async fn activate(&self, sign_up: &SignUp, directory: DirectoryId) -> Result<i64, Refused> {
        let request = ActivateDirectoryRequest {
            name: format!("directories/{directory}"),
            request_id: sign_up.inner_request_id("activate").to_string(),
        };
        let response = DirectoryServiceClient::new(self.0.clone()).activate_directory(request).await;
        let answered = response.map_err(|status| unavailable(&status))?.into_inner().directory;
        let fits = answered.filter(|answered| directory_id(&answered.name) == Some(directory));
        fits.map(|directory| directory.revision).ok_or(Refused::PeerUnavailable(Service::Directory))
    }

    /// Gives up the directory of a sign-up; one that is not there is given up.
    pub(crate) async fn abandon(&self, sign_up: &SignUp, directory: DirectoryId) -> Result<(), Refused> {
        let request = AbandonDirectoryRequest {
            name: format!("directories/{directory}"),
            request_id: sign_up.inner_request_id("abandon").to_string(),
        };
        match DirectoryServiceClient::new(self.0.clone()).abandon_directory(request).await {
            Ok(_) => Ok(()),
            Err(status) if reason_is(&status, ErrorReason::DirectoryNotFound) => Ok(()),
            Err(status) => Err(unavailable(&status)),
        }
    }

    /// Whether a domain is verified in this directory.
    pub(crate) async fn is_verified(&self, domain: &str, directory: DirectoryId) -> Result<bool, Refused> {
        let request = ResolveDomainRequest { domain: domain.to_owned() };
        match DomainServiceClient::new(self.0.clone()).resolve_domain(request).await {
            Ok(response) => {
                let answer = response.into_inner();
                let here = directory_id(&answer.directory) == Some(directory);
                Ok(here && answer.state() == DomainState::Verified)
            }
            Err(status) if reason_is(&status, ErrorReason::DomainNotFound) => Ok(false),
            Err(status) => Err(unavailable(&status)),
        }
    }
}

fn directory_id(name: &str) -> Option<DirectoryId> {
    name.strip_prefix("directories/")?.parse().ok()
}

fn reason_is(status: &Status, reason: ErrorReason) -> bool {
    PeerError::of(status.clone()).is(reason.reason())
}

fn not_made(status: Status) -> NotMade {
    let code = status.code();
    let text = status.message().to_owned();
    let mut error = PeerError::of(status);
    if error.is(ErrorReason::InitialDomainTaken.reason()) {
        return NotMade::DomainTaken { domain: error.metadata.remove("domain").unwrap_or_default() };
    }
    if error.is(ErrorReason::RequestIdReused.reason()) {
        return NotMade::RequestIdReused;
    }
    if code == Code::InvalidArgument { NotMade::Invalid(text) } else { NotMade::Unavailable }
}

fn unavailable(status: &Status) -> Refused {
    tracing::warn!(code = ?status.code(), "directory-service did not answer as it should");
    Refused::PeerUnavailable(Service::Directory)
}
