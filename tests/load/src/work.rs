//! The calls that are measured: each is answered, its code is looked at and one field of its answer.

use std::fmt;
use std::sync::Arc;

use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{CheckDirectoryRoleRequest, Decision, GetUserRequest};
use api::subscription::v1::catalog_service_client::CatalogServiceClient;
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{AttachOffice365SubscriptionRequest, Kind, ListOffersRequest};
use api::types::v1::ReadConsistency;
use api::types::v1::read_consistency::Level;
use kernel::Ids;
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;

use crate::Failed;
use crate::drive::{Counter, Work};
use crate::people::{Caller, Person, create_user_request, sign_in_once};
use crate::subject::{Subject, connect};

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkKind {
    /// `CheckDirectoryRole` by somebody about themselves, with `minimize_latency`.
    CheckCached,
    /// The same, fully consistent.
    CheckFresh,
    /// `CheckDirectoryRole` by an administrator about somebody else, fully consistent.
    CheckFreshOther,
    /// `GetUser` by an administrator.
    GetUser,
    /// `CreateUser` without a password.
    CreateUser,
    /// `AttachOffice365Subscription` of another product or directory each time.
    Attach,
    /// `SignIn`.
    SignIn,
}

impl fmt::Display for WorkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CheckCached => "check-cached",
            Self::CheckFresh => "check-fresh",
            Self::CheckFreshOther => "check-fresh-other",
            Self::GetUser => "get-user",
            Self::CreateUser => "create-user",
            Self::Attach => "attach",
            Self::SignIn => "sign-in",
        })
    }
}

/// Who calls a subject, and what each call takes another of.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Offers of which each directory can take one of each product.
    offers: Vec<String>,
    users: Counter,
    /// Of (directory, offer); the first offer was taken by the preparation.
    attached: Counter,
    ids: Ids,
}

impl Stage {
    pub(crate) async fn new(subject: &Subject, caller: &Caller, ids: Ids) -> Result<Self, Failed> {
        let offers = offers(subject, caller).await?;
        Ok(Self { offers, users: Counter::default(), attached: Counter::default(), ids })
    }
}

/// Calls of one kind over their own connections.
#[derive(Debug)]
pub(crate) struct ApiWork {
    kind: WorkKind,
    stage: Arc<Stage>,
    callers: Arc<Vec<Caller>>,
    channels: Vec<Channel>,
    calls: Counter,
}

impl ApiWork {
    pub(crate) async fn new(
        kind: WorkKind,
        stage: &Arc<Stage>,
        callers: &Arc<Vec<Caller>>,
        subject: &Subject,
        connections: usize,
    ) -> Result<Self, Failed> {
        let address = if kind == WorkKind::Attach { &subject.subscription } else { &subject.identity };
        let channels = connect(address, connections).await?;
        let (stage, callers) = (Arc::clone(stage), Arc::clone(callers));
        Ok(Self { kind, stage, callers, channels, calls: Counter::default() })
    }

    /// The next caller in turn.
    fn caller(&self) -> &Caller {
        let number = usize::try_from(self.calls.next()).unwrap_or_default();
        &self.callers[number % self.callers.len()]
    }
}

impl Work for ApiWork {
    async fn call(&self, client: usize) -> Result<(), Failed> {
        let channel = self.channels[client % self.channels.len()].clone();
        match self.kind {
            WorkKind::CheckCached => check(channel, self.caller(), Level::MinimizeLatency(true), true).await,
            WorkKind::CheckFresh => check(channel, self.caller(), Level::FullyConsistent(true), true).await,
            WorkKind::CheckFreshOther => {
                check(channel, self.caller(), Level::FullyConsistent(true), false).await
            }
            WorkKind::GetUser => get_user(channel, self.caller()).await,
            WorkKind::CreateUser => create_user(channel, self.caller(), &self.stage).await,
            WorkKind::Attach => attach(channel, &self.callers, &self.stage).await,
            WorkKind::SignIn => sign_in(channel, self.caller()).await,
        }
    }
}

