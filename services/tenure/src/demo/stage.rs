//! The stage of the play: who is on it, what they can do through the API, and the printed line of each step.

use std::fmt;
use std::io::Write;

use api::identity::v1 as identity;
use api::identity::v1::directory_role_service_client::DirectoryRoleServiceClient;
use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::user_service_client::UserServiceClient;
use api::subscription::v1 as subscription;
use api::subscription::v1::order_service_client::OrderServiceClient;
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use runtime::clock::system_ids;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// A step went otherwise than the play tells it.
#[derive(Debug, thiserror::Error)]
#[error("the demo went otherwise than told: {step}: {got}")]
pub struct WentOtherwise {
    step: String,
    got: String,
}

impl WentOtherwise {
    pub(super) fn new(step: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self { step: step.to_string(), got: got.to_string() }
    }
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) user: identity::User,
    pub(super) password: String,
    pub(super) directory: String,
    pub(super) session: String,
    token: String,
}

impl Actor {
    /// How the printed lines call the actor.
    pub(super) fn display_name(&self) -> &str {
        &self.user.display_name
    }
}

/// What is told about a refusal, read from its details.
pub(super) struct Told {
    pub(super) code: Code,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) roles: Option<String>,
}

impl Told {
    fn of(status: &Status) -> Self {
        let info = status.get_details_error_info();
        let roles = info.as_ref().and_then(|info| info.metadata.get("roles")).cloned();
        let reason = info.map(|info| info.reason).unwrap_or_default();
        Self { code: status.code(), reason, message: status.message().to_owned(), roles }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.code, self.reason, self.message)?;
        match &self.roles {
            Some(roles) => write!(f, " (roles that would do: {roles})"),
            None => Ok(()),
        }
    }
}

pub(super) struct Stage<'o> {
    channel: Channel,
    operator_token: String,
    out: &'o mut (dyn Write + Send),
}

impl<'o> Stage<'o> {
    pub(super) fn new(channel: Channel, operator_token: String, out: &'o mut (dyn Write + Send)) -> Self {
        Self { channel, operator_token, out }
    }

    /// Prints a heading.
    pub(super) fn scene(&mut self, title: &str) {
        let _ = writeln!(self.out, "\n{title}");
    }

    /// Prints what a reply says.
    pub(super) fn tell(&mut self, line: impl fmt::Display) {
        let _ = writeln!(self.out, "  {line}");
    }

    /// Prints what a reply says if it is as told; otherwise the play ends.
    pub(super) fn must(&mut self, as_told: bool, line: impl fmt::Display) -> Result<(), WentOtherwise> {
        if !as_told {
            return Err(WentOtherwise::new("not as told", line));
        }
        self.tell(line);
        Ok(())
    }

    /// Prints a refusal if it is the one that is told; otherwise the play ends.
    pub(super) fn must_refuse<T>(
        &mut self,
        step: impl fmt::Display,
        result: Result<T, Status>,
        expected: (Code, &str),
    ) -> Result<Told, WentOtherwise> {
        let (code, reason) = expected;
        let Err(status) = result else {
            return Err(WentOtherwise::new(step, format!("allowed, but {reason} was told")));
        };
        let told = Told::of(&status);
        if (told.code, told.reason.as_str()) != (code, reason) {
            return Err(WentOtherwise::new(step, format!("{told}, but {code:?} {reason} was told")));
        }
        self.tell(format!("{step}: refused, {told}"));
        Ok(told)
    }

    /// Signs up an organisation; its first user is Global Administrator.
    pub(super) async fn sign_up(
        &mut self,
        organization: &str,
        label: &str,
        admin: (&str, &str),
        enterprise: bool,
    ) -> Result<Actor, WentOtherwise> {
        let (local, display_name) = admin;
        let password = password_of(local);
        let agreement = if enterprise {
            identity::AgreementType::Enterprise
        } else {
            identity::AgreementType::SelfService
        };
        let message = identity::SignUpRequest {
            organization_display_name: organization.to_owned(),
            domain_label: label.to_owned(),
            agreement_type: agreement.into(),
            admin_user: Some(identity::User {
                user_principal_name: local.to_owned(),
                display_name: display_name.to_owned(),
                ..identity::User::default()
            }),
            password: password.clone(),
            request_id: request_id(),
            ..identity::SignUpRequest::default()
        };
        // Enterprise Agreements are the operator's to grant (K18).
        let request =
            if enterprise { with_token(message, &self.operator_token) } else { Request::new(message) };
        let step = format!("{display_name} signs up {organization}");
        let reply = SignUpServiceClient::new(self.channel.clone())
            .sign_up(request)
            .await
            .map_err(|status| WentOtherwise::new(&step, Told::of(&status)))?
            .into_inner();
        let directory = reply.directory.ok_or_else(|| WentOtherwise::new(&step, "no directory"))?;
        let user = reply.user.ok_or_else(|| WentOtherwise::new(&step, "no user"))?;
        self.tell(format!("{step}: directory {} ({})", directory.initial_domain, directory.name));
        self.sign_in(&user.user_principal_name, &password).await
    }

