//! A running `tenure`, and what a client needs to speak to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use api::identity::v1::session_service_client::SessionServiceClient;
use api::identity::v1::sign_up_service_client::SignUpServiceClient;
use api::identity::v1::{SignInRequest, SignInResponse, SignUpRequest, User};
use api::subscription::v1::subscription_service_client::SubscriptionServiceClient;
use api::subscription::v1::{AttachOffice365SubscriptionRequest, AttachOffice365SubscriptionResponse};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub(crate) const PASSWORD: &str = "Correct-Horse-9";

/// The command, without any `TENURE_` variable of the surroundings.
pub(crate) fn tenure(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TENURE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    tenure(arguments).output().expect("the binary runs")
}

/// A server that ends with the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a server on a data folder and waits until it says where it listens.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let data_dir = data_dir.display().to_string();
        let mut arguments = vec!["serve", "--data-dir", &data_dir];
        if !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(more);
        let mut command = tenure(&arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the server says where it listens");
        let Some(address) = line.trim().strip_prefix("tenure is serving on ") else {
            let mut errors = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut errors);
            panic!("not serving: {line}{errors}");
        };
        Self { address: address.to_owned(), child, stdout }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.address)).expect("an address makes a URI");
        endpoint.connect().await.expect("the server listens")
    }

    /// Kills it as a power loss would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop; gives everything that it has written to standard error.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        let mut errors = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut errors).expect("standard error is text");
        let status = self.child.wait().expect("it ends");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("standard output is text");
        (status.code(), errors + &rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn sign_up(channel: &Channel, label: &str) -> SignInResponse {
    let message = SignUpRequest {
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
    };
    let reply =
        SignUpServiceClient::new(channel.clone()).sign_up(message).await.expect("the sign-up is good");
    let name = reply.into_inner().user.expect("a user is answered").user_principal_name;
    sign_in(channel, &name).await.expect("the password is right")
}

pub(crate) async fn sign_in(channel: &Channel, name: &str) -> Result<SignInResponse, Status> {
    let message = SignInRequest {
        user_principal_name: name.to_owned(),
        password: PASSWORD.to_owned(),
        client_description: "a test".to_owned(),
    };
    Ok(SessionServiceClient::new(channel.clone()).sign_in(message).await?.into_inner())
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
    channel: &Channel,
    request: Request<AttachOffice365SubscriptionRequest>,
) -> Result<AttachOffice365SubscriptionResponse, Status> {
    let reply =
        SubscriptionServiceClient::new(channel.clone()).attach_office365_subscription(request).await?;
    Ok(reply.into_inner())
}

pub(crate) fn with_token<M>(message: M, token: &str) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a token is ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

pub(crate) fn request_id() -> String {
    runtime::clock::system_ids().random().to_string()
}
