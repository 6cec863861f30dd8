//! `SignUp`: a directory and its first user come into being together or not at all (D-01, K18).
//!
//! A saga: the row in `sign_ups` is written before the directory context is asked, every step can be repeated, and
//! whoever comes with the same `request_id`, or the worker, goes on where it stopped. What was refused because the
//! domain is taken may be tried again with the same `request_id`, as a new attempt (K7, K40); what was given up may not.
//! How a saga ends without success stands in `end_sign_up`.

use access::permission::{CreateUsers, ProvisionDirectory, WriteRoleAssignments};
use access::{Call, Caller, Permit, roles};
use database::change_log::{Change, ChangeKind};
use database::fail_point::{self, FailPoint};
use database::{StoreError, Tx, bookkeeping, change_log, retry};
use kernel::{DirectoryId, Refusal, RequestId, RoleAssignmentId, UserId, Violations, new_ids};

use super::{LEAST_WAIT, UseCases};
use crate::SignUpPolicy;
use crate::domain::directory::{DirectoryState, KnownDirectory};
use crate::domain::password::Password;
use crate::domain::refused::Refused;
use crate::domain::role_assignment::RoleAssignment;
use crate::domain::sign_up::{AgreementType, NewDirectory, SignUp, SignUpState, SignedUp};
use crate::domain::throttle::Rate;
use crate::domain::user::{Profile, User};
use crate::domain::user_principal_name::{LocalPart, UserPrincipalName};
use crate::password_hasher::Place;
use crate::peers::directory::Made;
use crate::store::{self, sign_ups};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct SignUpCommand {
    pub(crate) request_id: RequestId,
    pub(crate) new_directory: NewDirectory,
    pub(crate) name: AdminName,
    pub(crate) profile: Profile,
    pub(crate) password: Password,
}

/// The first user's name as given: its local part alone, or in full.
#[derive(Debug, Clone)]
pub(crate) enum AdminName {
    Local(LocalPart),
    Full(UserPrincipalName),
}

impl UseCases {
    /// Signs up, or goes on with what an earlier call began.
    pub(crate) async fn sign_up(
        &self,
        call: &Call,
        source: &str,
        command: &SignUpCommand,
    ) -> Result<SignedUp, Refused> {
        let operator = matches!(call.caller, Some(Caller::Operator(_)));
        let closed = self.settings.sign_up == SignUpPolicy::Operator
            || command.new_directory.agreement_type == AgreementType::Enterprise;
        if closed && !operator {
            return Err(Refused::SignUpClosed);
        }
        if let Some(standing) = self.standing(call, command).await? {
            return self.finish(call, &standing).await;
        }
        // K18: whoever would find no place in the queue is told before anything is spent or made.
        let place = self.hasher.sign_up_place()?;
        let sign_up = self.begin(call, source, command).await?;
        let sign_up = match sign_up.state {
            SignUpState::Started => self.create(call, &sign_up, command, place).await?,
            SignUpState::Created
            | SignUpState::Done
            | SignUpState::Refused
            | SignUpState::Abandoning
            | SignUpState::Abandoned => sign_up,
        };
        self.finish(call, &sign_up).await
    }

    /// The saga of the request id, where everything of this context stands: a retry of it costs nothing.
    async fn standing(&self, call: &Call, command: &SignUpCommand) -> Result<Option<SignUp>, Refused> {
        let mut tx = self.db.read().await?;
        let found = sign_ups::find(&mut tx, command.request_id.uuid()).await?;
        found.filter(|found| found.answer.is_some()).map(|found| same_request(call, found)).transpose()
    }

    /// Finds the saga of the request id, or begins it, which costs one time of the source's allowance.
    async fn begin(&self, call: &Call, source: &str, command: &SignUpCommand) -> Result<SignUp, Refused> {
        // A twin that is faster leaves its row behind, so that the second turn finds one.
        for _ in 0..2 {
            if let Some(begun) = retry(call, || self.begin_once(call, source, command)).await? {
                return Ok(begun);
            }
        }
        Err(Refused::Defect("a sign-up neither began nor was there"))
    }

    async fn begin_once(
        &self,
        call: &Call,
        source: &str,
        command: &SignUpCommand,
    ) -> Result<Option<SignUp>, Refused> {
        let mut tx = self.db.write().await?;
        if let Some(found) = sign_ups::lock(&mut tx, command.request_id.uuid(), call.now).await? {
            let found = self.go_on(call, source, &mut tx, found, command).await?;
            tx.commit_bookkeeping().await?;
            return Ok(Some(found));
        }
        self.spend_sign_up(call, source, &mut tx).await?;
        let sign_up = SignUp {
            // Random: after a day the same request id is another sign-up, whose inner requests are new (K39, K40).
            id: self.ids.random(),
            request_id: command.request_id.uuid(),
            body_mac: call.fingerprint.to_vec(),
            state: SignUpState::Started,
            attempt: 1,
            new_directory: command.new_directory.clone(),
            directory: None,
            answer: None,
            update_time: call.now,
        };
        // What this one spent is rolled back where a twin was faster.
        if !sign_ups::insert(&mut tx, &sign_up).await? {
            return Ok(None);
        }
        tx.commit_bookkeeping().await?;
        Ok(Some(sign_up))
    }

