//! The three services in processes of their own, each with its database and the keys of `tenure keys init`.

use access::Service;
use test_support::database::{EmptyDatabase, empty};

use crate::process::{Port, Process, Program};

/// Whose tokens all three sign or expect.
const ISSUER: &str = "https://identity.test";

/// What three services stand on, before any of them runs.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    databases: Vec<(Service, EmptyDatabase)>,
    ports: Vec<(Service, Port)>,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys").display().to_string();
        let made = Program::new("tenure").args(["keys", "init", &keys]).run();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut databases = Vec::new();
        for service in Service::ALL {
            databases.push((service, empty(service.as_str().split('-').next().unwrap()).await));
        }
        let ports = Service::ALL.map(|service| (service, Port::hold())).into();
        Self { folder, databases, ports }
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
        peers.fold(program, |program, peer| {
            let flag = format!("--{}", peer.as_str().split('-').next().unwrap());
            program.args([flag, self.port(peer).url()])
        })
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
