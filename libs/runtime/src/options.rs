//! The settings that every process has, as flags and variables, and their check; each binary flattens them into its own.
//!
//! What belongs to one context alone stands with that context's crate.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser};

use crate::config::{self, Problems};
use crate::edge::WriteLimits;
use crate::server::Limits;
use crate::telemetry::{LogFormat, TelemetrySettings};
use crate::tls::{Authorities, ServerTls};

/// The times of a call that can be set: at most a minute, by which the counting of a minute's refusals is over.
const CALL_TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(1);
/// The rates that can be set: a token bucket counts in nanoseconds.
const PER_SECOND: RangeInclusive<NonZeroU32> =
    NonZeroU32::MIN..=NonZeroU32::new(1_000_000).expect("it is not zero");
/// The variable by which processes are commonly told where their collector is.
const STANDARD_OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What every process can be told; `--listen` and `--issuer` have the defaults of the binary, where it has any.
#[derive(Debug, Args)]
pub struct ProcessOptions {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "TENURE_LISTEN", global = true)]
    listen: Option<String>,
    /// Lets a non-loopback address be served without TLS: whoever is on the network can read everything.
    #[arg(long, env = "TENURE_PLAINTEXT", default_value_t = false, global = true)]
    plaintext: bool,
    /// Certificate to serve TLS with, PEM: the server's own first, then those that lead to its authority. Clients
    /// refuse one that is an authority itself, as `openssl req -x509` makes it by default.
    #[arg(long, env = "TENURE_TLS_CERT", value_name = "FILE", global = true)]
    tls_cert: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(long, env = "TENURE_TLS_KEY", value_name = "FILE", global = true)]
    tls_key: Option<PathBuf>,
    /// Certificates of the authorities, PEM, by which servers at https:// addresses are verified: the peers of a service
    /// in a process of its own, and what `health` asks; all services in one process have no such peers.
    #[arg(long, env = "TENURE_TLS_CA", value_name = "FILE", global = true)]
    tls_ca: Option<PathBuf>,
    /// Issuer (`iss`) of access tokens, the same in all three services.
    #[arg(long, env = "TENURE_ISSUER", global = true)]
    issuer: Option<String>,
    /// Longest time that a call may take, whatever the client's deadline.
    #[arg(
        long,
        env = "TENURE_REQUEST_TIMEOUT",
        default_value_t = config::duration_text(Limits::default().longest_call),
        global = true
    )]
    request_timeout: String,
    /// Writes a second of one principal, on every replica; five times as many at once.
    #[arg(
        long,
        env = "TENURE_WRITES_PER_SECOND_PER_PRINCIPAL",
        default_value_t = WriteLimits::default().per_second_per_principal.to_string(),
        global = true
    )]
    writes_per_second_per_principal: String,
    /// Writes a second of all principals of a directory together, on every replica; five times as many at once.
    #[arg(
        long,
        env = "TENURE_WRITES_PER_SECOND_PER_DIRECTORY",
        default_value_t = WriteLimits::default().per_second_per_directory.to_string(),
        global = true
    )]
    writes_per_second_per_directory: String,
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

/// The options of every process, checked.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// The binary's name: the first word it says, and its name in traces.
    pub name: &'static str,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What to serve TLS with, if at all.
    pub tls: Option<ServerTls>,
    /// Issuer of access tokens.
    pub issuer: String,
    /// Longest time of a call.
    pub request_timeout: Duration,
    /// How fast principals and directories may write.
    pub write_limits: WriteLimits,
    /// Logs, traces and metrics.
    pub telemetry: TelemetrySettings,
}

/// A check of all options under way: what was wrong so far, and what other checks depend on.
#[derive(Debug)]
pub struct Checking {
    /// What was wrong so far.
    pub problems: Problems,
    /// Where the process will listen, if that can be told.
    pub listen: Option<SocketAddr>,
    /// By whom peers are verified, if that is said.
    pub authorities: Option<Authorities>,
    environment: Vec<(OsString, OsString)>,
}

impl Checking {
    /// Begins with the variables that belong to no option of the command.
    pub fn new(command: &clap::Command, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let environment: Vec<_> = environment.collect();
        let mut problems = Problems::new();
        problems.extend(config::unknown_variables(command, environment.iter().cloned()));
        Self { problems, listen: None, authorities: None, environment }
    }

