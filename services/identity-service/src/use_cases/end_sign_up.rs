//! How a sign-up ends without success: refused by the directory context, given up, or overtaken by a twin.
//!
//! Nothing of a saga that ends here was ever written in this context; what the directory context made is abandoned.

use access::Service;
use database::{StoreError, bookkeeping};
use kernel::RequestId;

use super::UseCases;
use super::sign_up::field;
use crate::domain::refused::Refused;
use crate::domain::sign_up::{SignUp, SignUpState};
use crate::peers::directory::{Made, NotMade};
use crate::store::sign_ups;

/// How an attempt stands after somebody else may have worked on it.
enum Meanwhile {
    /// It still stands at its beginning.
    Started,
    /// Everything of this context stands.
    Answered(Box<SignUp>),
    /// It ended, or made way for another attempt.
    Ended,
}

impl UseCases {
    /// Ends an attempt that the directory context refused; one that it did not answer is left to a retry.
    ///
    /// Where a twin was answered otherwise and was faster, what it did counts: both get the same answer.
    pub(super) async fn refuse(&self, sign_up: &SignUp, not_made: NotMade) -> Result<SignUp, Refused> {
        let refused: Refused = match not_made {
            NotMade::Unavailable => return Err(Refused::PeerUnavailable(Service::Directory)),
            NotMade::RequestIdReused => {
                self.give_up(sign_up, SignUpState::Abandoned).await?;
                StoreError::RequestIdReused.into()
            }
            NotMade::DomainTaken { domain } => {
                self.advance(sign_up, SignUpState::Refused).await?;
                Refused::InitialDomainTaken { domain }
            }
            NotMade::Invalid(text) => {
                self.advance(sign_up, SignUpState::Refused).await?;
                field("domain_label", text).into()
            }
        };
        match self.meanwhile(sign_up).await? {
            Meanwhile::Answered(answered) => Ok(*answered),
            Meanwhile::Started | Meanwhile::Ended => Err(refused),
        }
    }

    /// Gives up a sign-up that has not written anything here; its label is free afterwards.
    pub(crate) async fn give_up(&self, sign_up: &SignUp, end: SignUpState) -> Result<(), Refused> {
        let mut giving_up = sign_up.clone();
        if sign_up.state == SignUpState::Started {
            if !self.advance(sign_up, SignUpState::Abandoning).await? {
                return Ok(());
            }
            giving_up.state = SignUpState::Abandoning;
        }
        let directory = match sign_up.directory {
            Some(directory) => Some(directory),
            // Whether it was made is not known. Asked once more, the same request makes the same directory, and none
            // that is still under way can make it later.
            None => match self.directory.create(sign_up).await {
                Ok(made) => Some(made.directory),
                // It was made longer ago than answers are kept; its id follows from the request (K39).
                Err(NotMade::RequestIdReused) => Some(sign_up.directory_made()),
                Err(NotMade::Unavailable) => return Err(Refused::PeerUnavailable(Service::Directory)),
                Err(NotMade::DomainTaken { .. } | NotMade::Invalid(_)) => None,
            },
        };
        if let Some(directory) = directory {
            self.directory.abandon(sign_up, directory).await?;
        }
        self.advance(&giving_up, end).await?;
        Ok(())
    }

    /// Gives up what a refused attempt may have made all the same: a twin's request may have been answered otherwise, and
    /// the twin have died before it noted the directory, which would keep its label for ever.
    pub(crate) async fn clear_up(&self, sign_up: &SignUp) -> Result<(), Refused> {
        let directory = sign_up.directory_made();
        self.directory.abandon(sign_up, directory).await?;
        bookkeeping(|| async {
            let mut tx = self.db.write().await?;
            sign_ups::note_given_up(&mut tx, sign_up, directory).await?;
            Ok(tx.commit_bookkeeping().await?)
        })
        .await
    }

    /// How far a sign-up has come meanwhile; `None` when it still stands where it was.
    ///
    /// One that ended meanwhile leaves a directory that nobody else will ask for: it is given up here, or, where that
    /// fails, by the worker, since it was noted as one to be given up.
    pub(super) async fn gone_on(
        &self,
        sign_up: &SignUp,
        made: &Made,
        request_id: RequestId,
    ) -> Result<Option<SignUp>, Refused> {
        match self.meanwhile(sign_up).await? {
            Meanwhile::Started => Ok(None),
            Meanwhile::Answered(answered) => Ok(Some(*answered)),
            Meanwhile::Ended => {
                let unwanted = SignUp {
                    state: SignUpState::Abandoning,
                    directory: Some(made.directory),
                    ..sign_up.clone()
                };
                self.give_up(&unwanted, SignUpState::Abandoned).await?;
                Err(Refused::SignUpAbandoned(request_id))
            }
        }
    }

    /// Whether an attempt still stands where it was.
    pub(super) async fn stands(&self, sign_up: &SignUp) -> Result<bool, Refused> {
        Ok(matches!(self.meanwhile(sign_up).await?, Meanwhile::Started))
    }

    async fn meanwhile(&self, sign_up: &SignUp) -> Result<Meanwhile, Refused> {
        let mut tx = self.db.read().await?;
        let found = sign_ups::find(&mut tx, sign_up.request_id).await?;
        let same_attempt = |found: &SignUp| found.id == sign_up.id && found.attempt == sign_up.attempt;
        Ok(match found.filter(same_attempt) {
            Some(found) if found.state == SignUpState::Started => Meanwhile::Started,
            Some(found) if found.answer.is_some() => Meanwhile::Answered(Box::new(found)),
            Some(_) | None => Meanwhile::Ended,
        })
    }
}
