//! `RefreshSession`: exchanges a refresh token for its successor; a stolen one ends the session (K22).

use access::permission::BeActive;
use access::{Call, Denial, Permit, Question};
use database::change_log::{Change, ChangeKind};
use database::fail_point::{self, FailPoint};
use database::{Tx, change_log, retry_in_lane_of};
use kernel::{DirectoryId, Refusal, reason};

use super::UseCases;
use crate::domain::refused::Refused;
use crate::domain::session::{self, Presented, Session};
use crate::domain::standing;
use crate::store;
use crate::tokens::{GenuineRefreshToken, TokenPair};

/// A session with its next tokens.
pub(crate) struct Refreshed {
    pub(crate) directory: DirectoryId,
    pub(crate) session: Session,
    pub(crate) tokens: TokenPair,
}

impl UseCases {
    /// The token, if this service made it.
    pub(crate) fn genuine(&self, token: &str) -> Result<GenuineRefreshToken, Refused> {
        self.tokens.read_refresh_token(token).ok_or(Refused::RefreshTokenInvalid)
    }

    /// Refreshes the session that the token is of; in its directory's lane, as other writes of that directory.
    pub(crate) async fn refresh_session(
        &self,
        call: &Call,
        token: GenuineRefreshToken,
    ) -> Result<Refreshed, Refused> {
        let session = retry_in_lane_of(token.directory, call, || self.refresh_once(call, token)).await?;
        fail_point::reached(FailPoint::BetweenRotateAndAnswer);
        // Made in its own transaction: the session was revoked before the answer tells why.
        let session = session.ok_or(Refused::RefreshTokenReused)?;
        let tokens = self.tokens.pair(token.directory, &session, call.now).await?;
        Ok(Refreshed { directory: token.directory, session, tokens })
    }

    /// The session with its present number; `None` when the family died of this call.
    async fn refresh_once(
        &self,
        call: &Call,
        token: GenuineRefreshToken,
    ) -> Result<Option<Session>, Refused> {
        let permit = Permit::<BeActive>::for_newcomer(token.directory, "refresh", call.now);
        let mut tx = self.db.write().await?;
        let found = store::sessions::lock(&mut tx, token.directory, token.session).await?;
        let session = found.ok_or(Refused::RefreshTokenInvalid)?;
        match session::judge(&session, token.counter, call.now) {
            Presented::Invalid => Err(Refused::RefreshTokenInvalid),
            Presented::Expired => Err(Refused::RefreshTokenExpired),
            Presented::Reused => {
                self.end_family(tx, call, &permit, session).await?;
                Ok(None)
            }
            Presented::JustExchanged => {
                check_standing(&mut tx, call, token.directory, &session).await?;
                Ok(Some(session))
            }
            Presented::Newest => {
                check_standing(&mut tx, call, token.directory, &session).await?;
                let next = Session {
                    counter: session.counter + 1,
                    last_refresh_time: Some(call.now),
                    expire_time: call.now.plus(self.settings.session_lifetime),
                    ..session
                };
                // No row of the change log: using a session changes nothing that a directory's administrators decide,
                // and would drown what does. Opening and ending one are recorded.
                store::sessions::advance(&mut tx, &permit, &next).await?;
                tx.commit_bookkeeping().await?;
                Ok(Some(next))
            }
        }
    }

    /// One of two holders is not the owner: nobody goes on with this session.
    async fn end_family(
        &self,
        mut tx: Tx,
        call: &Call,
        permit: &Permit<BeActive>,
        session: Session,
    ) -> Result<(), Refused> {
        store::sessions::revoke(&mut tx, permit, session.id, call.now).await?;
        store::users::count_change(&mut tx, permit, session.user).await?;
        let resource = format!("{}/sessions/{}", session.principal(permit.directory()), session.id);
        let after = Session { revoke_time: Some(call.now), ..session };
        let change =
            Change { resource, kind: ChangeKind::Updated, after: &after, changed_fields: &["state"] };
        change_log::append(&mut tx, permit, call, &change).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(())
    }
}

/// P-12: a disabled user or a directory that is not active gets no further tokens.
async fn check_standing(
    tx: &mut Tx,
    call: &Call,
    directory: DirectoryId,
    session: &Session,
) -> Result<(), Refused> {
    let principal = session.principal(directory);
    let facts = store::standing::find(tx, principal).await?;
    let question = Question {
        directory,
        principal,
        session: None,
        any_of_roles: Vec::new(),
        any_of_permissions: Vec::new(),
        consistency: access::Consistency::Fresh,
    };
    match standing::decide(facts.as_ref(), &question, call.now) {
        Ok(_) => Ok(()),
        Err(Denial::DirectoryNotActive) => Err(Refused::DirectorySuspended),
        Err(
            Denial::PrincipalNotFound
            | Denial::PrincipalDisabled
            | Denial::PrincipalDeleted
            | Denial::SessionRevoked
            | Denial::OtherDirectory
            | Denial::RoleMissing,
        ) => {
            Err(Refusal::unauthenticated(reason::SESSION_REVOKED, "the session's user may no longer sign in")
                .into())
        }
    }
}