    /// Whether only this machine reaches the process.
    pub fn listens_on_loopback(&self) -> bool {
        self.listen.is_some_and(|listen| listen.ip().is_loopback())
    }
}

/// What is said of TLS.
pub(crate) enum Tls<'a> {
    Off,
    Files {
        certificate: &'a Path,
        key: &'a Path,
    },
    /// One file without the other, in a sentence.
    Half(&'static str),
}

impl ProcessOptions {
    /// Checks what every process has; before the checks of others, which may depend on the address.
    pub fn check(&self, name: &'static str, checking: &mut Checking) -> Option<ProcessSettings> {
        let listen = checking.problems.take_told(self.address());
        checking.listen = listen;
        let tls = self.check_tls(checking);
        let issuer = self.issuer(&mut checking.problems);
        let request_timeout = config::duration_within(&self.request_timeout, &CALL_TIMES);
        let request_timeout = checking.problems.take("--request-timeout", request_timeout);
        let write_limits = self.write_limits(&mut checking.problems);
        let telemetry = self.telemetry(name, checking);
        Some(ProcessSettings {
            name,
            listen: listen?,
            tls,
            issuer: issuer?,
            request_timeout: request_timeout?,
            write_limits: write_limits?,
            telemetry: telemetry?,
        })
    }

    /// What to serve TLS with; K34: nothing but loopback is served in clear by accident.
    fn check_tls(&self, checking: &mut Checking) -> Option<ServerTls> {
        checking.authorities = checking.problems.take_told(self.authorities()).flatten();
        let problems = &mut checking.problems;
        match self.tls() {
            Tls::Files { .. } if self.plaintext => {
                problems.add("--plaintext", "contradicts --tls-cert: leave out the one or the other");
                None
            }
            Tls::Files { certificate, key } => {
                problems.take("--tls-cert, --tls-key", ServerTls::read(certificate, key))
            }
            Tls::Half(problem) => {
                problems.extend([problem.to_owned()]);
                None
            }
            Tls::Off => {
                if checking.listen.is_some_and(|listen| !listen.ip().is_loopback()) && !self.plaintext {
                    let message = "is not a loopback address: add --tls-cert and --tls-key, or --plaintext to serve \
                                   it without TLS";
                    problems.add("--listen", message);
                }
                None
            }
        }
    }

    /// Where to listen, or what is wrong with it.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        let listen = self.listen.as_deref().ok_or("--listen: is missing")?;
        listen
            .parse()
            .map_err(|_| "--listen: must be an address and a port, such as 127.0.0.1:50051".to_owned())
    }

    /// By whom peers are verified, or what is wrong with that.
    pub(crate) fn authorities(&self) -> Result<Option<Authorities>, String> {
        let read = self.tls_ca.as_deref().map(Authorities::read).transpose();
        read.map_err(|error| format!("--tls-ca: {error}"))
    }

    /// What is said of TLS.
    pub(crate) fn tls(&self) -> Tls<'_> {
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Tls::Off,
            (Some(certificate), Some(key)) => Tls::Files { certificate, key },
            (Some(_), None) => Tls::Half("--tls-key: is missing, the private key of --tls-cert"),
            (None, Some(_)) => Tls::Half("--tls-cert: is missing, the certificate of --tls-key"),
        }
    }

    /// K21: required where no default stands for it; whose token it is follows from `iss`, so it is nobody else's name.
    fn issuer(&self, problems: &mut Problems) -> Option<String> {
        let Some(issuer) = &self.issuer else {
            problems.add(
                "--issuer",
                "is required: the name that all services of this installation sign and expect",
            );
            return None;
        };
        if issuer.is_empty() || is_taken(issuer) {
            problems.add("--issuer", "must not be empty, `operator` or the name of a service");
        }
        Some(issuer.clone())
    }

    fn write_limits(&self, problems: &mut Problems) -> Option<WriteLimits> {
        let principal = config::whole(&self.writes_per_second_per_principal, &PER_SECOND);
        let directory = config::whole(&self.writes_per_second_per_directory, &PER_SECOND);
        let per_second_per_principal = problems.take("--writes-per-second-per-principal", principal);
        let per_second_per_directory = problems.take("--writes-per-second-per-directory", directory);
        Some(WriteLimits {
            per_second_per_principal: per_second_per_principal?,
            per_second_per_directory: per_second_per_directory?,
        })
    }

    fn telemetry(&self, name: &str, checking: &mut Checking) -> Option<TelemetrySettings> {
        let standard = checking.environment.iter().find(|(name, _)| name == STANDARD_OTLP_ENDPOINT);
        let standard = standard.map(|(_, endpoint)| endpoint.to_string_lossy().into_owned());
        let told_by = if self.otlp_endpoint.is_some() { "--otlp-endpoint" } else { STANDARD_OTLP_ENDPOINT };
        let otlp_endpoint = self.otlp_endpoint.clone().or(standard).filter(|endpoint| !endpoint.is_empty());
        let problems = &mut checking.problems;
        let sample_ratio = problems.take("--trace-ratio", config::ratio(&self.trace_ratio));
        let log_format = match self.log_format.as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => {
                problems.add("--log-format", "must be `text` or `json`");
                None
            }
        };
        if let Some(endpoint) = &otlp_endpoint {
            problems.take(told_by, check_collector(endpoint));
        }
        problems.take("--log", crate::telemetry::check_filter(&self.log));
        Some(TelemetrySettings {
            service_name: name.to_owned(),
            log_filter: self.log.clone(),
            log_format: log_format?,
            otlp_endpoint,
            sample_ratio: sample_ratio?,
        })
    }
}

