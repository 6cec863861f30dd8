//! What a client says to the services over a channel.

use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::{SignInRequest, SignInResponse, SignUpRequest, User};
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{
    AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse, GetSubscriptionRequest,
    Subscription,
};
use tonic::transport::Channel;
use tonic::{Request, Status};

const PASSWORD: &str = "Correct-Horse-9";

pub(crate) fn request_id() -> String {
    runtime::clock::system_ids().random().to_string()
}

pub(crate) fn sign_up_request(label: &str) -> SignUpRequest {
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
pub(crate) async fn sign_up(identity: &Channel, message: SignUpRequest) -> Result<String, Status> {
    let reply = SignUpServiceClient::new(identity.clone()).sign_up(message).await?;
    Ok(reply.into_inner().user.expect("a user is answered").user_principal_name)
}

pub(crate) async fn sign_in(identity: &Channel, name: &str) -> Result<SignInResponse, Status> {
    let message = SignInRequest {
        user_principal_name: name.to_owned(),
        password: PASSWORD.to_owned(),
        client_description: "a test".to_owned(),
    };
    Ok(SessionServiceClient::new(identity.clone()).sign_in(message).await?.into_inner())
}

pub(crate) fn directory_of(signed_in: &SignInResponse) -> String {
    let user = signed_in.user.as_ref().expect("a user is answered");
    user.name.split("/users/").next().expect("a user is in a directory").to_owned()
}

pub(crate) fn trial(directory: &str) -> AttachOffice365SubscriptionRequest {
    AttachOffice365SubscriptionRequest {
        parent: directory.to_owned(),
        offer: "products/enterprisepack/offers/monthly".to_owned(),
        trial: true,
        accept_terms: true,
        request_id: request_id(),
        ..AttachOffice365SubscriptionRequest::default()
    }
}

pub(crate) async fn attach(
    subscription: &Channel,
    message: AttachOffice365SubscriptionRequest,
    token: &str,
) -> Result<AttachOffice365SubscriptionResponse, Status> {
    let client = SubscriptionServiceClient::new(subscription.clone());
    let reply = { client }.attach_office365_subscription(with_token(message, token)).await?;
    Ok(reply.into_inner())
}

pub(crate) async fn read(subscription: &Channel, name: &str, token: &str) -> Result<Subscription, Status> {
    let message = GetSubscriptionRequest { name: name.to_owned() };
    let client = SubscriptionServiceClient::new(subscription.clone());
    let reply = { client }.get_subscription(with_token(message, token)).await?;
    Ok(reply.into_inner().subscription.expect("a subscription is answered"))
}

pub(crate) fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}
