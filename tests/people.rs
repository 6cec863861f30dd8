//! People who act through the public API, whatever stands between them and the services.

use std::future::Future;

use api::directory::v1::directory_service_client::DirectoryServiceClient;
use api::directory::v1::lien_service_client::LienServiceClient;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::identity::v1::{
    self as identity, CreateRoleAssignmentRequest, CreateUserRequest, DirectoryRoleAssignment,
    PasswordProfile, SignInRequest, SignInResponse, SignUpRequest, User,
};
use api::subscription::v1::order_service_client::OrderServiceClient;
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse, SignUpAzureSubscriptionRequest,
    Subscription,
};
use http::{Request as HttpRequest, Response as HttpResponse};
use kernel::Ids;
use tonic::body::Body;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use tower::util::BoxCloneSyncService;

/// Office 365 Enterprise E3, by the month.
pub const E3: &str = "products/enterprisepack/offers/monthly";
/// Office 365 Enterprise E5, by the month.
pub const E5: &str = "products/enterprisepremium/offers/monthly";
/// Visio, by the month.
pub const VISIO: &str = "products/visioclient/offers/monthly";
/// The free Azure trial.
pub const FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
/// Azure, paid as it is used.
pub const PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";
/// Azure under an Enterprise Agreement.
pub const ENTERPRISE_OFFER: &str = "products/azure/offers/ms-azr-0017p";
/// Everybody's password.
pub const PASSWORD: &str = "Correct-Horse-9";

/// How a client reaches a service: in this process, over a channel, or over several.
pub type Wire = BoxCloneSyncService<HttpRequest<Body>, HttpResponse<Body>, Status>;

/// The ways to the three services.
#[derive(Debug, Clone)]
pub struct People {
    /// To the directory context.
    pub directory: Wire,
    /// To the identity context.
    pub identity: Wire,
    /// To the subscription context.
    pub subscription: Wire,
    /// Where request ids come from.
    pub ids: Ids,
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Resource name.
    pub name: String,
    /// By which they sign in.
    pub user_principal_name: String,
    /// Resource name of their directory.
    pub directory: String,
    /// Resource name of their session.
    pub session: String,
    /// Access token.
    pub token: String,
    /// Refresh token.
    pub refresh_token: String,
}

impl People {
    /// A client of the service.
    pub fn directories(&self) -> DirectoryServiceClient<Wire> {
        DirectoryServiceClient::new(self.directory.clone())
    }
    /// A client of the service.
    pub fn liens(&self) -> LienServiceClient<Wire> {
        LienServiceClient::new(self.directory.clone())
    }
    /// A client of the service.
    pub fn sign_ups(&self) -> SignUpServiceClient<Wire> {
        SignUpServiceClient::new(self.identity.clone())
    }
    /// A client of the service.
    pub fn users(&self) -> UserServiceClient<Wire> {
        UserServiceClient::new(self.identity.clone())
    }
    /// A client of the service.
    pub fn sessions(&self) -> SessionServiceClient<Wire> {
        SessionServiceClient::new(self.identity.clone())
    }
    /// A client of the service.
    pub fn roles(&self) -> DirectoryRoleServiceClient<Wire> {
        DirectoryRoleServiceClient::new(self.identity.clone())
    }
    /// A client of the service.
    pub fn orders(&self) -> OrderServiceClient<Wire> {
        OrderServiceClient::new(self.subscription.clone())
    }
    /// A client of the service.
    pub fn subscriptions(&self) -> SubscriptionServiceClient<Wire> {
        SubscriptionServiceClient::new(self.subscription.clone())
    }

    /// A new request id.
    pub fn request_id(&self) -> String {
        self.ids.random().to_string()
    }

    /// What signs an organisation up under a label.
    pub fn sign_up_request(&self, label: &str) -> SignUpRequest {
        SignUpRequest {
            organization_display_name: format!("The {label} company"),
            domain_label: label.to_owned(),
            admin_user: Some(User {
                user_principal_name: "ada".to_owned(),
                display_name: "Ada".to_owned(),
                ..User::default()
            }),
            password: PASSWORD.to_owned(),
            request_id: self.request_id(),
            ..SignUpRequest::default()
        }
    }

    /// A new directory with Ada, its Global Administrator, signed in.
    pub async fn sign_up(&self, label: &str) -> Person {
        self.signed_up(self.sign_up_request(label).into_request()).await
    }

    /// Signs up, and signs the first user in.
    pub async fn signed_up(&self, request: Request<SignUpRequest>) -> Person {
        let reply = self.sign_ups().sign_up(request).await.expect("the sign-up is good").into_inner();
        self.sign_in(&reply.user.expect("a user is answered").user_principal_name).await
    }

    /// A new member without any role, signed in.
    pub async fn add(&self, admin: &Person, local: &str) -> Person {
        let domain = admin.user_principal_name.split('@').nth(1).expect("a name has a domain");
        let message = CreateUserRequest {
            parent: admin.directory.clone(),
            user: Some(User {
                user_principal_name: format!("{local}@{domain}"),
                display_name: local.to_owned(),
                password_profile: Some(PasswordProfile {
                    password: PASSWORD.to_owned(),
                    change_required: false,
                }),
                ..User::default()
            }),
            request_id: self.request_id(),
            validate_only: false,
        };
        let reply =
            self.users().create_user(admin.says(message)).await.expect("the user is good").into_inner();
        self.sign_in(&reply.user.expect("a user is answered").user_principal_name).await
    }

