//! `tenure demo`: plays the source documents' journeys through the public API over TCP, and prints them.
//!
//! Every printed line is computed from a reply; a step that goes otherwise than told ends the play as failed.

mod journeys;
mod stage;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use access::token::AUDIENCE;
use identity_service::SignUpPolicy;
use runtime::clock::{system_clock, system_ids};
use tonic::transport::{Channel, Endpoint};

use crate::options::Settings;
use crate::serve::{Running, ServeFailed};
use stage::Stage;
pub use stage::WentOtherwise;

/// How long the operator's part of the play may take.
const PLAY_LIFETIME: Duration = Duration::from_mins(10);

/// Why the demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoFailed {
    /// The server did not start.
    #[error(transparent)]
    Serve(#[from] ServeFailed),
    /// TLS is configured.
    #[error("the demo speaks no TLS: leave out --tls-cert and --tls-key")]
    Tls,
    /// The temporary folder.
    #[error("no temporary folder")]
    Folder(#[source] io::Error),
    /// The client's end.
    #[error("cannot connect to the server")]
    Connect(#[from] tonic::transport::Error),
    /// The operator's token.
    #[error(transparent)]
    Operator(#[from] access::service_key::KeyInvalid),
    /// A step.
    #[error(transparent)]
    Step(#[from] WentOtherwise),
}

/// Starts a server on a temporary folder, plays, and either ends or keeps serving.
pub async fn run(settings: &Settings, exit: bool) -> Result<ExitCode, DemoFailed> {
    if settings.process.tls.is_some() {
        return Err(DemoFailed::Tls);
    }
    let folder = tempfile::Builder::new().prefix("tenure-demo-").tempdir().map_err(DemoFailed::Folder)?;
    let mut settings = settings.clone();
    settings.data_dir = folder.path().join("data");
    // The play signs organisations up as anybody would, whoever may do so elsewhere.
    settings.identity.sign_up = SignUpPolicy::Open;
    let running = Running::start(&settings).await?;
    // A signal during the play ends it, so that its folder goes as well.
    let played = tokio::select! {
        played = play_against(&running) => played,
        () = running.process.signals.next() => return Ok(running.stop().await),
    };
    match (played, exit) {
        (Ok(farewell), false) => {
            print_farewell(running.process.address, &farewell);
            Ok(running.until_stopped().await)
        }
        (Ok(_), true) => Ok(running.stop().await),
        (Err(failed), _) => {
            running.stop().await;
            Err(failed)
        }
    }
}

/// What a reader needs to go on by hand.
#[derive(Debug)]
pub struct Farewell {
    /// A user who can sign in.
    pub user_principal_name: String,
    /// That user's password: the demo's own, in a folder that ends with it.
    pub password: String,
    /// The user's directory.
    pub directory: String,
    /// An Office 365 subscription of that directory.
    pub subscription: String,
}

async fn play_against(running: &Running) -> Result<Farewell, DemoFailed> {
    let operator = running.keys.operator().operator_token(
        AUDIENCE,
        system_ids().random(),
        system_clock().now(),
        PLAY_LIFETIME,
    )?;
    let channel = Endpoint::from_shared(format!("http://{}", running.process.address))?.connect().await?;
    Ok(play(channel, operator, &mut io::stdout()).await?)
}

/// Plays all journeys against any server that lets anybody sign up.
pub async fn play(
    channel: Channel,
    operator_token: String,
    out: &mut (dyn Write + Send),
) -> Result<Farewell, WentOtherwise> {
    let mut stage = Stage::new(channel, operator_token, out);
    journeys::office365_first(&mut stage).await?;
    let azure_first = journeys::azure_first(&mut stage).await?;
    journeys::know_your_role(&mut stage).await?;
    journeys::refusals(&mut stage).await?;
    Ok(azure_first)
}

fn print_farewell(address: SocketAddr, farewell: &Farewell) {
    let Farewell { user_principal_name, password, directory, subscription } = farewell;
    let text = format!(
        "\nThe server goes on on {address} until Ctrl-C; its folder ends with it. To look around with grpcurl:\n
grpcurl -plaintext {address} list
grpcurl -plaintext -d '{{\"user_principal_name\": \"{user_principal_name}\", \"password\": \"{password}\"}}' \\
  {address} tenure.identity.v1.SessionService/SignIn
TOKEN=…   # the access_token of that answer
grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" {address} tenure.identity.v1.UserService/GetMe
grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" -d '{{\"parent\": \"{directory}\"}}' \\
  {address} tenure.subscription.v1.SubscriptionService/ListSubscriptions
grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" -d '{{\"name\": \"{subscription}\"}}' \\
  {address} tenure.subscription.v1.SubscriptionService/GetSubscription"
    );
    let _ = writeln!(io::stdout(), "{text}\n\ntenure is serving on {address}");
}
