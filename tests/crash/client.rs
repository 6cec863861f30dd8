//! One client: what it wants next, what it has learned, and what it was promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::identity::v1::{
    CreateRoleAssignmentRequest, CreateUserRequest, DirectoryRoleAssignment, PasswordProfile, SignUpRequest,
    User,
};
use api::subscription::v1::{AttachOffice365SubscriptionRequest, SignUpAzureSubscriptionRequest};
use tonic::Status;

use crate::chance::Chance;
use crate::intent::{Answer, Intent, PASSWORD, is_open};
use crate::ledger::{Entry, Ledger, OpenSession};
use crate::system::Services;

/// How long what was not answered may take until it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
const OFFICE_365: [&str; 3] = ["enterprisepack", "enterprisepremium", "visioclient"];
const FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
const PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";

/// A client of the storm; it asks for one thing after the other.
#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    chance: Chance,
    organisations: u64,
    present: Option<Organisation>,
    /// What it asked last and was not answered, with its token.
    pub(crate) unanswered: Option<(Intent, String)>,
    pub(crate) ledger: Ledger,
    /// Of four things that were not answered, how many it never asks for again.
    pub(crate) forgets: u64,
}

/// What a client knows of the directory that it signed up. What was asked for counts as used, answered or not.
#[derive(Debug)]
struct Organisation {
    directory: String,
    domain: String,
    admin: String,
    token: Option<String>,
    users: Vec<User>,
    sessions: Vec<OpenSession>,
    steps: u64,
    named: u64,
    attached: usize,
    signed_up_for_azure: bool,
}

impl Client {
    pub(crate) fn new(number: usize, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        for _ in 0..=number {
            chance = Chance::new(chance.next());
        }
        Self {
            number,
            chance,
            organisations: 0,
            present: None,
            unanswered: None,
            ledger: Ledger::default(),
            forgets: 0,
        }
    }

    /// Asks for one thing after the other, until it is told to stop or is not answered.
    pub(crate) async fn storm(&mut self, services: &Services, stop: &Arc<AtomicBool>) {
        while self.unanswered.is_none() && !stop.load(Ordering::SeqCst) {
            let (intent, token) = self.next();
            match intent.ask(services, &token).await {
                Ok(answer) => self.learn(intent, token, answer),
                Err(status) if is_open(&status) => self.unanswered = Some((intent, token)),
                Err(status) => panic!("{intent:?} is refused: {status:?}"),
            }
        }
    }

    /// Asks again for what was not answered, twice at once, until both are answered alike (P-9); or leaves it at that.
    pub(crate) async fn settle(&mut self, services: &Services) {
        let Some((intent, token)) = self.unanswered.take() else { return };
        if matches!(intent, Intent::SignIn { .. }) {
            return;
        }
        if self.chance.below(4) < self.forgets {
            return self.forget(intent);
        }
        let (one, twin) = tokio::join!(
            insist(&intent, services, &token, PATIENCE),
            insist(&intent, services, &token, PATIENCE)
        );
        let (one, twin) = (accepted(&intent, one), accepted(&intent, twin));
        assert!(one.is_same(&twin), "twins of {intent:?} are answered {one:?} and {twin:?}");
        self.ledger.settled += 1;
        self.learn(intent, token, one);
    }

    /// Nobody asks for it again: it happened, or it did not.
    fn forget(&mut self, intent: Intent) {
        match (&intent, &mut self.present) {
            (Intent::SignUp(_), _) => self.present = None,
            (Intent::Refresh { token }, Some(at)) => at.sessions.retain(|one| one.refresh_token != *token),
            (Intent::Revoke { session }, Some(at)) => at.sessions.retain(|one| one.name != *session),
            _ => {}
        }
        self.ledger.forgotten.push(intent);
    }

    fn next(&mut self) -> (Intent, String) {
        if self.present.as_ref().is_none_or(|at| at.steps > 12) {
            self.organisations += 1;
            return (Intent::SignUp(self.sign_up_request()), String::new());
        }
        let (number, first) = (self.number, self.organisations);
        let at = self.present.as_mut().expect("it was looked at");
        let Some(token) = at.token.clone() else {
            return (Intent::SignIn { name: at.admin.clone() }, String::new());
        };
        loop {
            at.steps += 1;
            // Every client begins elsewhere, so that all kinds of work are under way when somebody dies.
            let turn = at.steps + first + u64::try_from(number).expect("clients are few");
            if let Some(intent) = at.step(turn, &mut self.chance) {
                return (intent, token);
            }
        }
    }

    fn sign_up_request(&self) -> SignUpRequest {
        let label = format!("storm-{}-{}", self.number, self.organisations);
        SignUpRequest {
            organization_display_name: format!("The company {label}"),
            domain_label: label,
            admin_user: Some(User {
                user_principal_name: "ada".to_owned(),
                display_name: "Ada Lindqvist".to_owned(),
                ..User::default()
            }),
            password: PASSWORD.to_owned(),
            request_id: request_id(),
            ..SignUpRequest::default()
        }
    }