    pub(super) async fn sign_in(&mut self, name: &str, password: &str) -> Result<Actor, WentOtherwise> {
        let message = identity::SignInRequest {
            user_principal_name: name.to_owned(),
            password: password.to_owned(),
            client_description: "tenure demo".to_owned(),
        };
        let step = format!("{name} signs in");
        let reply = SessionServiceClient::new(self.channel.clone())
            .sign_in(message)
            .await
            .map_err(|status| WentOtherwise::new(&step, Told::of(&status)))?
            .into_inner();
        let user = reply.user.ok_or_else(|| WentOtherwise::new(&step, "no user"))?;
        let session = reply.session.map(|session| session.name).unwrap_or_default();
        let directory = user.name.split("/users/").next().unwrap_or_default().to_owned();
        Ok(Actor { user, password: password.to_owned(), directory, session, token: reply.access_token })
    }

    /// The administrator adds a member to the directory, who signs in.
    pub(super) async fn add_user(
        &mut self,
        admin: &Actor,
        local: &str,
        name: &str,
    ) -> Result<Actor, WentOtherwise> {
        let domain = admin.user.user_principal_name.split('@').nth(1).unwrap_or_default();
        let password = password_of(local);
        let message = identity::CreateUserRequest {
            parent: admin.directory.clone(),
            user: Some(identity::User {
                user_principal_name: format!("{local}@{domain}"),
                display_name: name.to_owned(),
                password_profile: Some(identity::PasswordProfile {
                    password: password.clone(),
                    change_required: false,
                }),
                ..identity::User::default()
            }),
            request_id: request_id(),
            validate_only: false,
        };
        let step = format!("{} adds {name}", admin.display_name());
        let reply = UserServiceClient::new(self.channel.clone())
            .create_user(with_token(message, &admin.token))
            .await
            .map_err(|status| WentOtherwise::new(&step, Told::of(&status)))?;
        let user = reply.into_inner().user.ok_or_else(|| WentOtherwise::new(&step, "no user"))?;
        self.tell(format!("{step} ({})", user.user_principal_name));
        self.sign_in(&user.user_principal_name, &password).await
    }

    /// The administrator gives a directory role; gives the assignment's name.
    pub(super) async fn assign(
        &mut self,
        admin: &Actor,
        to: &Actor,
        role: &str,
    ) -> Result<String, WentOtherwise> {
        let message = identity::CreateRoleAssignmentRequest {
            parent: admin.directory.clone(),
            role_assignment: Some(identity::DirectoryRoleAssignment {
                role: format!("directoryRoles/{role}"),
                principal: to.user.name.clone(),
                ..identity::DirectoryRoleAssignment::default()
            }),
            allow_existing: false,
            request_id: request_id(),
        };
        let step = format!("{} gives {} the role {role}", admin.display_name(), to.display_name());
        let reply = self
            .roles()
            .create_role_assignment(with_token(message, &admin.token))
            .await
            .map_err(|status| WentOtherwise::new(&step, Told::of(&status)))?;
        let assignment = reply.into_inner().role_assignment.unwrap_or_default();
        self.must(assignment.principal == to.user.name, step)?;
        Ok(assignment.name)
    }

    /// The administrator takes a directory role away.
    pub(super) async fn unassign(&mut self, admin: &Actor, assignment: &str) -> Result<(), Status> {
        let message = identity::DeleteRoleAssignmentRequest {
            name: assignment.to_owned(),
            request_id: request_id(),
            ..identity::DeleteRoleAssignmentRequest::default()
        };
        self.roles().delete_role_assignment(with_token(message, &admin.token)).await.map(|_| ())
    }

    /// The actor's own roles, as titles.
    pub(super) async fn my_roles(&mut self, actor: &Actor) -> Result<Vec<String>, Status> {
        let request = with_token(identity::GetMeRequest {}, &actor.token);
        let reply = UserServiceClient::new(self.channel.clone()).get_me(request).await?;
        Ok(reply.into_inner().organizational_roles)
    }

