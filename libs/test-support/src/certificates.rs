//! Certificates made for one test: an authority, and servers that it vouches for.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Vouches for servers; its files stand in a folder of the test.
pub struct Authority {
    /// Its own certificate, PEM.
    pub certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// An authority whose files go into an existing folder, named after it.
    pub fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("it signs itself");
        let certificate = write(&folder.join(format!("{name}.pem")), "CERTIFICATE", own.der());
        Self { certificate, issuer: Issuer::new(params, key), folder: folder.to_owned() }
    }

    /// A server's certificate and key, for these host names and addresses.
    pub fn certify(&self, name: &str, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key can be made");
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let params = CertificateParams::new(hosts).expect("the hosts have names");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        let path = |kind| self.folder.join(format!("{name}.{kind}"));
        (
            write(&path("pem"), "CERTIFICATE", certificate.der()),
            write(&path("key"), "PRIVATE KEY", &key.serialize_der()),
        )
    }
}

fn write(path: &Path, label: &str, der: &[u8]) -> PathBuf {
    let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    fs::write(path, text).expect("the folder can be written to");
    path.to_owned()
}
