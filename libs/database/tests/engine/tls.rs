//! TLS to PostgreSQL: what the address demands is had, or nothing is said to the server.

use std::path::Path;
use std::sync::Arc;

use database::{Db, Migrations, OpenError, Settings};
use sqlx::migrate::Migrator;
use test_support::certificates::Authority;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// By which a client asks for TLS, before anything else.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The version of the protocol, with which a client begins after the length of its message.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// Opens a database of a server that is none: it is asked for TLS, and its connection ends with what `serve` gives.
async fn opened<T>(query: &str, serve: impl AsyncFnOnce(TcpStream) -> T) -> (OpenError, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://ada@{}/tenure?{query}", listener.local_addr().unwrap());
    let settings = Settings::at(url.parse().unwrap());
    let nothing = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, SSL_REQUEST);
        let served = serve(stream).await;
        drop(listener);
        served
    };
    let (opened, served) = tokio::join!(Db::open(&settings, &nothing), served);
    (opened.unwrap_err(), served)
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let (refused, rest) = opened(&format!("sslmode={mode}"), async |mut stream| {
            stream.write_all(b"N").await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            rest
        })
        .await;
        let OpenError::Connect(cause) = &refused else { panic!("{refused:?}") };
        assert!(cause.to_string().contains("server does not support TLS"), "{cause}");
        assert!(rest.is_empty(), "{mode}: something was said in clear");
    }
}

/// Whether the client, given this address, goes on within TLS to a server with this certificate.
async fn speaks(query: &str, (certificate, key): &(impl AsRef<Path>, impl AsRef<Path>)) -> bool {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (_, speaks) = opened(query, async |mut stream| {
        stream.write_all(b"S").await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return false };
        let mut begun = [0; 8];
        stream.read_exact(&mut begun).await.is_ok() && begun[4..] == VERSION
    })
    .await;
    speaks
}

#[tokio::test]
async fn tls_is_spoken_to_a_server_that_is_who_the_address_wants() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, others) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "others"));
    let here = ours.certify("here", &["127.0.0.1"]);
    let elsewhere = ours.certify("elsewhere", &["192.0.2.1"]);
    let demanding = |mode: &str, authority: &Authority| {
        format!("sslmode={mode}&sslrootcert={}", authority.certificate.display())
    };
    assert!(speaks("sslmode=require", &here).await);
    assert!(speaks("sslmode=prefer", &here).await);
    assert!(speaks(&demanding("verify-full", &ours), &here).await);
    assert!(!speaks(&demanding("verify-full", &ours), &elsewhere).await);
    assert!(speaks(&demanding("verify-ca", &ours), &elsewhere).await);
    for mode in ["verify-ca", "verify-full"] {
        assert!(!speaks(&demanding(mode, &others), &here).await, "{mode}");
        assert!(!speaks(&format!("sslmode={mode}"), &here).await, "{mode}");
    }
}
