//! `load`: measures the running binaries against baselines of the same round (docs: `tests/load/README.md`).
//!
//! The program drives from outside: what it measures are processes of their own, and none of their code runs here.

mod bare;
mod bench;
mod data;
mod drive;
mod echo;
mod latencies;
mod measure;
mod neighbours;
mod people;
mod plan;
mod process;
mod report;
mod statements;
mod subject;
mod tables;
mod work;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::bare::BareKind;
use crate::bench::{Bench, Pace};
use crate::report::Report;
use crate::subject::Mode;
use crate::work::WorkKind;

/// Whatever went wrong: it ends the run.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Measures Tenure's binaries beside baselines.
#[derive(Debug, Parser)]
#[command(name = "load", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A minute's look at one work.
    Quick(Options),
    /// Everything that the report has.
    All {
        /// How Tenure is run, one after the other.
        #[arg(long, value_delimiter = ',', default_value = "embedded,split-sqlite,split-postgres")]
        modes: Vec<Mode>,
        #[command(flatten)]
        options: Options,
    },
    /// One work.
    One {
        /// What is called.
        #[arg(long)]
        work: WorkKind,
        /// How Tenure is run.
        #[arg(long, default_value = "embedded")]
        mode: Mode,
        /// Clients, each with one call in flight.
        #[arg(long, default_value_t = 64)]
        clients: usize,
        /// Directories of the subject; several make several subjects.
        #[arg(long, value_delimiter = ',', default_value = "1")]
        directories: Vec<usize>,
        #[command(flatten)]
        options: Options,
    },
    /// Checks at a fixed rate, at rest and beside sign-ins.
    Neighbours {
        /// How Tenure is run.
        #[arg(long, default_value = "embedded")]
        mode: Mode,
        #[command(flatten)]
        options: Options,
    },
    /// How soon it answers after a start, and what it holds at rest.
    Starts {
        /// How Tenure is run.
        #[arg(long, default_value = "embedded")]
        mode: Mode,
        /// Directories of the subject.
        #[arg(long, default_value_t = 1)]
        directories: usize,
        #[command(flatten)]
        options: Options,
    },
    /// Puts the tables of a report between the marks of a Markdown file.
    Tables {
        /// The report.
        report: PathBuf,
        /// The file.
        markdown: PathBuf,
    },
    /// The plain server of the baseline.
    EchoServer,
    /// Statements or hashes without us, ordered over standard input.
    Bare {
        /// What is run.
        kind: BareKind,
        /// `sqlite:PATH` or `postgres://…`.
        database: String,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Folder of the binaries; that of this one when left out.
    #[arg(long)]
    bin_dir: Option<PathBuf>,
    /// Where the report is written.
    #[arg(long, default_value = "target/load/report.json")]
    report: PathBuf,
    /// Where prepared data is kept between runs.
    #[arg(long, default_value = "target/load/data")]
    data: PathBuf,
    /// Rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// Counted milliseconds of a round.
    #[arg(long)]
    counted: Option<u64>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended =
        runtime.map_err(Failed::from).and_then(|runtime| runtime.block_on(until_stopped(run(cli.command))));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = writeln!(std::io::stderr(), "load: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// Ends on a signal by dropping what runs, so that no process or database is left behind.
async fn until_stopped(running: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = running => ended,
        _ = terminated.recv() => Err("told to end".into()),
        interrupted = tokio::signal::ctrl_c() => Err(interrupted.map_or_else(Into::into, |()| "interrupted".into())),
    }
}

async fn run(command: Command) -> Result<(), Failed> {
    match command {
        Command::EchoServer => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            say(&format!("load is serving on {}", listener.local_addr()?))?;
            echo::serve(listener).await
        }
        Command::Bare { kind, database } => bare::run(kind, &database, say).await,
        Command::Tables { report, markdown } => tables::put(&Report::read(&report)?, &markdown),
        Command::Quick(options) => {
            measured(&options, 3, async |bench, report| {
                plan::run(bench, report, &options.report, &[plan::quick()]).await
            })
            .await
        }
        Command::All { modes, options } => {
            measured(&options, 5, async |bench, report| {
                plan::all(bench, report, &options.report, &modes).await
            })
            .await
        }
        Command::One { work, mode, clients, directories, options } => {
            let spec = plan::spec(work, mode, clients, directories);
            measured(&options, 5, async |bench, report| {
                plan::run(bench, report, &options.report, &[spec]).await
            })
            .await
        }
        Command::Starts { mode, directories, options } => {
            measured(&options, 5, async |bench, report| {
                report.starts.push(bench.starts(mode, directories).await?);
                report.write(&options.report)
            })
            .await
        }
        Command::Neighbours { mode, options } => {
            measured(&options, 5, async |bench, report| {
                report.neighbours.push(neighbours::measure(bench, mode).await?);
                report.write(&options.report)
            })
            .await
        }
    }
}

/// Runs a plan on a bench, and shows what came of it.
async fn measured(
    options: &Options,
    rounds: usize,
    plan: impl AsyncFnOnce(&mut Bench, &mut Report) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let own = std::env::current_exe()?;
    let beside = own.parent().unwrap_or(Path::new("."));
    let bin_dir = options.bin_dir.as_deref().unwrap_or(beside);
    let scratch = tempfile::tempdir()?;
    let pace = Pace {
        rounds: options.rounds.unwrap_or(rounds),
        warm_up: Duration::from_millis(400),
        counted: Duration::from_millis(options.counted.unwrap_or(2_000)),
    };
    let mut bench = Bench::open(bin_dir, &options.data, scratch.path(), pace)?;
    let mut report = Report::begin()?;
    plan(&mut bench, &mut report).await?;
    Ok(say(&tables::all(&report))?)
}

/// Writes a line to standard output at once.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
