//! `PreviewOffice365Order`: "Confirm your order", with the directory that it lands in. Writes and holds nothing.

use access::permission::AttachOffice365;
use access::{Caller, Consistency};
use kernel::DirectoryId;

use super::{UseCases, look_at_owned, signed_in};
use crate::domain::catalogue::OfferName;
use crate::domain::directory::DirectoryFacts;
use crate::domain::office365::{self, Command, Facts, Preview};
use crate::domain::refused::Refused;

/// The question as parsed.
#[derive(Debug)]
pub(crate) struct PreviewOffice365 {
    pub(crate) directory: DirectoryId,
    pub(crate) offer: OfferName,
    pub(crate) command: Command,
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct Previewed {
    pub(crate) directory: DirectoryFacts,
    pub(crate) preview: Preview,
}

impl UseCases {
    /// Shows what an order would be, to whoever could place it.
    pub(crate) async fn preview_office365_order(
        &self,
        caller: &Caller,
        question: &PreviewOffice365,
    ) -> Result<Previewed, Refused> {
        signed_in(Some(caller))?;
        let now = self.clock.now();
        let directory = question.directory;
        access::require::<AttachOffice365>(&self.judge, caller, directory, Consistency::Fresh, now).await?;
        let directory = self.directory.directory(directory).await?;
        directory.require_self_service()?;
        let offer = self.catalogue.offer(&question.offer)?;
        let product = self.catalogue.product(&question.offer.product)?;
        let mut tx = self.db.read().await?;
        let owned = look_at_owned(&mut tx, directory.id, question.offer.product.as_str(), now).await?;
        let facts = Facts { directory: &directory, product, offer, owned };
        let preview = office365::preview(&facts, &question.command, now)?;
        Ok(Previewed { directory, preview })
    }
}
