//! K7: connections that broke while nobody used them cost no call anything; one that breaks in the middle of a
//! transaction costs no call its truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use access::Call;
use database::{DatabaseUrl, Db, Migrations, Settings, StoreError, Tx, idempotency, on, retry};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use test_support::clock::ManualClock;
use test_support::database::{TestDatabase, number};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::idempotency::act;
use crate::{call, permit, store};

const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'";

/// Fills the pool and waits until all of it is idle.
async fn fill_pool(db: &Db, connections: u32, administrator: &mut PgConnection) {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(db.read().await.unwrap());
    }
    drop(open);
    let idle = format!("SELECT CAST(COUNT(*) AS BIGINT) {OTHERS} AND state = 'idle'");
    while one(&idle, administrator).await < i64::from(connections) {}
}

async fn one(select: &str, administrator: &mut PgConnection) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(select.to_owned())).fetch_one(administrator).await.unwrap()
}

#[tokio::test]
async fn a_restart_of_the_server_costs_no_call_anything() {
    let store = store().await;
    // SQLite runs in this process: there is no server that could be restarted.
    let DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let mut administrator = options.connect().await.unwrap();
    let connections = store.settings.postgres_connections;
    for thing in ["one", "two"] {
        fill_pool(&store.db, connections, &mut administrator).await;
        // Waits until each is gone; the server's farewell then lies in the socket.
        let terminate = format!("SELECT CAST(COUNT(pg_terminate_backend(pid, 5000)) AS BIGINT) {OTHERS}");
        assert_eq!(one(&terminate, &mut administrator).await, i64::from(connections));
        let mut tx = store.db.write().await.unwrap();
        let insert = "INSERT INTO things (thing) VALUES ($1)";
        on!(&mut tx, |c| sqlx::query(insert).bind(thing).execute(c).await.map(|_| ())).unwrap();
        tx.commit_bookkeeping().await.unwrap();
    }
    administrator.close().await.unwrap();
    assert_eq!(number(&store.db, "SELECT CAST(COUNT(*) AS BIGINT) FROM things").await, 2);
}

const THINGS: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM things";

/// The server ends the transaction's connection, as at a restart, and says when it is gone.
async fn terminate(tx: &mut Tx, options: &PgConnectOptions) {
    let pid: i32 = on!(tx, |c| sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(c).await).unwrap();
    let mut administrator = options.connect().await.unwrap();
    let terminated: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 5000)")
        .bind(pid)
        .fetch_one(&mut administrator)
        .await
        .unwrap();
    assert!(terminated);
}

/// Where the first attempt's connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    BetweenStatements,
    BeforeCommit,
}

/// Runs a use case whose first attempt loses its connection; gives what it came to and how often it was tried.
async fn interrupted(
    store: &TestDatabase,
    options: &PgConnectOptions,
    call: &Call,
    ended: Ended,
) -> (Result<(), StoreError>, usize) {
    let attempts = AtomicUsize::new(0);
    let attempt = async || {
        let first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
        let mut tx = store.db.write().await?;
        if idempotency::claim::<()>(&mut tx, call).await?.is_some() {
            return Ok(());
        }
        if first && ended == Ended::BetweenStatements {
            terminate(&mut tx, options).await;
        }
        let insert = "INSERT INTO things (thing) VALUES ('one')";
        on!(&mut tx, |c| sqlx::query(insert).execute(c).await.map(|_| ()))?;
        idempotency::complete(&mut tx, call, &()).await?;
        if first && ended == Ended::BeforeCommit {
            terminate(&mut tx, options).await;
        }
        tx.commit(&permit(), &ManualClock::default().clock()).await
    };
    let outcome = retry(call, attempt).await;
    (outcome, attempts.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_connection_that_breaks_between_statements_is_told_and_not_repeated() {
    let store = store().await;
    let DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let (outcome, attempts) = interrupted(&store, options, &call(1, 1), Ended::BetweenStatements).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!((attempts, number(&store.db, THINGS).await), (1, 0));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_is_settled_on_a_new_one_by_the_request_id() {
    let store = store().await;
    let DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let nameless = Call { request_id: None, ..call(1, 1) };
    let (outcome, attempts) = interrupted(&store, options, &nameless, Ended::BeforeCommit).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    assert_eq!((attempts, number(&store.db, THINGS).await), (1, 0));
    let (outcome, attempts) = interrupted(&store, options, &call(1, 1), Ended::BeforeCommit).await;
    outcome.unwrap();
    assert_eq!((attempts, number(&store.db, THINGS).await), (2, 1));
}

/// Passes everything on but, once armed, the answer to the next COMMIT: it happens, and both connections end.
async fn swallow_one_answer(listener: TcpListener, server: (String, u16), is_armed: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&server).await.unwrap();
        connections.spawn(pass_on(client, server, Arc::clone(&is_armed)));
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, is_armed: Arc<AtomicBool>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_swallowing = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let is_commit = asked[..length].windows(7).any(|text| text == b"COMMIT\0");
                is_swallowing |= is_commit && is_armed.swap(false, Ordering::SeqCst);
                server.write_all(&asked[..length]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if is_swallowing {
                    return;
                }
                client.write_all(&answered[..length]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn where_the_answer_to_a_commit_is_lost_the_record_tells_that_it_happened() {
    let store = store().await;
    let DatabaseUrl::Postgres(options) = &store.settings.url else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // In clear: who passes it on has to find the COMMIT.
    let through = options.as_ref().clone().ssl_mode(PgSslMode::Disable);
    let through = through.host("127.0.0.1").port(listener.local_addr().unwrap().port());
    let is_armed = Arc::new(AtomicBool::new(false));
    let mut proxy = JoinSet::new();
    let server = (options.get_host().to_owned(), options.get_port());
    proxy.spawn(swallow_one_answer(listener, server, Arc::clone(&is_armed)));
    let settings = Settings::at(DatabaseUrl::Postgres(Box::new(through)));
    let nothing = Migrations { sqlite: Migrator::DEFAULT, postgres: Migrator::DEFAULT };
    let db = Db::open(&settings, &nothing).await.unwrap();
    let effects = AtomicUsize::new(0);

    is_armed.store(true, Ordering::SeqCst);
    let nameless = Call { request_id: None, ..call(1, 1) };
    let outcome = retry(&nameless, || act(&db, &nameless, &effects)).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    assert_eq!(number(&store.db, THINGS).await, 1, "it happened all the same");

    is_armed.store(true, Ordering::SeqCst);
    let named = call(2, 1);
    let answer = retry(&named, || act(&db, &named, &effects)).await.unwrap();
    assert!(!is_armed.load(Ordering::SeqCst), "an answer was lost");
    assert_eq!((answer.as_str(), number(&store.db, THINGS).await), ("effect 1", 2), "once, and told so");
    db.close().await;
}
