//! `RevokeSession`: ends a session; every service refuses its tokens from then on (P-12, U-28).

use access::permission::{Permission, RevokeSessions};
use access::{Call, Caller, Consistency, Permit, require, require_active};
use database::change_log::{Change, ChangeKind};
use database::{change_log, retry, start_over};
use kernel::{Principal, SessionId};

use super::UseCases;
use crate::domain::password_reset;
use crate::domain::refused::Refused;
use crate::domain::session::Session;
use crate::store;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RevokeSession {
    pub(crate) principal: Principal,
    pub(crate) session: SessionId,
}

impl UseCases {
    /// Ends the session: whoever opened it may, and whoever may end other people's and reset this person's password.
    pub(crate) async fn revoke_session(
        &self,
        call: &Call,
        caller: &Caller,
        command: RevokeSession,
    ) -> Result<Session, Refused> {
        let own = is_own(caller, command);
        start_over(|| async {
            let now = self.clock.now();
            if own {
                let permit = require_active(&self.judge, caller, Consistency::Fresh, now).await?;
                return retry(call, || self.revoke_session_once(call, caller, &permit, command)).await;
            }
            let directory = command.principal.directory();
            let permit =
                require::<RevokeSessions>(&self.judge, caller, directory, Consistency::Fresh, now).await?;
            retry(call, || self.revoke_session_once(call, caller, &permit, command)).await
        })
        .await
    }

    async fn revoke_session_once<P: Permission>(
        &self,
        call: &Call,
        caller: &Caller,
        permit: &Permit<P>,
        command: RevokeSession,
    ) -> Result<Session, Refused> {
        let mut tx = self.db.write().await?;
        let found = store::sessions::lock(&mut tx, permit.directory(), command.session).await?;
        if !is_own(caller, command) {
            // Before anything is told of the session.
            let own = store::standing::find(&mut tx, caller.require_signed_in()?.principal).await?;
            let target = store::standing::find(&mut tx, command.principal).await?;
            let target = (command.principal, target.as_ref());
            password_reset::may_end_sessions(own.as_ref(), target, call.now)?;
        }
        let session = found
            .filter(|session| Some(session.user) == command.principal.user())
            .ok_or(Refused::SessionNotFound(command.principal, command.session))?;
        if !session.is_live(call.now) {
            // It has ended: answered unchanged, without a change to tell of.
            return Ok(session);
        }
        let ended = Session { revoke_time: Some(call.now), ..session };
        store::sessions::revoke(&mut tx, permit, ended.id, call.now).await?;
        store::users::count_change(&mut tx, permit, ended.user).await?;
        let resource = format!("{}/sessions/{}", command.principal, ended.id);
        let change =
            Change { resource, kind: ChangeKind::Updated, after: &ended, changed_fields: &["state"] };
        change_log::append(&mut tx, permit, call, &change).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(ended)
    }
}

fn is_own(caller: &Caller, command: RevokeSession) -> bool {
    caller.signed_in().is_some_and(|own| own.principal == command.principal)
}