    /// The actor ends a session.
    pub(super) async fn revoke(&mut self, actor: &Actor) -> Result<(), Status> {
        let request =
            with_token(identity::RevokeSessionRequest { name: actor.session.clone() }, &actor.token);
        SessionServiceClient::new(self.channel.clone()).revoke_session(request).await.map(|_| ())
    }

    pub(super) async fn users(&mut self, actor: &Actor, filter: &str) -> Result<Vec<identity::User>, Status> {
        let message = identity::ListUsersRequest {
            parent: actor.directory.clone(),
            filter: filter.to_owned(),
            ..identity::ListUsersRequest::default()
        };
        let request = with_token(message, &actor.token);
        Ok(UserServiceClient::new(self.channel.clone()).list_users(request).await?.into_inner().users)
    }

    pub(super) async fn directory(&mut self, actor: &Actor) -> Result<api::directory::v1::Directory, Status> {
        let message = api::directory::v1::GetDirectoryRequest { name: actor.directory.clone() };
        let reply =
            api::directory::v1::directory_service_client::DirectoryServiceClient::new(self.channel.clone())
                .get_directory(with_token(message, &actor.token))
                .await?;
        Ok(reply.into_inner().directory.unwrap_or_default())
    }

    pub(super) async fn preview(
        &mut self,
        actor: &Actor,
        offer: &str,
    ) -> Result<subscription::OrderPreview, Status> {
        let message = subscription::PreviewOffice365OrderRequest {
            parent: actor.directory.clone(),
            offer: offer.to_owned(),
            trial: true,
            ..subscription::PreviewOffice365OrderRequest::default()
        };
        let request = with_token(message, &actor.token);
        let reply = OrderServiceClient::new(self.channel.clone()).preview_office365_order(request).await?;
        Ok(reply.into_inner().order_preview.unwrap_or_default())
    }

    /// Attaches a trial of an Office 365 offer to a directory.
    pub(super) async fn attach(
        &mut self,
        actor: &Actor,
        directory: &str,
        offer: &str,
    ) -> Result<(subscription::Subscription, subscription::Order), Status> {
        let message = subscription::AttachOffice365SubscriptionRequest {
            parent: directory.to_owned(),
            offer: offer.to_owned(),
            trial: true,
            accept_terms: true,
            request_id: request_id(),
            ..subscription::AttachOffice365SubscriptionRequest::default()
        };
        let request = with_token(message, &actor.token);
        let reply = self.subscriptions().attach_office365_subscription(request).await?.into_inner();
        Ok((reply.subscription.unwrap_or_default(), reply.order.unwrap_or_default()))
    }

    /// Signs up for an Azure offer, expecting it to land in a directory where one is named.
    pub(super) async fn sign_up_azure(
        &mut self,
        actor: &Actor,
        offer: &str,
        expected_directory: &str,
    ) -> Result<subscription::Subscription, Status> {
        let message = subscription::SignUpAzureSubscriptionRequest {
            offer: offer.to_owned(),
            display_name: format!("{}'s Azure", actor.display_name()),
            accept_terms: true,
            expected_directory: expected_directory.to_owned(),
            request_id: request_id(),
            validate_only: false,
        };
        let request = with_token(message, &actor.token);
        let reply = self.subscriptions().sign_up_azure_subscription(request).await?;
        Ok(reply.into_inner().subscription.unwrap_or_default())
    }

    fn roles(&self) -> DirectoryRoleServiceClient<Channel> {
        DirectoryRoleServiceClient::new(self.channel.clone())
    }

    fn subscriptions(&self) -> SubscriptionServiceClient<Channel> {
        SubscriptionServiceClient::new(self.channel.clone())
    }
}

/// An answer that the play relies on; a refusal ends it.
pub(super) fn told<T>(step: impl fmt::Display, result: Result<T, Status>) -> Result<T, WentOtherwise> {
    result.map_err(|status| WentOtherwise::new(step, Told::of(&status)))
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = MetadataValue::try_from(format!("Bearer {token}")) {
        request.metadata_mut().insert("authorization", value);
    }
    request
}

fn request_id() -> String {
    system_ids().random().to_string()
}

/// A password that the policy accepts (U-20); the play's people live as long as its temporary folder.
fn password_of(local: &str) -> String {
    format!("{local}-Demo-2026!")
}
