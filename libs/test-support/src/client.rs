//! What a client says to running services, over a channel; what else one says is the test's own matter.

use std::sync::atomic::{AtomicU64, Ordering};

use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::{SignInRequest, SignInResponse, SignUpRequest, User};
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse, GetSubscriptionRequest,
    Subscription,
};
use kernel::new_ids;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// The password of everybody who signs up here.
pub const PASSWORD: &str = "Correct-Horse-9";

/// A request id that no other request has.
pub fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    new_ids::derive(&["client", &std::process::id().to_string(), &count.to_string()]).to_string()
}

/// A sign-up with this label, whose first user is ada.
pub fn sign_up_request(label: &str) -> SignUpRequest {
    SignUpRequest {
        organization_display_name: "Contoso".to_owned(),
        domain_label: label.to_owned(),
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

/// Signs up, and gives the name of the first user.
pub async fn sign_up(identity: &Channel, message: SignUpRequest) -> Result<String, Status> {
    let reply = SignUpServiceClient::new(identity.clone()).sign_up(message).await?;
    Ok(reply.into_inner().user.expect("a user is answered").user_principal_name)
}

/// Signs in.
pub async fn sign_in(identity: &Channel, name: &str) -> Result<SignInResponse, Status> {
    let message = SignInRequest {
        user_principal_name: name.to_owned(),
        password: PASSWORD.to_owned(),
        client_description: "a test".to_owned(),
    };
    Ok(SessionServiceClient::new(identity.clone()).sign_in(message).await?.into_inner())
}

/// Signs up with this label, and signs ada in.
pub async fn founded(identity: &Channel, label: &str) -> SignInResponse {
    let name = sign_up(identity, sign_up_request(label)).await.expect("the sign-up is good");
    sign_in(identity, &name).await.expect("the password is right")
}

/// The directory of who signed in.
pub fn directory_of(signed_in: &SignInResponse) -> String {
    let user = signed_in.user.as_ref().expect("a user is answered");
    user.name.split("/users/").next().expect("a user is in a directory").to_owned()
}

/// A trial of Office 365 for a directory.
pub fn trial(directory: &str) -> AttachOffice365SubscriptionRequest {
    AttachOffice365SubscriptionRequest {
        parent: directory.to_owned(),
        offer: "products/enterprisepack/offers/monthly".to_owned(),
        trial: true,
        accept_terms: true,
        request_id: request_id(),
        ..AttachOffice365SubscriptionRequest::default()
    }
}

/// Attaches Office 365.
pub async fn attach(
    subscription: &Channel,
    message: AttachOffice365SubscriptionRequest,
    token: &str,
) -> Result<AttachOffice365SubscriptionResponse, Status> {
    let client = SubscriptionServiceClient::new(subscription.clone());
    let reply = { client }.attach_office365_subscription(with_token(message, token)).await?;
    Ok(reply.into_inner())
}

/// Reads a subscription.
pub async fn read(subscription: &Channel, name: &str, token: &str) -> Result<Subscription, Status> {
    let message = GetSubscriptionRequest { name: name.to_owned() };
    let client = SubscriptionServiceClient::new(subscription.clone());
    let reply = { client }.get_subscription(with_token(message, token)).await?;
    Ok(reply.into_inner().subscription.expect("a subscription is answered"))
}

/// A request with an access token.
pub fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}
