//! Liens at directory-service, taken and let go by the rows of `database::hold` (K11): the steps outside of transactions.
//!
//! What a lien is for, which transactions rely on it, and whether it has lost its cause, each service knows.

use access::Service;
use api::directory::v1::lien_service_client::LienServiceClient;
use api::directory::v1::{CreateLienRequest, DeleteLienRequest, Lien};
use database::fail_point::{self, FailPoint};
use database::hold::{self, Hold};
use database::{Db, StoreError};
use kernel::{Clock, DirectoryId, LienId, Refusal};

use crate::peer::{Peer, PeerError};

/// What is held, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The directory whose lien it is.
    pub directory: DirectoryId,
    /// What the hold's row is found by.
    pub reason: &'a str,
    /// What is guarded below the directory, such as `domains/contoso.com`; empty for the directory itself.
    pub below: &'a str,
    /// What may not be done meanwhile.
    pub restriction: &'static str,
    /// Why, for whoever is stopped by it.
    pub sentence: &'static str,
}

impl Held<'_> {
    fn resource(&self) -> String {
        let directory = format!("directories/{}", self.directory);
        if self.below.is_empty() { directory } else { format!("{directory}/{}", self.below) }
    }
}

/// Why nothing is held.
#[derive(Debug, thiserror::Error)]
pub enum NotHeld {
    /// Only an active directory can be relied on.
    #[error("directories/{directory} is in {state}")]
    DirectoryNotActive {
        /// The directory.
        directory: DirectoryId,
        /// Its state, as the contract names it.
        state: String,
    },
    /// The directory does not have what is to be guarded.
    #[error("{0} does not exist")]
    Missing(String),
    /// directory-service did not answer, or its answer does not fit the question: nothing happens (P-3).
    #[error(transparent)]
    Unavailable(#[from] Refusal),
    /// Storage failed, or the hold was lost on the way.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The holds of one service.
#[derive(Debug, Clone)]
pub struct Holds {
    db: Db,
    clock: Clock,
    directory: Peer,
    service: Service,
}

/// What directory-service says of the lien of a revision.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// It stands, or one of a higher revision in its place.
    Stands(LienId),
    /// Liens up to a revision were removed, and do not come back.
    Removed { up_to: i64 },
}

impl Holds {
    /// The holds in this database of the service that speaks to directory-service through the peer.
    pub const fn new(db: Db, clock: Clock, directory: Peer, service: Service) -> Self {
        Self { db, clock, directory, service }
    }

    /// The lien that is held now.
    pub async fn find(&self, held: &Held<'_>) -> Result<Option<LienId>, NotHeld> {
        match hold::find(&self.db, held.directory, held.reason).await? {
            Hold::Held(lien) => Ok(Some(lien)),
            Hold::Absent | Hold::Taking(_) | Hold::Releasing(_) => Ok(None),
        }
    }

    /// Takes the lien unless it is held; one that is being let go is let go first.
    pub async fn ensure(&self, held: &Held<'_>) -> Result<LienId, NotHeld> {
        self.finish_release(held).await?;
        let begun = hold::begin(&self.db, held.directory, held.reason, self.clock.now()).await?;
        if let Hold::Taking(revision) = begun {
            self.take(held, revision).await?;
        }
        fail_point::reached(FailPoint::AfterHold);
        self.find(held).await?.ok_or_else(|| StoreError::HoldLost.into())
    }

    /// Ends what a dead taker began, so that it is known whether a lien stands; says whether it is.
    pub async fn settle(&self, held: &Held<'_>) -> Result<bool, NotHeld> {
        let Hold::Taking(revision) = hold::find(&self.db, held.directory, held.reason).await? else {
            return Ok(true);
        };
        match self.take(held, revision).await {
            // None stands: one that did would have been told. The row stays, in case a late request places one yet.
            Err(NotHeld::DirectoryNotActive { .. } | NotHeld::Missing(_)) => Ok(false),
            taken => taken.map(|()| true),
        }
    }

    /// Lets go of the lien whose row says RELEASING, and removes the row.
    pub async fn finish_release(&self, held: &Held<'_>) -> Result<(), NotHeld> {
        if let Hold::Releasing(lien) = hold::find(&self.db, held.directory, held.reason).await? {
            self.release_lien(held.directory, lien).await?;
            hold::released(&self.db, held.directory, held.reason, lien).await?;
        }
        Ok(())
    }

    /// Takes the lien of a revision that the hold's row names; taken twice, it is the same one.
    async fn take(&self, held: &Held<'_>, revision: i64) -> Result<(), NotHeld> {
        match self.take_lien(held, revision).await? {
            Answer::Stands(lien) => {
                fail_point::reached(FailPoint::AfterLien);
                let now = self.clock.now();
                Ok(hold::held(&self.db, held.directory, held.reason, lien, revision, now).await?)
            }
            Answer::Removed { up_to } => {
                hold::outdated(&self.db, held.directory, held.reason, revision, up_to).await?;
                Err(StoreError::HoldLost.into())
            }
        }
    }

    /// Takes the lien of a revision; equal revisions give the same one.
    async fn take_lien(&self, held: &Held<'_>, revision: i64) -> Result<Answer, NotHeld> {
        let parent = format!("directories/{}", held.directory);
        let lien = Lien {
            resource: held.resource(),
            restrictions: vec![held.restriction.to_owned()],
            reason: held.sentence.to_owned(),
            origin: self.service.as_str().to_owned(),
            revision,
            ..Lien::default()
        };
        let request =
            CreateLienRequest { parent: parent.clone(), lien: Some(lien), request_id: String::new() };
        let response = LienServiceClient::new(self.directory.clone()).create_lien(request).await;
        let lien = match response.map_err(PeerError::from) {
            Ok(response) => response.into_inner().lien,
            Err(error) if error.is("DIRECTORY_NOT_ACTIVE") => {
                let state = error.metadata.get("state").cloned().unwrap_or_default();
                return Err(NotHeld::DirectoryNotActive { directory: held.directory, state });
            }
            Err(error) if error.is("DOMAIN_NOT_FOUND") => return Err(NotHeld::Missing(held.resource())),
            Err(error) if error.is("LIEN_REMOVED") => {
                let up_to = error.metadata.get("removed_revision").and_then(|text| text.parse().ok());
                let removed = up_to.map(|up_to| Answer::Removed { up_to });
                return removed.ok_or_else(|| unfitting().into());
            }
            Err(error) => return Err(error.unavailable(Service::Directory).into()),
        };
        let stands = lien.filter(|lien| lien.resource == held.resource()).and_then(|lien| {
            let id = lien.name.strip_prefix(&parent)?.strip_prefix("/liens/")?.parse().ok()?;
            Some(Answer::Stands(id))
        });
        stands.ok_or_else(|| unfitting().into())
    }

    /// Lets a lien go; one that is gone already is no trouble.
    async fn release_lien(&self, directory: DirectoryId, lien: LienId) -> Result<(), NotHeld> {
        let name = format!("directories/{directory}/liens/{lien}");
        let request = DeleteLienRequest { name, allow_missing: true, request_id: String::new() };
        LienServiceClient::new(self.directory.clone())
            .delete_lien(request)
            .await
            .map_err(|status| PeerError::from(status).unavailable(Service::Directory))?;
        Ok(())
    }
}

fn unfitting() -> Refusal {
    tracing::error!("directory-service's answer does not fit the question");
    Refusal::dependency_unavailable(Service::Directory.as_str())
}