    /// What a call meets that finds a saga: refused, it is a new attempt; given up, it stays so.
    async fn go_on(
        &self,
        call: &Call,
        source: &str,
        tx: &mut Tx,
        found: SignUp,
        command: &SignUpCommand,
    ) -> Result<SignUp, Refused> {
        let found = same_request(call, found)?;
        match found.state {
            SignUpState::Started | SignUpState::Created | SignUpState::Done => Ok(found),
            SignUpState::Abandoning | SignUpState::Abandoned => {
                Err(Refused::SignUpAbandoned(command.request_id))
            }
            SignUpState::Refused => {
                self.spend_sign_up(call, source, tx).await?;
                let again = SignUp {
                    state: SignUpState::Started,
                    attempt: found.attempt + 1,
                    directory: None,
                    ..found
                };
                sign_ups::begin_again(tx, &again).await?;
                Ok(again)
            }
        }
    }

    /// K18: per source and in all, before anything is hashed or made; always in this order, so that nobody deadlocks.
    async fn spend_sign_up(&self, call: &Call, source: &str, tx: &mut Tx) -> Result<(), Refused> {
        for (limit, subject, per_hour) in [
            ("sign-up source", source, self.settings.sign_up_per_source_per_hour),
            ("sign-up total", "", self.settings.sign_up_total_per_hour),
        ] {
            let rate = Rate::per_hour(per_hour);
            let spent = store::throttles::spend(tx, &self.throttled(limit, subject), rate, call.now).await?;
            spent.map_err(|full| Refused::RateLimited { wait: rate.wait(full, call.now).max(LEAST_WAIT) })?;
        }
        Ok(())
    }

    /// Makes the directory, then everything of this context in one transaction.
    async fn create(
        &self,
        call: &Call,
        sign_up: &SignUp,
        command: &SignUpCommand,
        place: Place,
    ) -> Result<SignUp, Refused> {
        let made = match self.directory.create(sign_up).await {
            Ok(made) => made,
            Err(not_made) => return self.refuse(sign_up, not_made).await,
        };
        fail_point::reached(FailPoint::AfterCreateDirectory);
        self.note(sign_up, made.directory).await?;
        let sign_up = SignUp { directory: Some(made.directory), ..sign_up.clone() };
        let name = match full_name(&command.name, &made) {
            Ok(name) => name,
            Err(refusal) => {
                self.give_up(&sign_up, SignUpState::Refused).await?;
                return Err(refusal.into());
            }
        };
        // Looked at when the turn has come: of many twins, those behind the first find its answer, and hash nothing.
        let turn = self.hasher.turn(place).await?;
        if !self.stands(&sign_up).await? {
            drop(turn);
            let later = self.gone_on(&sign_up, &made, command.request_id).await?;
            return later.ok_or(Refused::Defect("a sign-up went on and came back"));
        }
        let hash = self.hasher.hash(turn, command.password.clone()).await?;
        let user_id = UserId::from_uuid(new_ids::derive(&[&made.directory.to_string(), "first user"]));
        let user = User::new_member(user_id, &name, &command.profile, false, call.now);
        if let Some(created) = retry(call, || self.create_once(call, &sign_up, &made, &user, &hash)).await? {
            return Ok(created);
        }
        let later = self.gone_on(&sign_up, &made, command.request_id).await?;
        later.ok_or(Refused::Defect("a sign-up neither went on nor stayed"))
    }

    /// Notes the directory that an attempt has made, so that somebody gives it up if nobody needs it. Where the attempt
    /// has made way for another one, it is noted as a sign-up of its own, which is left nothing but to be given up.
    async fn note(&self, sign_up: &SignUp, directory: DirectoryId) -> Result<(), Refused> {
        bookkeeping(|| self.note_once(sign_up, directory)).await
    }

