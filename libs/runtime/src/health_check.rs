//! `health`: asks a running process whether it serves, for whoever supervises it.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as RustlsError, SignatureScheme};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::options::{ProcessOptions, Tls};
use crate::tls::{HTTP_2, ServerTls};

/// A process that says nothing for this long does not serve.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Debug, Args)]
pub struct HealthOptions {
    /// Address of the process, as `http://HOST:PORT`, or `https://HOST:PORT` to be verified by --tls-ca; when left
    /// out, the port of --listen on this host.
    #[arg(long, value_name = "URL")]
    address: Option<String>,
}

/// Why a process does not count as serving.
#[derive(Debug, thiserror::Error)]
enum NotServing {
    #[error("{0}")]
    Options(String),
    #[error("{0} cannot be connected to")]
    Connect(String, #[source] tonic::transport::Error),
    #[error("{0} does not answer in time")]
    Silent(String),
    #[error("{0} refuses: {1}")]
    Refused(String, String),
    #[error("{0} is not serving")]
    Refrains(String),
}

/// Asks, says the outcome on one line, and gives 0 for a process that serves and 1 for any other.
pub fn run(program: &str, health: &HealthOptions, options: &ProcessOptions) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::process::fail(program, &error),
    };
    match runtime.block_on(ask(health, options, PATIENCE)) {
        Ok(target) => {
            let _ = writeln!(io::stdout(), "{target} is serving");
            ExitCode::SUCCESS
        }
        Err(error) => crate::process::fail(program, &error),
    }
}

async fn ask(
    health: &HealthOptions,
    options: &ProcessOptions,
    patience: Duration,
) -> Result<String, NotServing> {
    let (target, channel) = match &health.address {
        Some(address) => (address.clone(), endpoint(address, options)?.connect_lazy()),
        None => own(options)?,
    };
    // The channel connects when it is used: one patience is for both.
    let asked = async { HealthClient::new(channel).check(HealthCheckRequest::default()).await };
    let Ok(answer) = tokio::time::timeout(patience, asked).await else {
        return Err(NotServing::Silent(target));
    };
    match answer.map(|answer| answer.into_inner().status()) {
        Ok(ServingStatus::Serving) => Ok(target),
        Ok(ServingStatus::NotServing | ServingStatus::Unknown | ServingStatus::ServiceUnknown) => {
            Err(NotServing::Refrains(target))
        }
        Err(status) => Err(NotServing::Refused(target, told(&status))),
    }
}

/// What a failed call says, with its deepest cause: "transport error" alone helps nobody.
fn told(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

fn endpoint(address: &str, options: &ProcessOptions) -> Result<Endpoint, NotServing> {
    let wrong = |message: String| NotServing::Options(format!("--address: {message}"));
    let uri: Uri = address.parse().map_err(|_| wrong("is no URL, such as http://HOST:PORT".to_owned()))?;
    let endpoint = Endpoint::from(uri.clone());
    if uri.scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let authorities = options.authorities().map_err(NotServing::Options)?;
    let authorities = authorities.ok_or_else(|| wrong("https:// needs --tls-ca".to_owned()))?;
    endpoint.tls_config(authorities.client()).map_err(|error| NotServing::Connect(address.to_owned(), error))
}

/// The process with these very options, on this host.
fn own(options: &ProcessOptions) -> Result<(String, Channel), NotServing> {
    let address = here(options.address().map_err(NotServing::Options)?)?;
    let tls = match options.tls() {
        Tls::Off => None,
        Tls::Files { certificate, key } => {
            Some(ServerTls::read(certificate, key).map_err(|error| NotServing::Options(error.to_string()))?)
        }
        Tls::Half(problem) => return Err(NotServing::Options(problem.to_owned())),
    };
    let target = address.to_string();
    // Also with TLS: what is below this connector is nobody else's matter.
    let uri = Uri::builder().scheme("http").authority(target.as_str()).path_and_query("/").build();
    let endpoint = Endpoint::from(uri.expect("an address makes a URI"));
    let Some(tls) = tls else { return Ok((target, endpoint.connect_lazy())) };
    let connector = TlsConnector::from(Arc::new(pinned(&tls)));
    let connect = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            let stream = connector.connect(ServerName::IpAddress(address.ip().into()), stream).await?;
            io::Result::Ok(TokioIo::new(stream))
        }
    });
    Ok((target, endpoint.connect_with_connector_lazy(connect)))
}

/// Where this host reaches what listens at an address.
fn here(listen: SocketAddr) -> Result<SocketAddr, NotServing> {
    if listen.port() == 0 {
        return Err(NotServing::Options("--listen: names no port; say --address".to_owned()));
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listen.ip(),
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

/// Believes one certificate alone, that of the files: its names are for other hosts and do not say `127.0.0.1`.
fn pinned(tls: &ServerTls) -> ClientConfig {
    let provider = Arc::new(default_provider());
    let verifier = Pinned { certificate: tls.certificate().clone(), provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    config
}

#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(RustlsError::General("another certificate is served than that of --tls-cert".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
