//! TLS as a client sees it: who is verified, what bounds a handshake, and which files are refused.

use std::time::Duration;

use access::Service;
use api::directory::v1::ResolveDomainRequest;
use api::directory::v1::domain_service_client::DomainServiceClient;
use test_support::certificates::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS12;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::*;
use crate::clock::system_clock;
use crate::peer::Peer;
use crate::server::Limits;
use crate::testing::{Keys, Running, Scripted, directory};

const SOON: Duration = Duration::from_secs(5);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Ground {
    folder: tempfile::TempDir,
    authority: Authority,
    tls: ServerTls,
    keys: Keys,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        let (certificate, key) = authority.certify("server", &["127.0.0.1"]);
        let tls = ServerTls::read(&certificate, &key).unwrap();
        Self { folder, authority, tls, keys: Keys::new() }
    }

    async fn server(&self, limits: Limits) -> Running {
        let told = |request: Request<_>| async move { Ok(request.remote_addr().unwrap().ip().to_string()) };
        let service = directory(Scripted::new(told), &self.keys, &limits);
        Running::start_with(vec![service], limits, Some(self.tls.clone())).await
    }

    /// What identity-service is answered at an address whose server it verifies by an authority.
    async fn ask(&self, url: String, authority: &Path) -> Result<String, tonic::Status> {
        let client = Authorities::read(authority).unwrap().client();
        let endpoint = Endpoint::from_shared(url).unwrap().tls_config(client).unwrap();
        let key = self.keys.services[&Service::Identity].clone();
        let peer = Peer::at(endpoint).as_service(Service::Identity, key, Service::Directory, system_clock());
        let answer = DomainServiceClient::new(peer).resolve_domain(ResolveDomainRequest::default()).await;
        answer.map(|answer| answer.into_inner().directory)
    }

    /// A client that believes this server and goes no further than the handshake.
    async fn shaken(&self, server: &Running) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.authority.certificate).unwrap());
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

#[tokio::test]
async fn a_peer_is_verified_by_authority_and_by_name() {
    let ground = Ground::new();
    let server = ground.server(Limits::default()).await;
    let (url, port) = (format!("https://{}", server.address), server.address.port());
    // Who calls from where is known as it is without TLS.
    assert_eq!(ground.ask(url.clone(), &ground.authority.certificate).await.unwrap(), "127.0.0.1");
    let foreign = Authority::new(ground.folder.path(), "foreign");
    let refused = ground.ask(url, &foreign.certificate).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let other_name = format!("https://localhost:{port}");
    let refused = ground.ask(other_name, &ground.authority.certificate).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let in_clear = server.resolve(crate::testing::request(&ground.keys, "")).await.unwrap_err();
    assert!(matches!(in_clear.code(), Code::Unavailable | Code::Unknown), "{in_clear:?}");
}

#[tokio::test]
async fn nothing_older_than_tls_1_3_is_served() {
    let ground = Ground::new();
    let server = ground.server(Limits::default()).await;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&ground.authority.certificate).unwrap());
    for (version, served) in [(&TLS12, false), (&TLS13, true)] {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[version]).unwrap();
        let config = config.with_root_certificates(roots.clone()).with_no_client_auth();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        assert_eq!(shaken.is_ok(), served, "{version:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed_and_so_is_silence_after_one() {
    let ground = Ground::new();
    let server = ground.server(Limits { preface: Duration::from_millis(200), ..Limits::default() }).await;
    // Longer than the preface of HTTP/2: what counts is what comes out of the handshake.
    let begun = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 64]].concat();
    for said in [&b""[..], &begun] {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(said).await.unwrap();
        let _ = tokio::time::timeout(SOON, connection.read_to_end(&mut Vec::new())).await.expect("closed");
    }
    for said in [&b""[..], &PREFACE[..20]] {
        let mut connection = ground.shaken(&server).await;
        connection.write_all(said).await.unwrap();
        let _ = tokio::time::timeout(SOON, connection.read_to_end(&mut Vec::new())).await.expect("closed");
    }
}

#[tokio::test]
async fn a_hard_stop_cuts_off_what_is_still_shaking_hands() {
    let ground = Ground::new();
    let server = ground.server(Limits::default()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut shaken = ground.shaken(&server).await;
    server.stop.cancel();
    server.hard_stop.cancel();
    for connection in [&mut silent as &mut (dyn tokio::io::AsyncRead + Unpin), &mut shaken] {
        let _ = tokio::time::timeout(SOON, connection.read_to_end(&mut Vec::new())).await.expect("closed");
    }
    assert!(server.tasks.close_and_wait(SOON).await.is_clean());
}

#[test]
fn files_that_cannot_be_served_with_are_refused() {
    let ground = Ground::new();
    let path = |name: &str| ground.folder.path().join(name);
    let (_, foreign) = ground.authority.certify("other", &["127.0.0.1"]);
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let refused = |certificate: &Path, key: &Path| ServerTls::read(certificate, key).unwrap_err();
    assert!(matches!(refused(&certificate, &foreign), TlsError::Unusable { .. }));
    assert!(matches!(refused(&key, &key), TlsError::NoCertificate(_)));
    assert!(matches!(refused(&certificate, &certificate), TlsError::NoKey(_)));
    assert!(matches!(refused(&path("absent"), &key), TlsError::Unreadable { .. }));
    assert!(matches!(Authorities::read(&key).unwrap_err(), TlsError::NoCertificate(_)));
    // A good one among them makes up for none of the others.
    let good = fs::read_to_string(&ground.authority.certificate).unwrap();
    for bad in ["AAAA", "no base64"] {
        let bundle = path("bundle.pem");
        let bad = format!("-----BEGIN CERTIFICATE-----\n{bad}\n-----END CERTIFICATE-----\n");
        fs::write(&bundle, good.clone() + &bad).unwrap();
        assert!(matches!(Authorities::read(&bundle).unwrap_err(), TlsError::BadCertificate(_)));
    }
}
