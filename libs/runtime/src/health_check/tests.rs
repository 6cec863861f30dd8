//! A process that serves, one that does not yet, one that is silent, and none; in clear and by TLS.

use std::path::Path;

use clap::Parser;
use test_support::certificates::Authority;
use tokio::net::TcpListener;

use super::*;
use crate::server::Limits;
use crate::testing::{Keys, Running, Scripted, directory};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    process: ProcessOptions,
    #[command(flatten)]
    health: HealthOptions,
}

/// What `health` says with these arguments.
async fn told(arguments: &[&str]) -> Result<String, String> {
    let program = Program::try_parse_from([&["program"], arguments].concat()).unwrap();
    ask(&program.health, &program.process, PATIENCE / 5).await.map_err(|error| error.to_string())
}

async fn server(tls: Option<ServerTls>) -> Running {
    let (keys, limits) = (Keys::new(), Limits::default());
    Running::start_with(vec![directory(Scripted::echo(), &keys, &limits)], limits, tls).await
}

#[tokio::test]
async fn a_process_counts_as_serving_when_it_says_so() {
    let server = server(None).await;
    let address = server.address.to_string();
    let url = format!("http://{address}");
    // Whoever listens everywhere is asked on this host.
    let everywhere = format!("0.0.0.0:{}", server.address.port());
    for arguments in [["--listen", &address], ["--listen", &everywhere], ["--address", &url]] {
        assert!(told(&arguments).await.unwrap_err().contains("is not serving"));
    }
    server.health.set_serving().await;
    for arguments in [["--listen", &address], ["--listen", &everywhere], ["--address", &url]] {
        told(&arguments).await.unwrap();
    }
}

#[tokio::test]
async fn where_nobody_answers_nobody_serves() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (silent_at, gone_at) = (silent.local_addr().unwrap(), gone.local_addr().unwrap());
    drop(gone);
    for (address, says) in [(silent_at, "does not answer in time"), (gone_at, "refused")] {
        let refused = told(&["--listen", &address.to_string()]).await.unwrap_err();
        assert!(refused.to_lowercase().contains(says), "{refused}");
    }
    assert!(told(&["--listen", "127.0.0.1:0"]).await.unwrap_err().contains("--address"));
}

#[tokio::test]
async fn tls_is_spoken_to_a_process_that_serves_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.display().to_string();
    let authority = Authority::new(folder.path(), "authority");
    // The name is another host's, as it is in a container.
    let (certificate, key) = authority.certify("server", &["directory.example"]);
    let server = server(Some(ServerTls::read(&certificate, &key).unwrap())).await;
    server.health.set_serving().await;
    let address = server.address.to_string();
    let listen = ["--listen", &address, "--tls-cert", &text(&certificate), "--tls-key", &text(&key)];
    told(&listen).await.unwrap();

    let (other, its_key) = authority.certify("other", &["directory.example"]);
    let listen = ["--listen", &address, "--tls-cert", &text(&other), "--tls-key", &text(&its_key)];
    told(&listen).await.unwrap_err();
    told(&["--listen", &address]).await.unwrap_err();
    assert!(told(&listen[..4]).await.unwrap_err().contains("--tls-key: is missing"));

    // By an address the name counts, as for any client.
    let url = format!("https://{address}");
    assert!(told(&["--address", &url]).await.unwrap_err().contains("--tls-ca"));
    told(&["--address", &url, "--tls-ca", &text(&authority.certificate)]).await.unwrap_err();
}

#[tokio::test]
async fn an_https_address_is_verified_by_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.display().to_string();
    let authority = Authority::new(folder.path(), "authority");
    let (certificate, key) = authority.certify("server", &["127.0.0.1"]);
    let server = server(Some(ServerTls::read(&certificate, &key).unwrap())).await;
    server.health.set_serving().await;
    let url = format!("https://{}", server.address);
    told(&["--address", &url, "--tls-ca", &text(&authority.certificate)]).await.unwrap();
    let foreign = Authority::new(folder.path(), "foreign");
    told(&["--address", &url, "--tls-ca", &text(&foreign.certificate)]).await.unwrap_err();

    // Silence during the handshake is silence.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap().to_string();
    let listen = ["--listen", &at, "--tls-cert", &text(&certificate), "--tls-key", &text(&key)];
    assert!(told(&listen).await.unwrap_err().contains("does not answer in time"));
}