    async fn note_once(&self, sign_up: &SignUp, directory: DirectoryId) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        if !sign_ups::note_directory(&mut tx, sign_up, directory).await? {
            let unwanted = SignUp {
                id: self.ids.random(),
                request_id: sign_up.inner_request_id("unwanted"),
                state: SignUpState::Abandoning,
                ..sign_up.clone()
            };
            sign_ups::insert(&mut tx, &unwanted).await?;
            sign_ups::note_directory(&mut tx, &unwanted, directory).await?;
        }
        Ok(tx.commit_bookkeeping().await?)
    }

    /// The local transaction: it happens once, whoever races; `None` when somebody else was faster.
    async fn create_once(
        &self,
        call: &Call,
        sign_up: &SignUp,
        made: &Made,
        user: &User,
        hash: &str,
    ) -> Result<Option<SignUp>, Refused> {
        let mut tx = self.db.write().await?;
        if !sign_ups::advance(&mut tx, sign_up, SignUpState::Created, call.now).await? {
            return Ok(None);
        }
        let provision = Permit::<ProvisionDirectory>::for_newcomer(made.directory, "sign-up", call.now);
        let known = KnownDirectory {
            state: DirectoryState::Provisioning,
            revision: made.revision,
            initial_domain: made.initial_domain.clone(),
        };
        store::directories::insert(&mut tx, &provision, &known, call.now).await?;
        insert_first_user(&mut tx, call, &provision, user, hash).await?;
        let answer = SignedUp {
            directory: made.directory,
            display_name: made.display_name.clone(),
            initial_domain: made.initial_domain.clone(),
            user: user.clone(),
        };
        sign_ups::record_answer(&mut tx, sign_up.id, &answer).await?;
        tx.commit(&provision, &self.clock).await?;
        Ok(Some(SignUp { state: SignUpState::Created, answer: Some(answer), ..sign_up.clone() }))
    }

    /// The last steps: the directory becomes active there, then here; the worker comes here too.
    pub(crate) async fn finish(&self, call: &Call, sign_up: &SignUp) -> Result<SignedUp, Refused> {
        let answer = sign_up.answer.clone().ok_or(Refused::Defect("a sign-up has no answer"))?;
        if sign_up.state == SignUpState::Created {
            fail_point::reached(FailPoint::AfterUser);
            let revision = self.directory.activate(sign_up, answer.directory).await?;
            fail_point::reached(FailPoint::AfterActivateDirectory);
            retry(call, || self.finish_once(call, sign_up, &answer, revision)).await?;
        }
        Ok(answer)
    }

    async fn finish_once(
        &self,
        call: &Call,
        sign_up: &SignUp,
        answer: &SignedUp,
        revision: i64,
    ) -> Result<(), Refused> {
        let mut tx = self.db.write().await?;
        if sign_ups::advance(&mut tx, sign_up, SignUpState::Done, call.now).await? {
            let permit = Permit::<ProvisionDirectory>::for_newcomer(answer.directory, "sign-up", call.now);
            store::directories::activate(&mut tx, &permit, revision).await?;
            tx.commit(&permit, &self.clock).await?;
        }
        Ok(())
    }

    /// Moves a saga to another state; says whether it was still where it is thought to be.
    pub(super) async fn advance(&self, sign_up: &SignUp, to: SignUpState) -> Result<bool, Refused> {
        bookkeeping(|| async {
            let mut tx = self.db.write().await?;
            let advanced = sign_ups::advance(&mut tx, sign_up, to, self.clock.now()).await?;
            tx.commit_bookkeeping().await?;
            Ok(advanced)
        })
        .await
    }
}

/// D-01: the person who signs up is the first user and Global Administrator.
pub(super) async fn insert_first_user(
    tx: &mut Tx,
    call: &Call,
    provision: &Permit<ProvisionDirectory>,
    user: &User,
    hash: &str,
) -> Result<(), Refused> {
    let directory = provision.directory();
    let create = Permit::<CreateUsers>::for_newcomer(directory, "sign-up", call.now);
    let assign = Permit::<WriteRoleAssignments>::for_newcomer(directory, "sign-up", call.now);
    let assignment = RoleAssignment {
        id: RoleAssignmentId::from_uuid(new_ids::derive(&[&user.id.to_string(), "first role"])),
        principal: user.id,
        role: roles::GLOBAL_ADMINISTRATOR.to_owned(),
        create_principal: user.principal(directory).to_string(),
        create_time: call.now,
        expire_time: None,
        revision: 1,
    };
    let inserted = store::users::insert(tx, &create, user, None).await?
        && store::role_assignments::insert(tx, &assign, &assignment).await?;
    if !inserted {
        return Err(Refused::Defect("a new directory is not empty"));
    }
    store::credentials::insert(tx, &create, user.id, hash, call.now).await?;
    let resource = user.principal(directory).to_string();
    let change = Change { resource, kind: ChangeKind::Created, after: user, changed_fields: &[] };
    change_log::append(tx, &create, call, &change).await?;
    let resource = format!("directories/{directory}/roleAssignments/{}", assignment.id);
    let change = Change { resource, kind: ChangeKind::Created, after: &assignment, changed_fields: &[] };
    Ok(change_log::append(tx, &assign, call, &change).await?)
}

/// P-9: the same request id with other content is another request.
fn same_request(call: &Call, sign_up: SignUp) -> Result<SignUp, Refused> {
    if sign_up.body_mac == call.fingerprint { Ok(sign_up) } else { Err(StoreError::RequestIdReused.into()) }
}

/// The first user's name under the initial domain, which is known only now.
fn full_name(name: &AdminName, made: &Made) -> Result<UserPrincipalName, Refusal> {
    const FIELD: &str = "admin_user.user_principal_name";
    let domain = &made.initial_domain;
    let local = match name {
        AdminName::Local(local) => local.clone(),
        AdminName::Full(full) if full.domain() == *domain => full.local(),
        AdminName::Full(_) => {
            return Err(field(FIELD, format!("must end with @{domain}, or have no domain")));
        }
    };
    local.at(domain).map_err(|invalid| field(FIELD, invalid.to_string()))
}

pub(super) fn field(field: &str, description: impl Into<String>) -> Refusal {
    let mut violations = Violations::new();
    violations.add(field, description);
    violations.finish().expect_err("a violation was added")
}
