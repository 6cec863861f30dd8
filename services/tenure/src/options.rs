//! What can be set, from flags and the environment, checked as a whole before anything starts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use identity_service::SignUpPolicy;
use runtime::config::{self, ConfigInvalid, Network, Problems};
use runtime::telemetry::{LogFormat, TelemetrySettings};
use subscription_service::PriceList;

/// Directories, identities and subscriptions over gRPC: a tenant control plane in one process.
#[derive(Debug, Parser)]
#[command(name = "tenure", version, about)]
pub struct Cli {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What can be set.
    #[command(flatten)]
    pub options: Options,
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
    /// What only the holder of the data folder can do.
    Operator {
        /// What to do.
        #[command(subcommand)]
        command: OperatorCommand,
    },
}

/// What only the holder of the data folder can do.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Prints an operator token, good for a short while; what is changed with it, and refused, is in the change log.
    Token {
        /// How long it is good, such as 10m; one hour at most.
        #[arg(long, default_value = "10m")]
        lifetime: String,
    },
}

/// What can be set; every option has an environment variable, and unknown `TENURE_` variables are refused.
#[derive(Debug, Args)]
pub struct Options {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "TENURE_LISTEN", default_value = "127.0.0.1:50051", global = true)]
    listen: String,
    /// Folder of databases and keys; made when missing, used by one process at a time.
    #[arg(long, env = "TENURE_DATA_DIR", default_value = "./tenure-data", global = true)]
    data_dir: PathBuf,
    /// Lets a non-loopback address be served without TLS: whoever is on the network can read everything.
    #[arg(long, env = "TENURE_PLAINTEXT", default_value_t = false, global = true)]
    plaintext: bool,
    /// Who may sign up a new organisation: `open` or `operator`; open by default on loopback addresses only.
    #[arg(long, env = "TENURE_SIGN_UP", global = true)]
    sign_up: Option<String>,
    /// Sign-ups an hour from one network source.
    #[arg(long, env = "TENURE_SIGN_UPS_PER_SOURCE", default_value = "3600", global = true)]
    sign_ups_per_source: String,
    /// Sign-ups an hour in all.
    #[arg(long, env = "TENURE_SIGN_UPS_TOTAL", default_value = "36000", global = true)]
    sign_ups_total: String,
    /// Failed sign-ins an hour for one user principal name.
    #[arg(long, env = "TENURE_SIGN_IN_FAILURES_PER_NAME", default_value = "100", global = true)]
    sign_in_failures_per_name: String,
    /// Failed sign-ins an hour from one network source.
    #[arg(long, env = "TENURE_SIGN_IN_FAILURES_PER_SOURCE", default_value = "1000", global = true)]
    sign_in_failures_per_source: String,
    /// Proxies whose `x-forwarded-for` is believed: addresses or networks such as 10.0.0.0/8, separated by commas.
    #[arg(long, env = "TENURE_TRUSTED_PROXIES", default_value = "", global = true)]
    trusted_proxies: String,
    /// Issuer (`iss`) of access tokens.
    #[arg(long, env = "TENURE_ISSUER", default_value = "tenure", global = true)]
    issuer: String,
    /// Suffix of initial domains: label `contoso` becomes contoso.SUFFIX.
    #[arg(long, env = "TENURE_INITIAL_DOMAIN_SUFFIX", default_value = "tenure.internal", global = true)]
    initial_domain_suffix: String,
    /// JSON file of prices; the built-in list of examples when left out.
    #[arg(long, env = "TENURE_PRICE_LIST", global = true)]
    price_list: Option<PathBuf>,
    /// Longest time that a call may take, whatever the client's deadline.
    #[arg(long, env = "TENURE_REQUEST_TIMEOUT", default_value = "30s", global = true)]
    request_timeout: String,
    /// OTLP endpoint (gRPC) for traces and metrics, such as `http://127.0.0.1:4317`; when left out, the standard
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT` counts, and nothing is exported without either.
    #[arg(long, env = "TENURE_OTLP_ENDPOINT", global = true)]
    otlp_endpoint: Option<String>,
    /// Share of calls that are traced when the caller does not say, from 0 to 1.
    #[arg(long, env = "TENURE_TRACE_RATIO", default_value = "0.01", global = true)]
    trace_ratio: String,
    /// What is logged, in the form of tracing's filters, such as `info` or `identity_service=debug`.
    #[arg(long, env = "TENURE_LOG", default_value = "info", global = true)]
    log: String,
    /// Form of the log: `text` or `json`.
    #[arg(long, env = "TENURE_LOG_FORMAT", default_value = "text", global = true)]
    log_format: String,
}

/// The options, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Issuer of access tokens.
    pub issuer: String,
    /// Suffix of initial domains.
    pub initial_domain_suffix: String,
    /// Prices.
    pub prices: PriceList,
    /// Identity's limits and policies.
    pub identity: identity_service::Settings,
    /// Subscription's limits.
    pub subscription: subscription_service::Settings,
    /// Longest time of a call.
    pub request_timeout: Duration,
    /// Logs, traces and metrics.
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Checks all options; every problem is told at once.
    pub fn check(
        options: &Options,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigInvalid> {
        let mut problems = Problems::new();
        let environment: Vec<_> = environment.collect();
        problems.extend(config::unknown_variables(&Cli::command(), environment.iter().cloned()));
        let listen: Option<SocketAddr> = problems.take("--listen", options.listen.parse());
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !options.plaintext {
            // K34: nothing but loopback is served in clear by accident.
            problems.add("--listen", "is not a loopback address: add --plaintext to serve it without TLS");
        }
        let identity = identity_settings(options, listen, &mut problems);
        let request_timeout = problems.take("--request-timeout", call_time(&options.request_timeout));
        let prices = prices(options, &mut problems);
        let telemetry = telemetry(options, &environment, &mut problems);
        if options.issuer.is_empty() || is_taken(&options.issuer) {
            // Whose token it is follows from `iss`, so the issuer's name is nobody else's.
            problems.add("--issuer", "must not be empty, `operator` or the name of a service");
        }
        problems
            .take("--initial-domain-suffix", directory_service::check_suffix(&options.initial_domain_suffix));
        problems.finish()?;
        let checked = "every problem ended this function";
        Ok(Self {
            listen: listen.expect(checked),
            data_dir: options.data_dir.clone(),
            issuer: options.issuer.clone(),
            initial_domain_suffix: options.initial_domain_suffix.clone(),
            prices: prices.expect(checked),
            identity,
            subscription: subscription_service::Settings::default(),
            request_timeout: request_timeout.expect(checked),
            telemetry: telemetry.expect(checked),
        })
    }
}

impl Options {
    /// The data folder, for commands that start no server.
    pub const fn data_dir(&self) -> &PathBuf {
        &self.data_dir
    }
}

/// The longest time of a call: at most a minute, by which the counting of a minute's refusals is over.
fn call_time(text: &str) -> Result<Duration, String> {
    let time = config::duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_mins(1)).contains(&time) {
        Ok(time)
    } else {
        Err("must be from 1s to 60s".to_owned())
    }
}

fn is_taken(issuer: &str) -> bool {
    issuer == access::token::OPERATOR_ISSUER || issuer.parse::<access::Service>().is_ok()
}

fn identity_settings(
    options: &Options,
    listen: Option<SocketAddr>,
    problems: &mut Problems,
) -> identity_service::Settings {
    let sign_up = match options.sign_up.as_deref() {
        // K18: open by default on loopback only.
        None if listen.is_some_and(|listen| listen.ip().is_loopback()) => SignUpPolicy::Open,
        None | Some("operator") => SignUpPolicy::Operator,
        Some("open") => SignUpPolicy::Open,
        Some(_) => {
            problems.add("--sign-up", "must be `open` or `operator`");
            SignUpPolicy::Operator
        }
    };
    let trusted_proxies = networks(&options.trusted_proxies, problems);
    let mut settings =
        identity_service::Settings { sign_up, trusted_proxies, ..identity_service::Settings::default() };
    let mut per_hour = |flag: &str, text: &str, into: &mut u32| match text.parse() {
        Ok(0) | Err(_) => problems.add(flag, "must be a whole number from 1 to 4294967295"),
        Ok(number) => *into = number,
    };
    per_hour(
        "--sign-ups-per-source",
        &options.sign_ups_per_source,
        &mut settings.sign_up_per_source_per_hour,
    );
    per_hour("--sign-ups-total", &options.sign_ups_total, &mut settings.sign_up_total_per_hour);
    per_hour(
        "--sign-in-failures-per-name",
        &options.sign_in_failures_per_name,
        &mut settings.sign_in_failures_per_name_per_hour,
    );
    per_hour(
        "--sign-in-failures-per-source",
        &options.sign_in_failures_per_source,
        &mut settings.sign_in_failures_per_source_per_hour,
    );
    settings
}

fn networks(text: &str, problems: &mut Problems) -> Vec<Network> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| problems.take("--trusted-proxies", part.parse())).collect()
}

fn prices(options: &Options, problems: &mut Problems) -> Option<PriceList> {
    let Some(path) = &options.price_list else { return Some(PriceList::default()) };
    let text = problems.take("--price-list", std::fs::read_to_string(path))?;
    problems.take("--price-list", PriceList::from_json(&text))
}

/// The variable by which processes are commonly told where their collector is.
const STANDARD_OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn telemetry(
    options: &Options,
    environment: &[(OsString, OsString)],
    problems: &mut Problems,
) -> Option<TelemetrySettings> {
    let standard = environment.iter().find(|(name, _)| name == STANDARD_OTLP_ENDPOINT);
    let standard = standard.map(|(_, endpoint)| endpoint.to_string_lossy().into_owned());
    let otlp_endpoint = options.otlp_endpoint.clone().or(standard).filter(|endpoint| !endpoint.is_empty());
    let sample_ratio = problems.take("--trace-ratio", config::ratio(&options.trace_ratio));
    let log_format = match options.log_format.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => {
            problems.add("--log-format", "must be `text` or `json`");
            None
        }
    };
    if let Some(endpoint) = &otlp_endpoint {
        problems.take("--otlp-endpoint", endpoint.parse::<http::Uri>());
    }
    problems.take("--log", runtime::telemetry::check_filter(&options.log));
    Some(TelemetrySettings {
        service_name: "tenure".to_owned(),
        log_filter: options.log.clone(),
        log_format: log_format?,
        otlp_endpoint,
        sample_ratio: sample_ratio?,
    })
}
