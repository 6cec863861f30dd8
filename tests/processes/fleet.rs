//! Two replicas of each service over three databases, all on one PostgreSQL server, a balancer in front of each pair.

use std::net::SocketAddr;
use std::time::Duration;

use access::Service;
use database::fail_point::VARIABLE;
use database::verify::{Verified, verify};
use database::{Db, Migrations, Settings};
use system_tests::contests::Place;
use system_tests::people::{People, Wire};
use tenure::embedded::Databases;
use test_support::database::{Engine, engine};
use tokio::sync::{Mutex, MutexGuard};
use tonic::transport::{Channel, Endpoint};

use crate::balancer::Balancer;
use crate::process::{Port, Process, Program};
use crate::split::Ground;
use crate::wire::{Repeated, by_turns, once};

/// How many replicas there are of each service.
pub(crate) const REPLICAS: usize = 2;

/// Six processes are all that a small machine and a server with a hundred connections bear at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Two processes cannot share an embedded database: on SQLite these tests say so, and are not part of the run.
#[expect(clippy::print_stdout, reason = "a test says why it is not part of a run")]
pub(crate) fn is_not_for_sqlite() -> bool {
    let embedded = engine() == Engine::Sqlite;
    if embedded {
        println!("not part of a run on SQLite: replicas need PostgreSQL (TEST_DATABASE=postgres)");
    }
    embedded
}

/// Six processes. What is dropped first ends first.
pub(crate) struct Fleet {
    replicas: Vec<Replica>,
    pub(crate) databases: Databases,
    _balancers: Vec<Balancer>,
    _ground: Ground,
    _turn: MutexGuard<'static, ()>,
}

struct Replica {
    service: Service,
    number: usize,
    port: Port,
    program: Program,
    process: Option<Process>,
}