    /// Takes an answer into what is known, and into the ledger.
    fn learn(&mut self, intent: Intent, token: String, answer: Answer) {
        match &answer {
            Answer::SignedUp(reply) => {
                let directory = reply.directory.clone().expect("a directory is answered");
                let admin = reply.user.clone().expect("a user is answered");
                let present = Organisation::new(directory.name, directory.initial_domain, &admin);
                if let Some(before) = self.present.replace(present) {
                    self.ledger.sessions.extend(before.sessions);
                }
            }
            Answer::SignedIn(reply) => {
                let at = self.present.as_mut().expect("somebody signed up");
                let name = reply.session.clone().expect("a session is answered").name;
                if at.token.is_none() {
                    at.token = Some(reply.access_token.clone());
                } else {
                    at.sessions.push(OpenSession { name, refresh_token: reply.refresh_token.clone() });
                }
            }
            Answer::User(user) => {
                self.present.as_mut().expect("somebody signed up").users.push(user.as_ref().clone());
            }
            Answer::Refreshed(reply) => {
                let name = reply.session.clone().expect("a session is answered").name;
                let at = self.present.as_mut().expect("somebody signed up");
                let session = at.sessions.iter_mut().find(|one| one.name == name).expect("it was open");
                session.refresh_token.clone_from(&reply.refresh_token);
            }
            Answer::Revoked(session) => {
                let at = self.present.as_mut().expect("somebody signed up");
                let ended = at.sessions.extract_if(.., |one| one.name == session.name);
                self.ledger.ended.extend(ended);
            }
            Answer::Role(_) | Answer::Placed(_) => {}
        }
        self.ledger.acknowledged.push(Entry { intent, token, answer });
    }

    /// Signs up and in; gives what would refresh the session.
    pub(crate) async fn opens_a_session(&mut self, services: &Services) -> Intent {
        loop {
            let (intent, token) = self.next();
            let answer = accepted(&intent, insist(&intent, services, &token, PATIENCE).await);
            if let Answer::SignedIn(reply) = answer {
                return Intent::Refresh { token: reply.refresh_token };
            }
            self.learn(intent, token, answer);
        }
    }

    /// The sessions that must still be good.
    pub(crate) fn open_sessions(&mut self) -> impl Iterator<Item = &mut OpenSession> {
        let present = self.present.iter_mut().flat_map(|at| &mut at.sessions);
        self.ledger.sessions.iter_mut().chain(present)
    }
}

impl Organisation {
    fn new(directory: String, domain: String, admin: &User) -> Self {
        Self {
            directory,
            domain,
            admin: admin.user_principal_name.clone(),
            token: None,
            users: Vec::new(),
            sessions: Vec::new(),
            steps: 0,
            named: 0,
            attached: 0,
            signed_up_for_azure: false,
        }
    }

    /// The next thing of this turn's kind; `None` where there is nothing of the kind to do.
    fn step(&mut self, turn: u64, chance: &mut Chance) -> Option<Intent> {
        match turn % 7 {
            0 => Some(self.create_user()),
            1 => self.attach(),
            2 => Some(self.sign_up_for_azure()),
            3 => {
                let user = chance.of(&self.users)?;
                Some(Intent::SignIn { name: user.user_principal_name.clone() })
            }
            4 => {
                let session = chance.of(&self.sessions)?;
                Some(Intent::Refresh { token: session.refresh_token.clone() })
            }
            5 => self.assign_role(chance),
            _ => {
                let session = chance.of(&self.sessions)?;
                (chance.below(2) == 0).then(|| Intent::Revoke { session: session.name.clone() })
            }
        }
    }

    fn create_user(&mut self) -> Intent {
        self.named += 1;
        let user = User {
            user_principal_name: format!("kim{}@{}", self.named, self.domain),
            display_name: format!("Kim {}", self.named),
            password_profile: Some(PasswordProfile { password: PASSWORD.to_owned(), change_required: false }),
            ..User::default()
        };
        Intent::CreateUser(CreateUserRequest {
            parent: self.directory.clone(),
            user: Some(user),
            request_id: request_id(),
            validate_only: false,
        })
    }

    fn attach(&mut self) -> Option<Intent> {
        let product = OFFICE_365.get(self.attached)?;
        self.attached += 1;
        Some(Intent::Attach(AttachOffice365SubscriptionRequest {
            parent: self.directory.clone(),
            offer: format!("products/{product}/offers/monthly"),
            trial: true,
            accept_terms: true,
            request_id: request_id(),
            ..AttachOffice365SubscriptionRequest::default()
        }))
    }

    fn sign_up_for_azure(&mut self) -> Intent {
        let offer = if self.signed_up_for_azure { PAY_AS_YOU_GO } else { FREE_TRIAL };
        self.signed_up_for_azure = true;
        Intent::SignUpAzure(SignUpAzureSubscriptionRequest {
            offer: offer.to_owned(),
            accept_terms: true,
            expected_directory: self.directory.clone(),
            request_id: request_id(),
            ..SignUpAzureSubscriptionRequest::default()
        })
    }

    fn assign_role(&self, chance: &mut Chance) -> Option<Intent> {
        let user = chance.of(&self.users)?;
        let role = ["billing-administrator", "global-reader"][usize::from(chance.below(2) == 0)];
        Some(Intent::AssignRole(CreateRoleAssignmentRequest {
            parent: self.directory.clone(),
            role_assignment: Some(DirectoryRoleAssignment {
                role: format!("directoryRoles/{role}"),
                principal: user.name.clone(),
                ..DirectoryRoleAssignment::default()
            }),
            // Who was forgotten may hold it.
            allow_existing: true,
            request_id: request_id(),
        }))
    }
}

/// Asks until it is answered or refused.
pub(crate) async fn insist(
    intent: &Intent,
    services: &Services,
    token: &str,
    patience: Duration,
) -> Result<Answer, Status> {
    let begun = Instant::now();
    loop {
        match intent.ask(services, token).await {
            Err(status) if is_open(&status) && begun.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

fn accepted(intent: &Intent, outcome: Result<Answer, Status>) -> Answer {
    outcome.unwrap_or_else(|status| panic!("{intent:?}, asked again, is refused: {status:?}"))
}

pub(crate) fn request_id() -> String {
    runtime::clock::system_ids().random().to_string()
}
