//! A storm of clients over a system: they work until somebody dies, settle what was left open, and look at everything.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use database::fail_point::FailPoint;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::halves::{Logged, logs_are_whole, nothing_is_half};
use crate::system::{Services, System, close};

/// How many clients there are: enough that transactions meet.
const CLIENTS: usize = 8;

/// Something that a client does with the services.
type Work = for<'a> fn(&'a mut Client, &'a Services) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// How a round ends for some process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Death {
    /// Killed from outside after so long; `None`: all of them.
    After(Duration, Option<usize>),
    /// Told to die at a place, the `nth` time that it comes by.
    At { place: FailPoint, nth: u64, process: usize },
}

/// The clients and the system that they use.
pub(crate) struct Storm {
    pub(crate) system: System,
    pub(crate) clients: Vec<Client>,
    seed: u64,
    begun: Instant,
}

impl Storm {
    pub(crate) fn over(system: System, seed: u64) -> Self {
        let clients = (0..CLIENTS).map(|number| Client::new(number, seed)).collect();
        Self { system, clients, seed, begun: Instant::now() }
    }

    /// One round: work, a death, the way back, and a look at everything. Of four things that were left open, so many
    /// are forgotten.
    pub(crate) async fn round(&mut self, death: Death, forgotten: u64) {
        self.tell(&format!("{death:?}, of four left open {forgotten} are forgotten"));
        self.clients.iter_mut().for_each(|client| client.forgets = forgotten);
        if let Death::At { place, nth, process } = death {
            self.system.arm(process, place, nth);
        }
        self.rage(death).await;
        self.system.start_again();
        self.each(|client, services| Box::pin(client.settle(services))).await;
        self.look().await;
    }

    /// Says what happens, for whoever reads how a test failed.
    #[expect(clippy::print_stdout, reason = "the test's own output is shown where it fails")]
    pub(crate) fn tell(&self, what: &str) {
        println!("seed {}, {:.1} s: {what}", self.seed, self.begun.elapsed().as_secs_f64());
    }

    /// The clients work while somebody dies.
    async fn rage(&mut self, death: Death) {
        let stop = Arc::new(AtomicBool::new(false));
        let mut working = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let (services, stop) = (self.system.services.clone(), Arc::clone(&stop));
            working.spawn(async move {
                client.storm(&services, &stop).await;
                client
            });
        }
        match death {
            Death::After(delay, victim) => {
                tokio::time::sleep(delay).await;
                match victim {
                    Some(process) => self.system.kill(process),
                    None => self.system.kill_all(),
                }
            }
            Death::At { process, .. } => self.system.await_death(process),
        }
        stop.store(true, Ordering::SeqCst);
        self.clients = working.join_all().await;
    }

    /// Everything that was promised is there, nothing is half, and the logs are whole.
    pub(crate) async fn look(&mut self) {
        let databases = self.system.databases().await;
        logs_are_whole(&databases).await;
        nothing_is_half(&databases).await;
        let logged = Logged::read(&databases).await;
        close(databases).await;
        for client in &self.clients {
            client.ledger.news().iter().for_each(|entry| logged.assert_has(entry));
        }
        self.each(|client, services| Box::pin(client.look(services))).await;
    }

    /// Has every client do something, all at once.
    pub(crate) async fn each(&mut self, work: Work) {
        let mut working = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let services = self.system.services.clone();
            working.spawn(async move {
                work(&mut client, &services).await;
                client
            });
        }
        self.clients = working.join_all().await;
    }
}
