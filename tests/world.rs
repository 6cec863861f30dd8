//! The world of a test: the three services over fresh databases, and people who act through the public API.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use access::Service;
use access::token::AUDIENCE;
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
use database::{Db, TxEngine, on};
use kernel::Ids;
use runtime::edge::WriteLimits;
use runtime::keys::KeyFolder;
use runtime::peer::Peer;
use subscription_service::PriceList;
use tempfile::TempDir;
use tenure::embedded::{BetweenPeers, Databases, Deps, Embedded};
use test_support::clock::ManualClock;
use test_support::database::{TestDatabase, fresh};
use test_support::ids::seeded;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const E3: &str = "products/enterprisepack/offers/monthly";
pub(crate) const E5: &str = "products/enterprisepremium/offers/monthly";
pub(crate) const VISIO: &str = "products/visioclient/offers/monthly";
pub(crate) const FREE_TRIAL: &str = "products/azure/offers/ms-azr-0044p";
pub(crate) const PAY_AS_YOU_GO: &str = "products/azure/offers/ms-azr-0003p";
pub(crate) const ENTERPRISE_OFFER: &str = "products/azure/offers/ms-azr-0017p";
pub(crate) const PASSWORD: &str = "Correct-Horse-9";

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user_principal_name: String,
    pub(crate) directory: String,
    pub(crate) session: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