    /// Signs in, or is refused.
    pub async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignInResponse, Status> {
        let message = SignInRequest {
            user_principal_name: name.to_owned(),
            password: password.to_owned(),
            client_description: "a test".to_owned(),
        };
        self.sessions().sign_in(message).await.map(tonic::Response::into_inner)
    }

    /// Signs in.
    pub async fn sign_in(&self, name: &str) -> Person {
        let reply = self.try_sign_in(name, PASSWORD).await.expect("the password is right");
        let user = reply.user.expect("a user is answered");
        Person {
            directory: user.name.split("/users/").next().expect("a user is in a directory").to_owned(),
            name: user.name,
            user_principal_name: user.user_principal_name,
            session: reply.session.expect("a session is answered").name,
            token: reply.access_token,
            refresh_token: reply.refresh_token,
        }
    }

    /// Gives a directory role; gives the assignment's name.
    pub async fn give(&self, admin: &Person, to: &Person, role: &str) -> String {
        let message = CreateRoleAssignmentRequest {
            parent: admin.directory.clone(),
            role_assignment: Some(DirectoryRoleAssignment {
                role: format!("directoryRoles/{role}"),
                principal: to.name.clone(),
                ..DirectoryRoleAssignment::default()
            }),
            allow_existing: false,
            request_id: self.request_id(),
        };
        let reply =
            self.roles().create_role_assignment(admin.says(message)).await.expect("the role is given");
        reply.into_inner().role_assignment.expect("an assignment is answered").name
    }

    /// Takes a role away.
    pub async fn take(&self, admin: &Person, assignment: &str) -> Result<(), Status> {
        let message = identity::DeleteRoleAssignmentRequest {
            name: assignment.to_owned(),
            request_id: self.request_id(),
            ..identity::DeleteRoleAssignmentRequest::default()
        };
        self.roles().delete_role_assignment(admin.says(message)).await.map(|_| ())
    }

    /// The name of the assignment by which a person holds a role.
    pub async fn assignment_of(&self, admin: &Person, holder: &Person, role: &str) -> String {
        let message = identity::ListRoleAssignmentsRequest {
            parent: admin.directory.clone(),
            filter: format!("principal = \"{}\" AND role = \"directoryRoles/{role}\"", holder.name),
            ..identity::ListRoleAssignmentsRequest::default()
        };
        let reply =
            self.roles().list_role_assignments(admin.says(message)).await.expect("an administrator lists");
        reply.into_inner().role_assignments.pop().expect("the person holds the role").name
    }

    /// What attaches a trial.
    pub fn trial_request(&self, directory: &str, offer: &str) -> AttachOffice365SubscriptionRequest {
        AttachOffice365SubscriptionRequest {
            parent: directory.to_owned(),
            offer: offer.to_owned(),
            trial: true,
            accept_terms: true,
            request_id: self.request_id(),
            ..AttachOffice365SubscriptionRequest::default()
        }
    }

    /// Attaches Office 365.
    pub async fn attach(
        &self,
        person: &Person,
        message: AttachOffice365SubscriptionRequest,
    ) -> Result<AttachOffice365SubscriptionResponse, Status> {
        let reply = self.subscriptions().attach_office365_subscription(person.says(message)).await?;
        Ok(reply.into_inner())
    }

    /// Attaches a trial in the person's own directory.
    pub async fn attach_trial(&self, person: &Person, offer: &str) -> Result<Subscription, Status> {
        let reply = self.attach(person, self.trial_request(&person.directory, offer)).await?;
        Ok(reply.subscription.expect("a subscription is answered"))
    }

    /// What signs up for Azure.
    pub fn azure_request(&self, offer: &str) -> SignUpAzureSubscriptionRequest {
        SignUpAzureSubscriptionRequest {
            offer: offer.to_owned(),
            display_name: "Azure".to_owned(),
            accept_terms: true,
            request_id: self.request_id(),
            ..SignUpAzureSubscriptionRequest::default()
        }
    }

    /// Signs up for Azure.
    pub async fn azure(&self, person: &Person, offer: &str) -> Result<Subscription, Status> {
        self.azure_with(person, self.azure_request(offer)).await
    }

    /// Signs up for Azure with a message of its own.
    pub async fn azure_with(
        &self,
        person: &Person,
        message: SignUpAzureSubscriptionRequest,
    ) -> Result<Subscription, Status> {
        let reply = self.subscriptions().sign_up_azure_subscription(person.says(message)).await?;
        Ok(reply.into_inner().subscription.expect("a subscription is answered"))
    }
}

impl Person {
    /// A request with this person's token.
    pub fn says<M>(&self, message: M) -> Request<M> {
        with_token(message, &self.token)
    }
}

/// Makes a plain request, so that it can be told apart from one with a token.
pub trait IntoRequest: Sized {
    /// The request.
    fn into_request(self) -> Request<Self> {
        Request::new(self)
    }
}
impl IntoRequest for SignUpRequest {}

/// A request with an access token.
pub fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// `CODE/REASON` of a refusal.
pub fn reason(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    format!("{:?}/{reason}", status.code())
}

/// One entry of a refusal's metadata.
pub fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.remove(key)
}

/// Runs as many futures as given at the same time, on several threads, and gives their results in order.
pub async fn together<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<T> {
    let mut set = tokio::task::JoinSet::new();
    for (index, future) in futures.into_iter().enumerate() {
        set.spawn(async move { (index, future.await) });
    }
    let mut results = set.join_all().await;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