/// The command with the defaults of its binary for options that all binaries share.
pub fn command<C: Parser>(defaults: &[(&'static str, &'static str)]) -> clap::Command {
    defaults.iter().fold(C::command(), |command, (option, value)| {
        command.mut_arg(option, |arg| arg.default_value(*value))
    })
}

/// Parses the command line; `--help`, `--version` and what cannot be parsed end the process.
pub fn parse<C: Parser>(command: clap::Command) -> C {
    let mut matches = command.get_matches();
    C::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
}

/// A collector is spoken to in clear alone; at any other address nothing would be exported, and nobody told.
fn check_collector(endpoint: &str) -> Result<(), String> {
    let uri: http::Uri = endpoint.parse().map_err(|error| format!("{error}"))?;
    match uri.scheme_str() {
        Some("http") => Ok(()),
        Some("https") => {
            Err("telemetry is exported without TLS: name a collector at http://HOST:PORT, on this host say"
                .to_owned())
        }
        _ => Err("must be http://HOST:PORT".to_owned()),
    }
}

fn is_taken(issuer: &str) -> bool {
    issuer == access::token::OPERATOR_ISSUER || issuer.parse::<access::Service>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        process: ProcessOptions,
    }

    fn problems(arguments: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
        let program = Program::try_parse_from([&["program", "--issuer", "x"], arguments].concat()).unwrap();
        let environment =
            environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut checking = Checking::new(&command::<Program>(&[]), environment);
        program.process.check("program", &mut checking);
        checking.problems.finish().map_or_else(|invalid| invalid.problems().to_vec(), |()| Vec::new())
    }

    #[test]
    fn a_collector_that_nothing_could_be_exported_to_is_refused_by_the_name_it_was_told_by() {
        let listen = ["--listen", "127.0.0.1:0"];
        assert!(problems(&listen, &[(STANDARD_OTLP_ENDPOINT, "http://collector:4317")]).is_empty());
        for endpoint in ["https://collector:4317", "collector:4317", "no address"] {
            let by_flag = problems(&[&listen[..], &["--otlp-endpoint", endpoint]].concat(), &[]);
            let by_variable = problems(&listen, &[(STANDARD_OTLP_ENDPOINT, endpoint)]);
            assert!(by_flag[0].starts_with("--otlp-endpoint: "), "{by_flag:?}");
            assert!(by_variable[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: "), "{by_variable:?}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_told_what_one_is() {
        let told = problems(&["--listen", "localhost"], &[]);
        assert_eq!(told, ["--listen: must be an address and a port, such as 127.0.0.1:50051"]);
    }
}
