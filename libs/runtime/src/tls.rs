//! TLS by rustls over aws-lc: the certificate a process serves with, and the authorities it verifies its peers by.
//!
//! What is served is TLS 1.3 alone, and so it is between services; as a client a process also takes the 1.2 of what may
//! stand before a peer, since tonic gives no choice of versions.
//!
//! Certificates are read once, at the start; who a peer is, its service token says, not its certificate (K6).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, rustls};
use tonic::transport::{Certificate, ClientTlsConfig};

/// The name of HTTP/2 in TLS; gRPC speaks nothing else.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Why TLS cannot be spoken; the text never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file system refuses.
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds no certificate.
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// One of the file's certificates is none.
    #[error("{} holds a certificate that cannot be read", .0.display())]
    BadCertificate(PathBuf),
    /// The file holds no private key.
    #[error("{} holds no unencrypted private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("{} and {} cannot be served with: {error}", .certificate.display(), .key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

/// A certificate with its key, to serve with.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl ServerTls {
    /// Reads a chain, the server's own certificate first, and the key that belongs to it.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let own = chain.first().cloned().ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
        let pem = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| TlsError::NoKey(key.to_owned()))?;
        let unusable =
            |error| TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), error };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, pem)
            .map_err(unusable)?;
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Self { config: Arc::new(config), certificate: own })
    }

    /// The server's end of a connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// The certificate that clients see.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

/// Whose certificates a peer's must be signed by.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<u8>);

impl Authorities {
    /// Reads the certificates of one or more authorities.
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let (good, bad) = roots.add_parsable_certificates(certificates(path)?);
        if bad > 0 {
            return Err(TlsError::BadCertificate(path.to_owned()));
        }
        if good == 0 {
            return Err(TlsError::NoCertificate(path.to_owned()));
        }
        Ok(Self(read(path)?))
    }

    /// How a client verifies a server, which must have the name that it is called by.
    pub(crate) fn client(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.0))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certificates.map_err(|_| TlsError::BadCertificate(path.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
