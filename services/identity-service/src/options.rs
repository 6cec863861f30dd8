//! What the identity context can be told, in its own process or in `tenure`.

use clap::Args;
use runtime::config::{Network, Problems};
use runtime::options::Checking;

use crate::{Settings, SignUpPolicy};

/// What the identity context can be told.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
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
}

impl Options {
    /// The limits and policies, checked; after the address to listen on.
    pub fn check(&self, checking: &mut Checking) -> Settings {
        let on_loopback = checking.listens_on_loopback();
        let problems = &mut checking.problems;
        let sign_up = match self.sign_up.as_deref() {
            // K18: open by default on loopback only.
            None if on_loopback => SignUpPolicy::Open,
            None | Some("operator") => SignUpPolicy::Operator,
            Some("open") => SignUpPolicy::Open,
            Some(_) => {
                problems.add("--sign-up", "must be `open` or `operator`");
                SignUpPolicy::Operator
            }
        };
        let trusted_proxies = networks(&self.trusted_proxies, problems);
        let mut settings = Settings { sign_up, trusted_proxies, ..Settings::default() };
        for (flag, text, into) in [
            ("--sign-ups-per-source", &self.sign_ups_per_source, &mut settings.sign_up_per_source_per_hour),
            ("--sign-ups-total", &self.sign_ups_total, &mut settings.sign_up_total_per_hour),
            (
                "--sign-in-failures-per-name",
                &self.sign_in_failures_per_name,
                &mut settings.sign_in_failures_per_name_per_hour,
            ),
            (
                "--sign-in-failures-per-source",
                &self.sign_in_failures_per_source,
                &mut settings.sign_in_failures_per_source_per_hour,
            ),
        ] {
            match text.parse() {
                Ok(0) | Err(_) => problems.add(flag, "must be a whole number from 1 to 4294967295"),
                Ok(number) => *into = number,
            }
        }
        settings
    }
}

fn networks(text: &str, problems: &mut Problems) -> Vec<Network> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| problems.take("--trusted-proxies", part.parse())).collect()
}
