//! What a client may want, with everything that is needed to ask for it again, and what it can be answered.

use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{
    CreateRoleAssignmentRequest, CreateUserRequest, DirectoryRoleAssignment, RefreshSessionRequest,
    RefreshSessionResponse, RevokeSessionRequest, Session, SignInRequest, SignInResponse, SignUpRequest,
    SignUpResponse, User,
};
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, Order, SignUpAzureSubscriptionRequest, Subscription,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::system::Services;

pub(crate) const PASSWORD: &str = "Correct-Horse-9";

/// One thing that a client wants, once.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    SignUp(SignUpRequest),
    SignIn { name: String },
    CreateUser(CreateUserRequest),
    AssignRole(CreateRoleAssignmentRequest),
    Attach(AttachOffice365SubscriptionRequest),
    SignUpAzure(SignUpAzureSubscriptionRequest),
    Refresh { token: String },
    Revoke { session: String },
}

/// The answer to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    SignedUp(Box<SignUpResponse>),
    SignedIn(Box<SignInResponse>),
    User(Box<User>),
    Role(Box<DirectoryRoleAssignment>),
    Placed(Box<(Subscription, Order)>),
    Refreshed(Box<RefreshSessionResponse>),
    Revoked(Box<Session>),
}

impl Intent {
    pub(crate) async fn ask(&self, services: &Services, token: &str) -> Result<Answer, Status> {
        let identity = services.identity.clone();
        let subscription = services.subscription.clone();
        Ok(match self.clone() {
            Self::SignUp(message) => {
                let reply = SignUpServiceClient::new(identity).sign_up(message).await?;
                Answer::SignedUp(Box::new(reply.into_inner()))
            }
            Self::SignIn { name } => {
                let message = SignInRequest {
                    user_principal_name: name,
                    password: PASSWORD.to_owned(),
                    client_description: "a storm".to_owned(),
                };
                let reply = SessionServiceClient::new(identity).sign_in(message).await?;
                Answer::SignedIn(Box::new(reply.into_inner()))
            }
            Self::CreateUser(message) => {
                let reply = UserServiceClient::new(identity).create_user(with_token(message, token)).await?;
                Answer::User(Box::new(reply.into_inner().user.expect("a user is answered")))
            }
            Self::AssignRole(message) => {
                let mut roles = DirectoryRoleServiceClient::new(identity);
                let reply = roles.create_role_assignment(with_token(message, token)).await?;
                Answer::Role(Box::new(reply.into_inner().role_assignment.expect("an assignment is answered")))
            }
            Self::Attach(message) => {
                let mut subscriptions = SubscriptionServiceClient::new(subscription);
                let reply = subscriptions.attach_office365_subscription(with_token(message, token)).await?;
                let reply = reply.into_inner();
                placed(reply.subscription, reply.order)
            }
            Self::SignUpAzure(message) => {
                let mut subscriptions = SubscriptionServiceClient::new(subscription);
                let reply = subscriptions.sign_up_azure_subscription(with_token(message, token)).await?;
                let reply = reply.into_inner();
                placed(reply.subscription, reply.order)
            }
            Self::Refresh { token } => {
                let message = RefreshSessionRequest { refresh_token: token };
                let reply = SessionServiceClient::new(identity).refresh_session(message).await?;
                Answer::Refreshed(Box::new(reply.into_inner()))
            }
            Self::Revoke { session } => {
                let message = with_token(RevokeSessionRequest { name: session }, token);
                let reply = SessionServiceClient::new(identity).revoke_session(message).await?;
                Answer::Revoked(Box::new(reply.into_inner().session.expect("a session is answered")))
            }
        })
    }

    /// How many kinds there are.
    pub(crate) const KINDS: usize = 8;

    /// What kind of thing it is.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::SignUp(_) => "sign up",
            Self::SignIn { .. } => "sign in",
            Self::CreateUser(_) => "create a user",
            Self::AssignRole(_) => "assign a role",
            Self::Attach(_) => "attach",
            Self::SignUpAzure(_) => "sign up for Azure",
            Self::Refresh { .. } => "refresh",
            Self::Revoke { .. } => "revoke",
        }
    }

    /// Whether an answer can be had again, however often and late: it is recorded under the request's id (P-9).
    pub(crate) const fn is_recorded(&self) -> bool {
        match self {
            Self::SignUp(_)
            | Self::CreateUser(_)
            | Self::AssignRole(_)
            | Self::Attach(_)
            | Self::SignUpAzure(_) => true,
            Self::SignIn { .. } | Self::Refresh { .. } | Self::Revoke { .. } => false,
        }
    }
}

impl Answer {
    /// Whether both tell of the same thing; of sessions only what a repetition keeps (K22).
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refreshed(one), Self::Refreshed(two)) => {
                (&one.refresh_token, &one.session) == (&two.refresh_token, &two.session)
            }
            (Self::SignedIn(_), Self::SignedIn(_)) => true,
            (one, two) => one == two,
        }
    }
}

fn placed(subscription: Option<Subscription>, order: Option<Order>) -> Answer {
    let subscription = subscription.expect("a subscription is answered");
    Answer::Placed(Box::new((subscription, order.expect("an order is answered"))))
}

/// Whether an error leaves open what has happened, or says to come again; anything else is a refusal.
pub(crate) fn is_open(status: &Status) -> bool {
    let is_of_the_transport = std::error::Error::source(status).is_some();
    let is_to_be_repeated = reason(status) != "SIGN_UP_ABANDONED";
    is_of_the_transport
        || is_to_be_repeated
            && matches!(
                status.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::ResourceExhausted
            )
}

/// What the first detail of an error says to programs.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

pub(crate) fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}
