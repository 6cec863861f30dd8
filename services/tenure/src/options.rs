//! What `tenure` can be told: what every process can, what each context can, and its data folder.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use runtime::config::ConfigInvalid;
use runtime::health_check::HealthOptions;
use runtime::options::{self, Checking, ProcessOptions, ProcessSettings};
use subscription_service::PriceList;

/// The name of the binary.
pub const NAME: &str = "tenure";

/// Directories, identities and subscriptions over gRPC: a tenant control plane in one process.
#[derive(Debug, Parser)]
#[command(name = NAME, version, about)]
pub struct Cli {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What can be set.
    #[command(flatten)]
    pub options: Options,
}

impl Cli {
    /// The command, with the defaults of what every process can be told.
    pub fn complete_command() -> clap::Command {
        options::command::<Self>(&[("listen", "127.0.0.1:50051"), ("issuer", "tenure")])
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs all three services on one port, with SQLite in the data folder (the default).
    Serve,
    /// Plays the two source documents' journeys against a server on a temporary folder, then keeps serving it.
    Demo {
        /// Ends after the journeys, with a failure when a step went otherwise than told.
        #[arg(long)]
        exit: bool,
    },
    /// Asks a running server whether it serves: exit code 0 when it does, 1 when not.
    Health(HealthOptions),
    /// What only the holder of the operator's key can do.
    Operator {
        /// What to do.
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// The keys of services that run in processes of their own.
    Keys {
        /// What to do.
        #[command(subcommand)]
        command: KeysCommand,
    },
}

/// What only the holder of the operator's key can do.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Prints an operator token, good for a short while; what is changed with it, and refused, is in the change log.
    Token {
        /// How long it is good, such as 10m; one hour at most.
        #[arg(long, default_value = "10m")]
        lifetime: String,
        /// The operator's private key; that of the data folder when left out.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

/// The keys of services that run in processes of their own.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Makes a private key for each service and for the operator, and their public halves in the folder `trust`
    /// beside them; what is there is never replaced, what is missing is completed.
    Init {
        /// The folder, which is made where it is missing.
        dir: PathBuf,
    },
}

/// What can be set; every option has an environment variable, and unknown `TENURE_` variables are refused.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    process: ProcessOptions,
    /// Folder of databases and keys; made when missing, used by one process at a time.
    #[arg(long, env = "TENURE_DATA_DIR", default_value = "./tenure-data", global = true)]
    data_dir: PathBuf,
    #[command(flatten)]
    directory: directory_service::Options,
    #[command(flatten)]
    identity: identity_service::Options,
    #[command(flatten)]
    subscription: subscription_service::Options,
}

/// The options, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What every process has.
    pub process: ProcessSettings,
    /// The data folder.
    pub data_dir: PathBuf,
    /// What all initial domains end with, and who is asked about others.
    pub directory: directory_service::Settings,
    /// Prices.
    pub prices: PriceList,
    /// Identity's limits and policies.
    pub identity: identity_service::Settings,
    /// Subscription's limits.
    pub subscription: subscription_service::Settings,
}

impl Settings {
    /// Checks all options; every problem is told at once.
    pub fn check(
        options: &Options,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigInvalid> {
        let mut checking = Checking::new(&Cli::complete_command(), environment);
        let process = options.process.check(NAME, &mut checking);
        let directory = options.directory.check(&mut checking);
        let identity = options.identity.check(&mut checking);
        let subscription = options.subscription.check(&mut checking);
        checking.problems.finish()?;
        let checked = "every problem ended this function";
        let (prices, subscription) = subscription.expect(checked);
        Ok(Self {
            process: process.expect(checked),
            data_dir: options.data_dir.clone(),
            directory: directory.expect(checked),
            prices,
            identity,
            subscription,
        })
    }
}

impl Options {
    /// What every process can be told.
    pub const fn process(&self) -> &ProcessOptions {
        &self.process
    }

    /// The data folder, for commands that start no server.
    pub const fn data_dir(&self) -> &PathBuf {
        &self.data_dir
    }
}