/// The three services and what they stand on.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) keys: KeyFolder,
    pub(crate) embedded: Embedded,
    pub(crate) databases: Databases,
    ids: Ids,
    _stores: [TestDatabase; 3],
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&|_, _, peer| peer).await
    }

    /// A world where something stands between the services.
    pub(crate) async fn with(between: BetweenPeers<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let keys = KeyFolder::open_or_create(&folder.path().join("keys")).expect("keys can be made");
        let stores = [
            fresh("directory", &directory_service::migrations()).await,
            fresh("identity", &identity_service::migrations()).await,
            fresh("subscription", &subscription_service::migrations()).await,
        ];
        let databases = Databases {
            directory: stores[0].db.clone(),
            identity: stores[1].db.clone(),
            subscription: stores[2].db.clone(),
        };
        let clock = ManualClock::default();
        let deps = Deps {
            databases: databases.clone(),
            clock: clock.clock(),
            ids: seeded(1),
            issuer: "tenure".to_owned(),
            initial_domain_suffix: "tenure.internal".to_owned(),
            prices: PriceList::default(),
            identity: identity_service::Settings::default(),
            subscription: subscription_service::Settings::default(),
            write_limits: WriteLimits::default(),
            request_timeout: Duration::from_mins(1),
        };
        let embedded = Embedded::build_with(&deps, &keys, between);
        Self { clock, keys, embedded, databases, ids: seeded(2), _stores: stores, _folder: folder }
    }

    pub(crate) fn directory_peer(&self) -> Peer {
        Peer::in_process(self.embedded.directory.clone())
    }
    pub(crate) fn identity_peer(&self) -> Peer {
        Peer::in_process(self.embedded.identity.clone())
    }
    pub(crate) fn subscription_peer(&self) -> Peer {
        Peer::in_process(self.embedded.subscription.clone())
    }
    pub(crate) fn directories(&self) -> DirectoryServiceClient<Peer> {
        DirectoryServiceClient::new(self.directory_peer())
    }
    pub(crate) fn liens(&self) -> LienServiceClient<Peer> {
        LienServiceClient::new(self.directory_peer())
    }
    pub(crate) fn sign_ups(&self) -> SignUpServiceClient<Peer> {
        SignUpServiceClient::new(self.identity_peer())
    }
    pub(crate) fn users(&self) -> UserServiceClient<Peer> {
        UserServiceClient::new(self.identity_peer())
    }
    pub(crate) fn sessions(&self) -> SessionServiceClient<Peer> {
        SessionServiceClient::new(self.identity_peer())
    }
    pub(crate) fn roles(&self) -> DirectoryRoleServiceClient<Peer> {
        DirectoryRoleServiceClient::new(self.identity_peer())
    }
    pub(crate) fn orders(&self) -> OrderServiceClient<Peer> {
        OrderServiceClient::new(self.subscription_peer())
    }
    pub(crate) fn subscriptions(&self) -> SubscriptionServiceClient<Peer> {
        SubscriptionServiceClient::new(self.subscription_peer())
    }

    /// The services' databases, with the names of their contexts.
    pub(crate) fn stores(&self) -> [(&'static str, &Db); 3] {
        let Databases { directory, identity, subscription } = &self.databases;
        [("directory", directory), ("identity", identity), ("subscription", subscription)]
    }

    pub(crate) fn request_id(&self) -> String {
        self.ids.random().to_string()
    }

    pub(crate) fn operator_token(&self) -> String {
        self.keys
            .operator()
            .operator_token(AUDIENCE, self.ids.random(), self.clock.now(), Duration::from_mins(10))
            .expect("the operator key signs")
    }

    pub(crate) fn service_token(&self, from: Service, to: Service) -> String {
        self.keys.service(from).service_token(from, to, self.clock.now()).expect("a service key signs")
    }

    pub(crate) fn sign_up_request(&self, label: &str) -> SignUpRequest {
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
    pub(crate) async fn sign_up(&self, label: &str) -> Person {
        self.signed_up(self.sign_up_request(label).into_request()).await
    }

    /// A new directory under an Enterprise Agreement.
    pub(crate) async fn sign_up_enterprise(&self, label: &str) -> Person {
        let mut message = self.sign_up_request(label);
        message.set_agreement_type(identity::AgreementType::Enterprise);
        self.signed_up(with_token(message, &self.operator_token())).await
    }

    async fn signed_up(&self, request: Request<SignUpRequest>) -> Person {
        let reply = self.sign_ups().sign_up(request).await.expect("the sign-up is good").into_inner();
        self.sign_in(&reply.user.expect("a user is answered").user_principal_name).await
    }

    /// A new member without any role, signed in.
    pub(crate) async fn add(&self, admin: &Person, local: &str) -> Person {
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

    pub(crate) async fn try_sign_in(&self, name: &str, password: &str) -> Result<SignInResponse, Status> {
        let message = SignInRequest {
            user_principal_name: name.to_owned(),
            password: password.to_owned(),
            client_description: "a test".to_owned(),
        };
        self.sessions().sign_in(message).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn sign_in(&self, name: &str) -> Person {
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
    pub(crate) async fn give(&self, admin: &Person, to: &Person, role: &str) -> String {
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

    pub(crate) async fn take(&self, admin: &Person, assignment: &str) -> Result<(), Status> {
        let message = identity::DeleteRoleAssignmentRequest {
            name: assignment.to_owned(),
            request_id: self.request_id(),
            ..identity::DeleteRoleAssignmentRequest::default()
        };
        self.roles().delete_role_assignment(admin.says(message)).await.map(|_| ())
    }

    /// The name of the assignment by which a person holds a role.
    pub(crate) async fn assignment_of(&self, admin: &Person, holder: &Person, role: &str) -> String {
        let message = identity::ListRoleAssignmentsRequest {
            parent: admin.directory.clone(),
            filter: format!("principal = \"{}\" AND role = \"directoryRoles/{role}\"", holder.name),
            ..identity::ListRoleAssignmentsRequest::default()
        };
        let reply =
            self.roles().list_role_assignments(admin.says(message)).await.expect("an administrator lists");
        reply.into_inner().role_assignments.pop().expect("the person holds the role").name
    }

    pub(crate) fn trial_request(&self, directory: &str, offer: &str) -> AttachOffice365SubscriptionRequest {
        AttachOffice365SubscriptionRequest {
            parent: directory.to_owned(),
            offer: offer.to_owned(),
            trial: true,
            accept_terms: true,
            request_id: self.request_id(),
            ..AttachOffice365SubscriptionRequest::default()
        }
    }

    pub(crate) async fn attach(
        &self,
        person: &Person,
        message: AttachOffice365SubscriptionRequest,
    ) -> Result<AttachOffice365SubscriptionResponse, Status> {
        let reply = self.subscriptions().attach_office365_subscription(person.says(message)).await?;
        Ok(reply.into_inner())
    }

    /// Attaches a trial in the person's own directory.
    pub(crate) async fn attach_trial(&self, person: &Person, offer: &str) -> Result<Subscription, Status> {
        let reply = self.attach(person, self.trial_request(&person.directory, offer)).await?;
        Ok(reply.subscription.expect("a subscription is answered"))
    }

    pub(crate) fn azure_request(&self, offer: &str) -> SignUpAzureSubscriptionRequest {
        SignUpAzureSubscriptionRequest {
            offer: offer.to_owned(),
            display_name: "Azure".to_owned(),
            accept_terms: true,
            request_id: self.request_id(),
            ..SignUpAzureSubscriptionRequest::default()
        }
    }

    pub(crate) async fn azure(&self, person: &Person, offer: &str) -> Result<Subscription, Status> {
        self.azure_with(person, self.azure_request(offer)).await
    }

    pub(crate) async fn azure_with(
        &self,
        person: &Person,
        message: SignUpAzureSubscriptionRequest,
    ) -> Result<Subscription, Status> {
        let reply = self.subscriptions().sign_up_azure_subscription(person.says(message)).await?;
        Ok(reply.into_inner().subscription.expect("a subscription is answered"))
    }

    /// Rows of every table of every database.
    pub(crate) async fn row_counts(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (context, db) in self.stores() {
            for table in tables(db).await {
                counts.insert(format!("{context}.{table}"), count(db, &table).await);
            }
        }
        counts
    }
}

impl Person {
    /// A request with this person's token.
    pub(crate) fn says<M>(&self, message: M) -> Request<M> {
        with_token(message, &self.token)
    }
}

/// Makes a plain request, so that it can be told apart from one with a token.
pub(crate) trait IntoRequest: Sized {
    fn into_request(self) -> Request<Self> {
        Request::new(self)
    }
}
impl IntoRequest for SignUpRequest {}

pub(crate) fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// `CODE/REASON` of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    format!("{:?}/{reason}", status.code())
}

/// One entry of a refusal's metadata.
pub(crate) fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.remove(key)
}

/// Runs as many futures as given at the same time, on several threads, and gives their results in order.
pub(crate) async fn together<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
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

/// The tables of a database, in order.
pub(crate) async fn tables(db: &Db) -> Vec<String> {
    let mut tx = db.read().await.expect("a test database reads");
    let select = match &tx.engine {
        TxEngine::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
        }
        TxEngine::Postgres(_) => {
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_all(c).await).expect("tables can be listed")
}

async fn count(db: &Db, table: &str) -> i64 {
    let mut tx = db.read().await.expect("a test database reads");
    let select = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
    on!(&mut tx, |c| sqlx::query_scalar(select).fetch_one(c).await).expect("rows can be counted")
}
