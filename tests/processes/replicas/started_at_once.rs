//! Several replicas of each service on one database of PostgreSQL; SQLite serves one process.

use access::Service;
use sqlx::{Connection as _, PgConnection};
use test_support::client::{attach, directory_of, read, sign_in, sign_up, sign_up_request, trial};
use test_support::database::{Engine, engine};

use crate::process::{Process, Program};
use crate::split::Ground;

/// As often as two replicas are started at once.
const ROUNDS: usize = 5;

/// Starts programs at the same time, each on a thread of its own.
fn at_once(programs: Vec<Program>) -> Vec<Process> {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(programs.len()));
    let starting = programs.into_iter().map(|program| {
        let barrier = std::sync::Arc::clone(&barrier);
        std::thread::spawn(move || {
            barrier.wait();
            program.start()
        })
    });
    let starting: Vec<_> = starting.collect();
    starting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

async fn number(ground: &Ground, service: Service, select: &'static str) -> i64 {
    let mut connection = PgConnection::connect(ground.database_url(service)).await.unwrap();
    sqlx::query_scalar(select).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn replicas_that_start_at_once_make_one_schema_and_one_signing_key() {
    if engine() == Engine::Sqlite {
        return;
    }
    for _ in 0..ROUNDS {
        let ground = Ground::new().await;
        let _directory = ground.program(Service::Directory).start();
        let replicas = [Service::Identity, Service::Subscription].into_iter().flat_map(|service| {
            [ground.program(service), ground.replica(service).args(["--listen", "127.0.0.1:0"])]
        });
        let replicas = at_once(replicas.collect());
        let [identity, other_identity, subscription, other_subscription] = &replicas[..] else {
            panic!("two of each were started");
        };
        let mut channels = Vec::new();
        for replica in [identity, other_identity, subscription, other_subscription] {
            channels.push(replica.channel().await);
        }
        let [identity, other_identity, subscription, other_subscription] = &channels[..] else {
            panic!("four were connected to");
        };
        let name = sign_up(identity, sign_up_request("contoso")).await.unwrap();
        let (one, other) = tokio::join!(sign_in(identity, &name), sign_in(other_identity, &name));
        let (one, other) = (one.unwrap(), other.unwrap());
        // K21: one key signs, whoever made it, and both publish it.
        let keys = number(&ground, Service::Identity, "SELECT COUNT(*) FROM signing_keys").await;
        assert_eq!(keys, 1);
        // A request that one replica has done is done for the other too.
        let request = trial(&directory_of(&one));
        let attached = attach(subscription, request.clone(), &other.access_token).await.unwrap();
        assert_eq!(attach(other_subscription, request, &other.access_token).await.unwrap(), attached);
        let attached = attached.subscription.unwrap();
        assert_eq!(read(other_subscription, &attached.name, &one.access_token).await.unwrap(), attached);
    }
}
