//! The system under the storm: one embedded process, or three apart; how each dies, and how it comes back.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Instant;

use access::Service;
use database::fail_point::{FailPoint, VARIABLE};
use database::{Db, Migrations, OpenError, Settings};
use runtime::keys::KeyFolder;
use tempfile::TempDir;
use tenure::embedded::Databases;
use tokio::task::block_in_place;
use tonic::transport::{Channel, Endpoint};

use crate::client::PATIENCE;
use crate::process::{Port, Process, Program};
use crate::split::{Ground, ISSUER};

const SIGKILL: i32 = 9;

/// Where clients find the services; a connection that broke is made anew at the next call.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) directory: Channel,
    pub(crate) identity: Channel,
    pub(crate) subscription: Channel,
}

/// The system and its processes.
pub(crate) struct System {
    ground: Standing,
    /// One of `tenure`, or one a service in the order of [`Service::ALL`].
    processes: Vec<Option<Process>>,
    stopped: Vec<Option<Program>>,
    pub(crate) services: Services,
}

enum Standing {
    Embedded { folder: TempDir, _port: Port },
    Split(Box<Ground>),
}

impl System {
    /// `tenure` on a data folder.
    pub(crate) fn embedded() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), Port::hold());
        let data_dir = folder.path().join("data").display().to_string();
        let program = Program::new("tenure").args(["serve", "--data-dir", &data_dir]);
        let program = program.args(["--listen".to_owned(), port.address.to_string()]);
        let channel = channel(&port);
        let services =
            Services { directory: channel.clone(), identity: channel.clone(), subscription: channel };
        Self::start(Standing::Embedded { folder, _port: port }, vec![program], services)
    }

    /// Each service in a process of its own.
    pub(crate) async fn split() -> Self {
        let ground = Ground::new().await;
        let programs = Service::ALL.map(|service| ground.program(service)).into();
        let services = Services {
            directory: channel(ground.port(Service::Directory)),
            identity: channel(ground.port(Service::Identity)),
            subscription: channel(ground.port(Service::Subscription)),
        };
        Self::start(Standing::Split(Box::new(ground)), programs, services)
    }

    fn start(ground: Standing, programs: Vec<Program>, services: Services) -> Self {
        let processes = programs.iter().map(|_| None).collect();
        let stopped = programs.into_iter().map(Some).collect();
        let mut system = Self { ground, processes, stopped, services };
        system.start_again();
        system
    }

    /// How many processes there are.
    pub(crate) const fn len(&self) -> usize {
        self.processes.len()
    }

    /// Where the process of a service is among them.
    pub(crate) fn process_of(&self, service: Service) -> usize {
        match self.ground {
            Standing::Embedded { .. } => 0,
            Standing::Split(_) => Service::ALL.iter().position(|one| *one == service).unwrap(),
        }
    }

    /// Starts whatever is stopped, where it was.
    pub(crate) fn start_again(&mut self) {
        for (process, stopped) in self.processes.iter_mut().zip(&mut self.stopped) {
            if let Some(program) = stopped.take() {
                *process = Some(block_in_place(|| start_when_there_is_room(&program)));
            }
        }
    }

    /// Kills one process, as a machine that runs out of power would.
    pub(crate) fn kill(&mut self, which: usize) {
        if let Some(process) = self.processes[which].take() {
            self.stopped[which] = Some(process.kill());
        }
    }

    /// Kills all of them.
    pub(crate) fn kill_all(&mut self) {
        (0..self.len()).for_each(|which| self.kill(which));
    }

    /// Has one process started so that it dies when it comes by a place for the `nth` time.
    pub(crate) fn arm(&mut self, which: usize, place: FailPoint, nth: u64) {
        self.kill(which);
        let program = self.stopped[which].take().expect("it was just stopped");
        self.stopped[which] = Some(program.env(VARIABLE, &format!("{}:{nth}", place.name())));
        self.start_again();
    }

    /// Waits until the armed process has died, of nothing but the kill that it was told.
    pub(crate) fn await_death(&mut self, which: usize) {
        let mut process = self.processes[which].take().expect("it is armed");
        let status = block_in_place(|| process.ended());
        assert_eq!(status.signal(), Some(SIGKILL), "{status}: {}", process.log());
        self.stopped[which] = Some(process.where_it_was());
    }

    /// Opens the three databases, beside the processes or after them.
    pub(crate) async fn databases(&self) -> Databases {
        let open = async |service, migrations: Migrations| {
            let mut settings = Settings::at(self.database_url(service).parse().unwrap());
            settings.postgres_connections = 2;
            open_when_there_is_room(&settings, &migrations).await
        };
        Databases {
            directory: open(Service::Directory, directory_service::migrations()).await,
            identity: open(Service::Identity, identity_service::migrations()).await,
            subscription: open(Service::Subscription, subscription_service::migrations()).await,
        }
    }

    fn database_url(&self, service: Service) -> String {
        match &self.ground {
            Standing::Embedded { folder, .. } => {
                let context = service.as_str().split('-').next().unwrap();
                format!("sqlite:{}", folder.path().join(format!("data/{context}.db")).display())
            }
            Standing::Split(ground) => ground.database_url(service).to_owned(),
        }
    }

    /// The keys of the services, for whoever does their duties in their place.
    pub(crate) fn keys(&self) -> KeyFolder {
        let folder = match &self.ground {
            Standing::Embedded { folder, .. } => folder.path().join("data/keys"),
            Standing::Split(ground) => PathBuf::from(ground.keys("")),
        };
        KeyFolder::open_or_create(&folder).unwrap()
    }

    /// The issuer of access tokens.
    pub(crate) const fn issuer(&self) -> &'static str {
        match self.ground {
            Standing::Embedded { .. } => "tenure",
            Standing::Split(_) => ISSUER,
        }
    }
}

/// Starts a program. A database server that others keep busy may have no room for it yet.
fn start_when_there_is_room(program: &Program) -> Process {
    let begun = Instant::now();
    loop {
        match program.try_start() {
            Ok(process) => return process,
            Err(told) => {
                let is_full = told.contains("cannot connect to the database") && begun.elapsed() < PATIENCE;
                assert!(is_full, "it does not start again: {told}");
            }
        }
    }
}

/// As [`start_when_there_is_room`], for a database.
async fn open_when_there_is_room(settings: &Settings, migrations: &Migrations) -> Db {
    let begun = Instant::now();
    loop {
        match Db::open(settings, migrations).await {
            Ok(db) => return db,
            Err(error) => {
                let is_full = matches!(error, OpenError::Connect(_)) && begun.elapsed() < PATIENCE;
                assert!(is_full, "it does not open: {error:?}");
            }
        }
    }
}

fn channel(port: &Port) -> Channel {
    Endpoint::from_shared(format!("http://{}", port.address)).unwrap().timeout(PATIENCE).connect_lazy()
}

/// Closes what [`System::databases`] opened, so that the processes alone hold the files when they die.
pub(crate) async fn close(databases: Databases) {
    for db in [databases.directory, databases.identity, databases.subscription] {
        db.close().await;
    }
}