impl Fleet {
    /// All six at once, over databases without any table.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, program| program).await
    }

    /// As [`Self::start`], with what a test has to tell the programs of a service.
    pub(crate) async fn start_with(tell: impl Fn(Service, Program) -> Program) -> Self {
        let turn = TURN.lock().await;
        let ground = Ground::new().await;
        let mut replicas = Vec::new();
        for service in Service::ALL {
            for number in 0..REPLICAS {
                let port = Port::hold();
                let program = ground.replica(service).args(["--listen".to_owned(), port.address.to_string()]);
                let program = tell(service, program);
                replicas.push(Replica { service, number, port, program, process: None });
            }
        }
        start_all(replicas.iter_mut());
        let mut balancers = Vec::new();
        for service in Service::ALL {
            let own = replicas.iter().filter(|replica| replica.service == service);
            let addresses: Vec<SocketAddr> = own.map(|replica| replica.port.address).collect();
            balancers.push(Balancer::start(ground.port(service), addresses).await);
        }
        let databases = databases(&ground).await;
        Self { replicas, databases, _balancers: balancers, _ground: ground, _turn: turn }
    }

    /// Kills one replica as a power loss would.
    pub(crate) fn kill(&mut self, service: Service, number: usize) {
        let replica = self.replica(service, number);
        replica.program = replica.process.take().expect("it runs").kill();
    }

    /// Waits for one replica that was told to die.
    pub(crate) fn died(&mut self, service: Service, number: usize) {
        let replica = self.replica(service, number);
        let mut process = replica.process.take().expect("it ran");
        tokio::task::block_in_place(|| process.ended());
        replica.program = process.where_it_was();
    }

    /// Starts those of a service that do not run, all at once, where they were.
    pub(crate) fn start_again(&mut self, service: Service) {
        start_all(self.replicas.iter_mut().filter(|replica| replica.service == service));
    }

    /// Starts those of a service that do not run, told to die at a fail point.
    pub(crate) fn start_to_die(&mut self, service: Service, at: &str) {
        let dead = |replica: &&mut Replica| replica.service == service && replica.process.is_none();
        for replica in self.replicas.iter_mut().filter(dead) {
            replica.program = replica.program.clone().env(VARIABLE, at);
        }
        self.start_again(service);
    }

    fn replica(&mut self, service: Service, number: usize) -> &mut Replica {
        let mut replicas = self.replicas.iter_mut();
        replicas.find(|replica| replica.service == service && replica.number == number).expect("it is there")
    }

    /// What all that run have logged.
    pub(crate) fn logs(&self) -> String {
        self.replicas.iter().filter_map(|replica| replica.process.as_ref()).map(Process::log).collect()
    }

    /// Stops all in order; each says how it ended.
    pub(crate) async fn stop(&mut self) -> Vec<(Option<i32>, String)> {
        let mut ends = Vec::new();
        for replica in &mut self.replicas {
            ends.push(replica.process.take().expect("it runs").stop().await);
        }
        ends
    }

    /// People whose calls go to the replicas by turns: half of those at once through one, half through the other. What
    /// the one did not serve they repeat at the other.
    pub(crate) fn by_turns(&self, repeated: &Repeated) -> People {
        self.people(|replicas| by_turns(replicas, repeated.clone()))
    }

    /// People who know one replica of each service alone.
    pub(crate) fn through(&self, number: usize) -> People {
        self.people(|mut replicas| by_turns(vec![replicas.swap_remove(number)], Repeated::default()))
    }

    /// People who know one replica of each service alone, and repeat nothing.
    pub(crate) fn once_through(&self, number: usize) -> People {
        self.people(|mut replicas| once(replicas.swap_remove(number)))
    }

    fn people(&self, wire: impl Fn(Vec<Channel>) -> Wire) -> People {
        let to = |service| {
            let own = self.replicas.iter().filter(|replica| replica.service == service);
            wire(own.map(|replica| channel(replica.port.address)).collect())
        };
        People {
            directory: to(Service::Directory),
            identity: to(Service::Identity),
            subscription: to(Service::Subscription),
            ids: runtime::clock::system_ids(),
        }
    }

    /// Where contests are held over both replicas.
    pub(crate) fn place(&self, repeated: &Repeated) -> Place {
        Place { people: self.by_turns(repeated), databases: self.databases.clone() }
    }

    /// K13: waits until everything is sealed, and verifies it; no position is there twice, none is left out.
    pub(crate) async fn assert_change_logs_intact(&self) {
        let Databases { directory, identity, subscription } = &self.databases;
        for db in [directory, identity, subscription] {
            until("every change is sealed", || async {
                let verified = verify(db).await.expect("a test database reads");
                match verified {
                    Verified::Intact { unsealed, .. } => unsealed == 0,
                    Verified::Broken { .. } => panic!("the change log is broken: {verified:?}"),
                }
            })
            .await;
        }
    }
}

/// Waits for what other processes do by themselves.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let reached = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_mins(1), reached).await;
    assert!(reached.is_ok(), "in a minute it did not come about that {what}");
}

/// Starts those that do not run, all at once.
fn start_all<'a>(replicas: impl Iterator<Item = &'a mut Replica>) {
    std::thread::scope(|scope| {
        for replica in replicas.filter(|replica| replica.process.is_none()) {
            scope.spawn(|| replica.process = Some(replica.program.start()));
        }
    });
}

fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URI");
    endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true).connect_lazy()
}

/// The databases as the test looks into them.
async fn databases(ground: &Ground) -> Databases {
    let open = async |service, migrations: Migrations| -> Db {
        let url = ground.database_url(service).parse().expect("a test database has an address");
        let settings = Settings { postgres_connections: 2, ..Settings::at(url) };
        Db::open(&settings, &migrations).await.expect("the replicas have opened it")
    };
    Databases {
        directory: open(Service::Directory, directory_service::migrations()).await,
        identity: open(Service::Identity, identity_service::migrations()).await,
        subscription: open(Service::Subscription, subscription_service::migrations()).await,
    }
}
