//! Tenure as it is run: one process or three, on data of its own, with its telemetry sent somewhere.

use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use api::identity::v1::GetJsonWebKeySetRequest;
use api::identity::v1::session_service_client::SessionServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::Failed;
use crate::data::Data;
use crate::process::Process;

/// How Tenure is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Mode {
    /// One process, SQLite.
    Embedded,
    /// Three processes, SQLite.
    SplitSqlite,
    /// Three processes, PostgreSQL.
    SplitPostgres,
}

impl Mode {
    pub(crate) const fn is_on_postgres(self) -> bool {
        matches!(self, Self::SplitPostgres)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::SplitSqlite => "split-sqlite",
            Self::SplitPostgres => "split-postgres",
        })
    }
}

/// Where the programs are, and where telemetry goes.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) bin_dir: PathBuf,
    /// The swallowing collector.
    pub(crate) collector: String,
    /// Folder of everything that a run leaves behind.
    pub(crate) scratch: PathBuf,
}

/// Limits far beyond what a run reaches: what is measured is the work, not its refusal.
const NO_LIMITS: &[&str] = &[
    "--sign-ups-per-source",
    "100000000",
    "--sign-ups-total",
    "100000000",
    "--sign-in-failures-per-name",
    "100000000",
    "--sign-in-failures-per-source",
    "100000000",
];

/// As above, of every service.
const NO_WRITE_LIMITS: &[&str] =
    &["--writes-per-second-per-principal", "1000000", "--writes-per-second-per-directory", "1000000"];

/// Running processes of Tenure.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) processes: Vec<Process>,
    /// Where identity answers.
    pub(crate) identity: String,
    /// Where subscription answers.
    pub(crate) subscription: String,
    /// The first process's start to the first answered rpc.
    pub(crate) cold_start: Duration,
}

impl Subject {
    /// Starts it on this data and waits for its first answer.
    pub(crate) async fn start(mode: Mode, data: &Data, around: &Surroundings) -> Result<Self, Failed> {
        let begun = Instant::now();
        let (processes, identity, subscription) = match mode {
            Mode::Embedded => embedded(data, around)?,
            Mode::SplitSqlite | Mode::SplitPostgres => split(data, around)?,
        };
        let channel = endpoint(&identity)?.connect().await?;
        let keys =
            SessionServiceClient::new(channel).get_json_web_key_set(GetJsonWebKeySetRequest {}).await?;
        let cold_start = begun.elapsed();
        if keys.into_inner().max_age.is_none() {
            return Err("the key set has no age".into());
        }
        Ok(Self { processes, identity, subscription, cold_start })
    }

    /// Stops it in order.
    pub(crate) fn stop(self) -> Result<(), Failed> {
        self.processes.into_iter().try_for_each(Process::stop)
    }
}

/// Processes, and where identity and subscription answer.
type Started = (Vec<Process>, String, String);

fn embedded(data: &Data, around: &Surroundings) -> Result<Started, Failed> {
    let mut arguments = arguments(&["serve", "--listen", "127.0.0.1:0"], around);
    arguments.extend(["--data-dir".to_owned(), data.folder().display().to_string()]);
    arguments.extend(NO_LIMITS.iter().map(ToString::to_string));
    let program = around.bin_dir.join("tenure");
    let mut process = Process::start(&program, &arguments, &log(data.folder(), "tenure"))?;
    let address = process.address()?;
    Ok((vec![process], address.clone(), address))
}

fn split(data: &Data, around: &Surroundings) -> Result<Started, Failed> {
    let keys = data.folder().join("keys");
    if !keys.exists() {
        let keys = keys.display().to_string();
        let made = Command::new(around.bin_dir.join("tenure")).args(["keys", "init", &keys]).output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
    }
    // Two of them ask each other, so that their addresses are given before either runs.
    let [directory, identity, subscription] = [free_address()?, free_address()?, free_address()?];
    let (to_directory, to_identity) = (format!("http://{directory}"), format!("http://{identity}"));
    let service = |context: &str, address: &str, more: &[&str]| -> Result<Process, Failed> {
        let name = format!("{context}-service");
        let mut arguments = arguments(&["--listen", address, "--issuer", "tenure"], around);
        arguments.extend(["--database-url".to_owned(), data.database_url(context)]);
        arguments.extend(["--key".to_owned(), keys.join(format!("{name}.key")).display().to_string()]);
        arguments.extend(["--trust".to_owned(), keys.join("trust").display().to_string()]);
        arguments.extend(more.iter().map(ToString::to_string));
        Process::start(&around.bin_dir.join(&name), &arguments, &log(data.folder(), &name))
    };
    let of_identity = [&["--directory", &to_directory], NO_LIMITS].concat();
    let of_subscription = ["--identity", &to_identity, "--directory", &to_directory];
    let mut processes = vec![
        service("directory", &directory, &["--identity", &to_identity])?,
        service("identity", &identity, &of_identity)?,
        service("subscription", &subscription, &of_subscription)?,
    ];
    for process in &mut processes {
        process.address()?;
    }
    Ok((processes, identity, subscription))
}

fn arguments(first: &[&str], around: &Surroundings) -> Vec<String> {
    let telemetry = ["--otlp-endpoint".to_owned(), format!("http://{}", around.collector)];
    let limits = NO_WRITE_LIMITS.iter().map(ToString::to_string);
    first.iter().map(ToString::to_string).chain(telemetry).chain(limits).collect()
}

/// An address where nothing listens, below the ports that outgoing connections take.
fn free_address() -> Result<String, Failed> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at once begin at different ports.
    let first = 20_000 + u16::try_from(std::process::id() % 1_000)? * 10;
    for _ in 0..2_000 {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?.to_string());
        }
    }
    Err("no port is free".into())
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.with_extension(format!("{name}.log"))
}

fn endpoint(address: &str) -> Result<Endpoint, Failed> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?)
}

/// Connections, each a channel of its own.
pub(crate) async fn connect(address: &str, connections: usize) -> Result<Vec<Channel>, Failed> {
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(endpoint(address)?.connect().await?);
    }
    Ok(channels)
}