async fn check(channel: Channel, caller: &Caller, level: Level, own: bool) -> Result<(), Failed> {
    let Person { directory, user, other, .. } = &caller.person;
    let principal = if own { user } else { other };
    let roles: &[&str] = if own { &["directoryRoles/global-administrator"] } else { &[] };
    let message = CheckDirectoryRoleRequest {
        directory: directory.clone(),
        principal: principal.clone(),
        any_of_roles: roles.iter().map(ToString::to_string).collect(),
        consistency: Some(ReadConsistency { level: Some(level) }),
        ..CheckDirectoryRoleRequest::default()
    };
    let mut client = DirectoryRoleServiceClient::new(channel);
    let answer = client.check_directory_role(caller.says(message)).await?.into_inner();
    right(answer.decision() == Decision::Allowed && answer.principal == *principal, "the judgement")
}

async fn get_user(channel: Channel, caller: &Caller) -> Result<(), Failed> {
    let name = &caller.person.other;
    let message = caller.says(GetUserRequest { name: name.clone() });
    let answer = UserServiceClient::new(channel).get_user(message).await?.into_inner();
    right(answer.user.is_some_and(|user| user.name == *name), "the user")
}

async fn create_user(channel: Channel, caller: &Caller, stage: &Stage) -> Result<(), Failed> {
    let message = create_user_request(&caller.person, &format!("u{}", stage.users.next()), &stage.ids);
    let name = message.user.as_ref().map(|user| user.user_principal_name.clone());
    let answer = UserServiceClient::new(channel).create_user(caller.says(message)).await?.into_inner();
    right(answer.user.map(|user| user.user_principal_name) == name, "the new user")
}

async fn attach(channel: Channel, callers: &[Caller], stage: &Stage) -> Result<(), Failed> {
    let number = usize::try_from(stage.attached.next())?;
    let (caller, offer) = (&callers[number % callers.len()], 1 + number / callers.len());
    let offer =
        stage.offers.get(offer).ok_or("every product is attached everywhere: take more directories")?;
    let message = caller.says(attach_request(&caller.person, offer, &stage.ids));
    let mut client = SubscriptionServiceClient::new(channel);
    let answer = client.attach_office365_subscription(message).await?.into_inner();
    right(answer.subscription.is_some_and(|one| one.offer == *offer), "the subscription")
}

async fn sign_in(channel: Channel, caller: &Caller) -> Result<(), Failed> {
    let answer = sign_in_once(channel, &caller.person.user_principal_name).await?;
    right(answer.user.is_some_and(|user| user.name == caller.person.user), "who signed in")
}

fn right(is_right: bool, what: &str) -> Result<(), Failed> {
    if is_right { Ok(()) } else { Err(format!("{what} is not what was asked for").into()) }
}

/// An order of some seats.
pub(crate) fn attach_request(person: &Person, offer: &str, ids: &Ids) -> AttachOffice365SubscriptionRequest {
    AttachOffice365SubscriptionRequest {
        parent: person.directory.clone(),
        offer: offer.to_owned(),
        seat_count: 10,
        accept_terms: true,
        request_id: ids.random().to_string(),
        ..AttachOffice365SubscriptionRequest::default()
    }
}

/// One offer of each product that is sold by the month and for these seats.
pub(crate) async fn offers(subject: &Subject, caller: &Caller) -> Result<Vec<String>, Failed> {
    let channel = connect(&subject.subscription, 1).await?.swap_remove(0);
    let message = ListOffersRequest {
        parent: "products/-".to_owned(),
        page_size: 1000,
        ..ListOffersRequest::default()
    };
    let answer = CatalogServiceClient::new(channel).list_offers(caller.says(message)).await?.into_inner();
    let fits = |min: i32, max: i32| min <= 10 && (max == 0 || max >= 10);
    let monthly = answer.offers.into_iter().filter(|offer| {
        offer.kind() == Kind::Office365Seats
            && offer.name.ends_with("/offers/monthly")
            && fits(offer.min_seats, offer.max_seats)
    });
    Ok(monthly.map(|offer| offer.name).collect())
}
