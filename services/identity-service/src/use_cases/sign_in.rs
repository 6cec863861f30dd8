//! `SignIn`: a name and a password open a session.
//!
//! An unknown name and a wrong password take the same steps and get the same answer (P-11).

use access::permission::BeActive;
use access::{Call, Permit};
use database::change_log::{Change, ChangeKind};
use database::{change_log, read_one, retry};
use kernel::{DirectoryId, SessionId, Timestamp, UserId};

use super::{LEAST_WAIT, UseCases};
use crate::domain::directory::DirectoryState;
use crate::domain::password::ClaimedPassword;
use crate::domain::refused::Refused;
use crate::domain::session::Session;
use crate::domain::throttle::Rate;
use crate::domain::user::{User, UserState};
use crate::domain::user_principal_name;
use crate::store::throttles::Subject;
use crate::store::{self, credentials};
use crate::tokens::TokenPair;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct SignInCommand {
    /// The name as given, whatever it is.
    pub(crate) name: String,
    pub(crate) password: ClaimedPassword,
    pub(crate) client_description: String,
}

/// A session that was opened.
pub(crate) struct SignedIn {
    pub(crate) directory: DirectoryId,
    pub(crate) user: User,
    pub(crate) roles: Vec<String>,
    pub(crate) session: Session,
    pub(crate) tokens: TokenPair,
}

struct Opened {
    user: User,
    roles: Vec<String>,
    session: Session,
}

impl UseCases {
    /// Opens a session.
    pub(crate) async fn sign_in(
        &self,
        call: &Call,
        source: &str,
        command: &SignInCommand,
    ) -> Result<SignedIn, Refused> {
        let limits = self.sign_in_limits(source, &command.name);
        // Whoever has used up an allowance takes no place in the queue from others.
        self.look_at_limits(call, &limits).await?;
        // A full queue is told before anything is spent; what was spent for a wrong password stays spent (K18).
        let place = self.hasher.place()?;
        retry(call, || self.spend_sign_in(call, &limits)).await?;
        let found = read_one!(self.db, |tx| credentials::find(tx, &command.name).await)?;
        let hash = found.as_ref().map(|found| found.password_hash.as_str());
        let fits = self.hasher.verify(self.hasher.turn(place).await?, command.password.clone(), hash).await?;
        let (Some(found), true) = (found, fits) else { return Err(Refused::CredentialsInvalid) };
        let permit = Permit::<BeActive>::for_newcomer(found.directory, "sign-in", call.now);
        let opened = retry(call, || self.open_session(call, &permit, found.user, command, &limits)).await?;
        let tokens = self.tokens.pair(found.directory, &opened.session, call.now).await?;
        let Opened { user, roles, session } = opened;
        Ok(SignedIn { directory: found.directory, user, roles, session, tokens })
    }

    /// Per source and per name, known or not; always in this order, so that nobody deadlocks.
    fn sign_in_limits(&self, source: &str, name: &str) -> [(Subject, Rate); 2] {
        let per_source = Rate::per_hour(self.settings.sign_in_failures_per_source_per_hour);
        let per_name = Rate::per_hour(self.settings.sign_in_failures_per_name_per_hour);
        let name = user_principal_name::key(name);
        [
            (self.throttled("sign-in source", source), per_source),
            (self.throttled("sign-in name", &name), per_name),
        ]
    }

    async fn look_at_limits(&self, call: &Call, limits: &[(Subject, Rate); 2]) -> Result<(), Refused> {
        let mut tx = self.db.read().await?;
        for (subject, rate) in limits {
            let full = store::throttles::full_time(&mut tx, subject).await?;
            if let Some(full) = full.filter(|full| !rate.allows(*full, call.now)) {
                return Err(throttled(*rate, full, call));
            }
        }
        Ok(())
    }

    async fn spend_sign_in(&self, call: &Call, limits: &[(Subject, Rate); 2]) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        for (subject, rate) in limits {
            let spent = store::throttles::spend(&mut tx, subject, *rate, call.now).await?;
            spent.map_err(|full| throttled(*rate, full, call))?;
        }
        tx.commit_bookkeeping().await?;
        Ok(())
    }

    /// The password was right: whether the person may sign in is told only now.
    async fn open_session(
        &self,
        call: &Call,
        permit: &Permit<BeActive>,
        user: UserId,
        command: &SignInCommand,
        limits: &[(Subject, Rate); 2],
    ) -> Result<Opened, Refused> {
        let mut tx = self.db.write().await?;
        for (subject, rate) in limits {
            store::throttles::give_back(&mut tx, subject, *rate).await?;
        }
        let directory = permit.directory();
        let user = store::users::find(&mut tx, directory, user).await?.ok_or(Refused::CredentialsInvalid)?;
        match user.state {
            UserState::Active => {}
            UserState::Disabled => return Err(Refused::UserDisabled),
            UserState::Deleted => return Err(Refused::CredentialsInvalid),
        }
        let known = store::directories::find(&mut tx, directory).await?;
        if known.map(|known| known.state) != Some(DirectoryState::Active) {
            return Err(Refused::DirectorySuspended);
        }
        let session = Session {
            id: SessionId::from_uuid(call.new_id),
            user: user.id,
            counter: 0,
            client_description: command.client_description.clone(),
            create_time: call.now,
            last_refresh_time: None,
            expire_time: call.now.plus(self.settings.session_lifetime),
            revoke_time: None,
        };
        store::sessions::insert(&mut tx, permit, &session).await?;
        store::users::note_sign_in(&mut tx, permit, user.id, call.now).await?;
        let roles = store::role_assignments::roles_of(&mut tx, directory, user.id, call.now).await?;
        let resource = format!("{}/sessions/{}", user.principal(directory), session.id);
        let change = Change { resource, kind: ChangeKind::Created, after: &session, changed_fields: &[] };
        change_log::append(&mut tx, permit, call, &change).await?;
        tx.commit(permit, &self.clock).await?;
        Ok(Opened { user: User { last_sign_in_time: Some(call.now), ..user }, roles, session })
    }
}

fn throttled(rate: Rate, full: Timestamp, call: &Call) -> Refused {
    Refused::SignInThrottled { wait: rate.wait(full, call.now).max(LEAST_WAIT) }
}
