//! The three services in processes of their own, each with its database and the keys of `tenure keys init`.

use access::Service;
use test_support::certificates::Authority;
use test_support::database::{EmptyDatabase, empty};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::process::{Port, Process, Program};

/// Whose tokens all three sign or expect.
pub(crate) const ISSUER: &str = "https://identity.test";

/// What three services stand on, before any of them runs.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    databases: Vec<(Service, EmptyDatabase)>,
    ports: Vec<(Service, Port)>,
    authority: Option<Authority>,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::made(false).await
    }

    /// Where all three speak TLS, each with a certificate of one authority.
    pub(crate) async fn with_tls() -> Self {
        Self::made(true).await
    }

    async fn made(tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys").display().to_string();
        let made = Program::new("tenure").args(["keys", "init", &keys]).run();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut databases = Vec::new();
        for service in Service::ALL {
            databases.push((service, empty(service.as_str().split('-').next().unwrap()).await));
        }
        let ports = Service::ALL.map(|service| (service, Port::hold())).into();
        let authority = tls.then(|| Authority::new(folder.path(), "authority"));
        Self { folder, databases, ports, authority }
    }

    /// A file or folder of the keys.
    pub(crate) fn keys(&self, name: &str) -> String {
        self.folder.path().join("keys").join(name).display().to_string()
    }

    pub(crate) fn database_url(&self, service: Service) -> &str {
        &self.databases.iter().find(|(of, _)| *of == service).unwrap().1.url
    }

    pub(crate) fn port(&self, service: Service) -> &Port {
        &self.ports.iter().find(|(of, _)| *of == service).unwrap().1
    }

    /// One service, told everything but where to listen.
    pub(crate) fn replica(&self, service: Service) -> Program {
        let key = self.keys(&format!("{service}.key"));
        let program = Program::new(service.as_str())
            .args(["--issuer", ISSUER, "--key", &key, "--trust", &self.keys("trust")])
            // Six replicas and the tests beside them share the server's connections.
            .args(["--database-url", self.database_url(service), "--database-connections", "4"]);
        let peers = Service::ALL.into_iter().filter(|peer| match service {
            Service::Directory => *peer == Service::Identity,
            Service::Identity => *peer == Service::Directory,
            Service::Subscription => *peer != Service::Subscription,
        });
        let program = peers.fold(program, |program, peer| {
            let flag = format!("--{}", peer.as_str().split('-').next().unwrap());
            program.args([flag, format!("{}://{}", self.scheme(), self.port(peer).address)])
        });
        program.args(self.tls(service.as_str()))
    }

    fn scheme(&self) -> &'static str {
        if self.authority.is_some() { "https" } else { "http" }
    }

    /// What TLS takes, where it is spoken.
    fn tls(&self, name: &str) -> Vec<String> {
        let Some(authority) = &self.authority else { return Vec::new() };
        let (certificate, key) = authority.certify(name, &["127.0.0.1"]);
        let files = [("--tls-cert", &certificate), ("--tls-key", &key), ("--tls-ca", &authority.certificate)];
        files.iter().flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()]).collect()
    }

    /// A client's way to a process.
    pub(crate) async fn channel(&self, process: &Process) -> Channel {
        let url = format!("{}://{}", self.scheme(), process.address);
        let mut endpoint = Endpoint::from_shared(url).unwrap();
        if let Some(authority) = &self.authority {
            let pem = Certificate::from_pem(std::fs::read(&authority.certificate).unwrap());
            endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(pem)).unwrap();
        }
        endpoint.connect().await.expect("the process listens")
    }

    /// One service, where its peers look for it.
    pub(crate) fn program(&self, service: Service) -> Program {
        self.replica(service).args(["--listen".to_owned(), self.port(service).address.to_string()])
    }

    /// An operator's token, by the operator's key file.
    pub(crate) fn operator_token(&self) -> String {
        let made =
            Program::new("tenure").args(["operator", "token", "--key", &self.keys("operator.key")]).run();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

/// Three services that run.
pub(crate) struct Split {
    pub(crate) directory: Process,
    pub(crate) identity: Process,
    pub(crate) subscription: Process,
}

impl Split {
    pub(crate) fn start(ground: &Ground) -> Self {
        let start = |service| ground.program(service).start();
        Self {
            directory: start(Service::Directory),
            identity: start(Service::Identity),
            subscription: start(Service::Subscription),
        }
    }
}
