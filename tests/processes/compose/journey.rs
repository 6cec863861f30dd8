//! The commands of `docker-compose.yml`, run here: with hosts, ports and folders of the test, and all else as it stands.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use test_support::client::{attach, directory_of, read, sign_in, sign_up, sign_up_request, trial};
use test_support::collector::Collector;
use test_support::database::{Engine, engine, server};
use tonic::transport::Channel;

use super::file::{Compose, Service, Variables};
use crate::process::{Port, Process};

const SERVICES: [&str; 3] = ["directory-service", "identity-service", "subscription-service"];

fn assert_health<const N: usize>(services: [&Service; N], serves: bool) {
    for service in services {
        let output = service.health().run();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!serves)), "{told}");
    }
}

/// Signs up, signs in, attaches, and reads what came of it.
async fn play(identity: &Channel, subscription: &Channel) -> String {
    let name = sign_up(identity, sign_up_request("contoso")).await.unwrap();
    let ada = sign_in(identity, &name).await.unwrap();
    let attached = attach(subscription, trial(&directory_of(&ada)), &ada.access_token).await.unwrap();
    let attached = attached.subscription.unwrap();
    assert_eq!(read(subscription, &attached.name, &ada.access_token).await.unwrap(), attached);
    name
}

async fn stop(processes: impl IntoIterator<Item = Process>) {
    for process in processes {
        let (code, told) = process.stop().await;
        assert_eq!(code, Some(0), "{told}");
    }
}

#[tokio::test]
async fn one_process_serves_a_journey_on_its_volume_and_again_after_an_upgrade() {
    let (volume, port) = (tempfile::tempdir().unwrap(), Port::hold());
    let compose = Compose::read(&Variables::from([
        ("DATA_DIR".to_owned(), text(volume.path())),
        ("EMBEDDED_PORT".to_owned(), port.address.port().to_string()),
    ]));
    let service = compose.service("tenure");
    assert_health([service], false);
    let tenure = service.program().start();
    assert_health([service], true);
    let channel = tenure.channel().await;
    let name = play(&channel, &channel).await;
    stop([tenure]).await;
    assert_health([service], false);
    let upgraded = service.program().start();
    sign_in(&upgraded.channel().await, &name).await.unwrap();
    stop([upgraded]).await;
}

#[tokio::test]
async fn three_services_serve_a_journey_on_the_databases_and_keys_that_are_made_for_them() {
    if engine() == Engine::Sqlite {
        return;
    }
    let (volume, ports) = (tempfile::tempdir().unwrap(), [Port::hold(), Port::hold(), Port::hold()]);
    let (collector, endpoint) = Collector::start().await;
    let mut variables = Variables::from([
        ("KEYS_DIR".to_owned(), text(volume.path())),
        ("POSTGRES".to_owned(), postgres_host()),
        ("COLLECTOR".to_owned(), endpoint.strip_prefix("http://").unwrap().to_owned()),
    ]);
    for (name, port) in ["DIRECTORY", "IDENTITY", "SUBSCRIPTION"].into_iter().zip(&ports) {
        variables.insert(format!("{name}_PORT"), port.address.port().to_string());
        variables.insert(format!("{name}_HOST"), port.address.ip().to_string());
        variables.insert(format!("{name}_DATABASE"), database(name));
    }
    let compose = Compose::read(&variables);
    let _made = Databases::make(&compose.configs["databases"].content).await;
    for _ in ["at first", "after an upgrade"] {
        let keys = compose.service("keys").program().run();
        assert!(keys.status.success(), "{}", String::from_utf8_lossy(&keys.stderr));
    }

    let services = SERVICES.map(|name| compose.service(name));
    assert_health(services, false);
    let processes = services.map(|service| service.program().start());
    assert_health(services, true);
    play(&processes[1].channel().await, &processes[2].channel().await).await;
    stop(processes).await;
    assert_health(services, false);
    assert!(!collector.metric_names().is_empty(), "nothing was told to the collector");

    let own = &services[0].environment["TENURE_DATABASE_URL"];
    PgConnection::connect(own).await.unwrap();
    let (server, _) = own.rsplit_once('/').unwrap();
    let foreign = format!("{server}/{}", database("IDENTITY"));
    PgConnection::connect(&foreign).await.unwrap_err();
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A name in the place of the file's own, which may be taken on the tests' server; fixtures know whose it is.
fn database(service: &str) -> String {
    format!("tenure_test_{}_compose_{}", std::process::id(), service.to_lowercase())
}

/// Host and port of the tests' server.
fn postgres_host() -> String {
    let server = server();
    let authority = server.split('/').nth(2).expect("a URL has an authority");
    authority.rsplit('@').next().unwrap().to_owned()
}

/// What the statements of the file have made; ends with this value.
struct Databases;

impl Databases {
    /// As the server's image does it: one statement after the other.
    async fn make(statements: &str) -> Self {
        let made = Self;
        run(statements.split(';').map(str::trim).filter(|statement| !statement.is_empty())).await;
        made
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        // The test's own runtime is ending: the drop runs in one of its own.
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let names = ["DIRECTORY", "IDENTITY", "SUBSCRIPTION"].map(database);
            let databases = names.iter().map(|name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            let roles = names.iter().map(|name| format!("DROP ROLE IF EXISTS {name}"));
            let statements: Vec<_> = databases.chain(roles).collect();
            runtime.block_on(run(statements.iter().map(String::as_str)));
        });
        let _ = dropped.join();
    }
}

async fn run(statements: impl Iterator<Item = &str>) {
    let mut server = PgConnection::connect(&server()).await.expect("the tests' server is there");
    for statement in statements {
        let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut server).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}
