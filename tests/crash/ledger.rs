//! What a client was promised, and whether the API keeps to it after a crash.

use api::directory::v1::GetDirectoryRequest;
use api::directory::v1::directory::State;
use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{
    DirectoryRoleAssignment, GetUserRequest, ListRoleAssignmentsRequest, SignedUpDirectory, User,
};
use api::subscription::v1::order_service_client::OrderServiceClient;
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{GetOrderRequest, GetSubscriptionRequest, Order, Subscription};
use tonic::Code;

use crate::client::{Client, PATIENCE, insist};
use crate::intent::{Answer, Intent, with_token};
use crate::system::Services;

/// What was asked, with which token, and what was answered.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) intent: Intent,
    pub(crate) token: String,
    pub(crate) answer: Answer,
}

/// A session that somebody opened, and the newest refresh token that they were given.
#[derive(Debug, Clone)]
pub(crate) struct OpenSession {
    pub(crate) name: String,
    pub(crate) refresh_token: String,
}

/// All that a client was promised.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: Vec<Entry>,
    /// What was not answered and never asked again.
    pub(crate) forgotten: Vec<Intent>,
    /// Sessions of earlier organisations that must still be good.
    pub(crate) sessions: Vec<OpenSession>,
    /// Sessions that were revoked.
    pub(crate) ended: Vec<OpenSession>,
    /// How many of the acknowledged were asked for again.
    pub(crate) settled: usize,
    /// How many entries have been looked at.
    looked_at: usize,
}

impl Ledger {
    /// What was acknowledged since the last look.
    pub(crate) fn news(&self) -> &[Entry] {
        &self.acknowledged[self.looked_at..]
    }

    /// From now on everything is news again.
    pub(crate) const fn look_anew(&mut self) {
        self.looked_at = 0;
    }
}

impl Client {
    /// Everything acknowledged since the last look is there, equal to what was answered, and answered again alike.
    pub(crate) async fn look(&mut self, services: &Services) {
        for entry in self.ledger.news() {
            if entry.intent.is_recorded() {
                let again = insist(&entry.intent, services, &entry.token, PATIENCE).await;
                let again =
                    again.unwrap_or_else(|status| panic!("{:?} is refused: {status:?}", entry.intent));
                assert!(again.is_same(&entry.answer), "{again:?} was answered as {:?}", entry.answer);
            }
            assert_there(entry, services).await;
        }
        self.ledger.looked_at = self.ledger.acknowledged.len();
        for ended in &self.ledger.ended {
            let refresh = Intent::Refresh { token: ended.refresh_token.clone() };
            let refused = insist(&refresh, services, "", PATIENCE).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{ended:?} lives again: {refused:?}");
        }
    }

    /// The sessions that nobody ended go on.
    pub(crate) async fn sessions_go_on(&mut self, services: &Services) {
        for session in self.open_sessions() {
            let refresh = Intent::Refresh { token: session.refresh_token.clone() };
            let answer = insist(&refresh, services, "", PATIENCE).await;
            let Ok(Answer::Refreshed(reply)) = answer else { panic!("{session:?} is lost: {answer:?}") };
            session.refresh_token = reply.refresh_token;
        }
    }
}

/// What the answer told of is there as it was answered. Sessions show themselves by going on.
async fn assert_there(entry: &Entry, services: &Services) {
    let token = &entry.token;
    match &entry.answer {
        Answer::SignedIn(_) | Answer::Refreshed(_) | Answer::Revoked(_) => {}
        Answer::SignedUp(reply) => {
            let admin = reply.user.as_ref().expect("a user is answered");
            let sign_in = Intent::SignIn { name: admin.user_principal_name.clone() };
            let answer = insist(&sign_in, services, "", PATIENCE).await;
            let Ok(Answer::SignedIn(signed_in)) = answer else { panic!("{admin:?} is lost: {answer:?}") };
            let signed_up = reply.directory.as_ref().expect("a directory is answered");
            assert_directory(services, &signed_in.access_token, signed_up).await;
            assert_user(services, &signed_in.access_token, admin).await;
        }
        Answer::User(user) => assert_user(services, token, user).await,
        Answer::Role(role) => assert_role(services, token, role).await,
        Answer::Placed(placed) => assert_placed(services, token, &placed.0, &placed.1).await,
    }
}

async fn assert_directory(services: &Services, token: &str, answered: &SignedUpDirectory) {
    let message = GetDirectoryRequest { name: answered.name.clone() };
    let mut directories = DirectoryServiceClient::new(services.directory.clone());
    let read = directories.get_directory(with_token(message, token)).await.unwrap();
    let read = read.into_inner().directory.expect("a directory is answered");
    assert_eq!(read.state(), State::Active);
    let told = (&read.name, &read.display_name, &read.initial_domain);
    assert_eq!(told, (&answered.name, &answered.display_name, &answered.initial_domain));
}

/// Signing in and roles count a user's revision up; everything else is as it was answered.
async fn assert_user(services: &Services, token: &str, answered: &User) {
    let message = GetUserRequest { name: answered.name.clone() };
    let mut users = UserServiceClient::new(services.identity.clone());
    let read = users.get_user(with_token(message, token)).await.unwrap();
    let read = read.into_inner().user.expect("a user is answered");
    let lasting = |user: &User| {
        (user.name.clone(), user.user_principal_name.clone(), user.display_name.clone(), user.create_time)
    };
    assert_eq!((lasting(&read), read.state()), (lasting(answered), answered.state()));
}

async fn assert_role(services: &Services, token: &str, answered: &DirectoryRoleAssignment) {
    let directory = answered.name.split("/roleAssignments/").next().expect("it is in a directory");
    let message = ListRoleAssignmentsRequest {
        parent: directory.to_owned(),
        filter: format!("principal = \"{}\" AND role = \"{}\"", answered.principal, answered.role),
        ..ListRoleAssignmentsRequest::default()
    };
    let mut roles = DirectoryRoleServiceClient::new(services.identity.clone());
    let read = roles.list_role_assignments(with_token(message, token)).await.unwrap();
    assert_eq!(read.into_inner().role_assignments, std::slice::from_ref(answered));
}

async fn assert_placed(services: &Services, token: &str, subscription: &Subscription, order: &Order) {
    let message = GetSubscriptionRequest { name: subscription.name.clone() };
    let mut subscriptions = SubscriptionServiceClient::new(services.subscription.clone());
    let read = subscriptions.get_subscription(with_token(message, token)).await.unwrap();
    assert_eq!(read.into_inner().subscription.as_ref(), Some(subscription));
    let message = GetOrderRequest { name: order.name.clone() };
    let mut orders = OrderServiceClient::new(services.subscription.clone());
    let read = orders.get_order(with_token(message, token)).await.unwrap();
    assert_eq!(read.into_inner().order.as_ref(), Some(order));
}
