//! What the identity context can be told, in its own process or in `tenure`.

use std::ops::RangeInclusive;
use std::time::Duration;

use access::token::ACCESS_TOKEN_LIFETIME;
use clap::Args;
use runtime::config::{Network, Problems, duration_text, duration_within, whole};
use runtime::options::Checking;

use crate::{Settings, SignUpPolicy};

/// Each place is one call that waits.
const HASH_QUEUES: RangeInclusive<usize> = 1..=65_536;
/// Not shorter than an access token of it, which would outlive it.
const SESSION_LIFETIMES: RangeInclusive<Duration> = ACCESS_TOKEN_LIFETIME..=Duration::from_hours(366 * 24);
/// Shorter than a minute, whoever calls would do little but refresh.
const ACCESS_TOKEN_LIFETIMES: RangeInclusive<Duration> = Duration::from_mins(1)..=ACCESS_TOKEN_LIFETIME;

/// What the identity context can be told.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Who may sign up a new organisation: `open` or `operator`; open by default on loopback addresses only.
    #[arg(long, env = "TENURE_SIGN_UP", global = true)]
    sign_up: Option<String>,
    /// Sign-ups an hour from one network source.
    #[arg(
        long,
        env = "TENURE_SIGN_UPS_PER_SOURCE",
        default_value_t = Settings::default().sign_up_per_source_per_hour.to_string(),
        global = true
    )]
    sign_ups_per_source: String,
    /// Sign-ups an hour in all.
    #[arg(
        long,
        env = "TENURE_SIGN_UPS_TOTAL",
        default_value_t = Settings::default().sign_up_total_per_hour.to_string(),
        global = true
    )]
    sign_ups_total: String,
    /// Failed sign-ins an hour for one user principal name.
    #[arg(
        long,
        env = "TENURE_SIGN_IN_FAILURES_PER_NAME",
        default_value_t = Settings::default().sign_in_failures_per_name_per_hour.to_string(),
        global = true
    )]
    sign_in_failures_per_name: String,
    /// Failed sign-ins an hour from one network source.
    #[arg(
        long,
        env = "TENURE_SIGN_IN_FAILURES_PER_SOURCE",
        default_value_t = Settings::default().sign_in_failures_per_source_per_hour.to_string(),
        global = true
    )]
    sign_in_failures_per_source: String,
    /// Password hashes that are computed or wait at the same time; who comes beyond is refused at once.
    #[arg(
        long,
        env = "TENURE_HASH_QUEUE",
        default_value_t = Settings::default().hash_queue.to_string(),
        global = true
    )]
    hash_queue: String,
    /// How long a session lives after it was opened or last refreshed.
    #[arg(
        long,
        env = "TENURE_SESSION_LIFETIME",
        default_value_t = duration_text(Settings::default().session_lifetime),
        global = true
    )]
    session_lifetime: String,
    /// How long an access token is good, ten minutes at most; what a token may do is asked at every call all the same.
    #[arg(
        long,
        env = "TENURE_ACCESS_TOKEN_LIFETIME",
        default_value_t = duration_text(Settings::default().access_token_lifetime),
        global = true
    )]
    access_token_lifetime: String,
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
            set(into, problems.take(flag, whole(text, &(1..=u32::MAX))));
        }
        set(&mut settings.hash_queue, problems.take("--hash-queue", whole(&self.hash_queue, &HASH_QUEUES)));
        for (flag, text, bounds, into) in [
            (
                "--session-lifetime",
                &self.session_lifetime,
                &SESSION_LIFETIMES,
                &mut settings.session_lifetime,
            ),
            (
                "--access-token-lifetime",
                &self.access_token_lifetime,
                &ACCESS_TOKEN_LIFETIMES,
                &mut settings.access_token_lifetime,
            ),
        ] {
            set(into, problems.take(flag, duration_within(text, bounds)));
        }
        settings
    }
}

/// What is not usable was told; the default in its place is never used.
fn set<T>(into: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *into = value;
    }
}

fn networks(text: &str, problems: &mut Problems) -> Vec<Network> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| problems.take("--trusted-proxies", part.parse())).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        own: Options,
    }

    fn check(arguments: &[&str]) -> (Settings, Vec<String>) {
        let program = Program::try_parse_from([&["program"], arguments].concat()).unwrap();
        let mut checking = Checking::new(&Program::command(), std::iter::empty());
        checking.listen = Some("127.0.0.1:0".parse().unwrap());
        let settings = program.own.check(&mut checking);
        let problems = checking.problems.finish().err();
        (settings, problems.map(|invalid| invalid.problems().to_vec()).unwrap_or_default())
    }

    #[test]
    fn what_is_left_out_has_the_default_of_the_settings() {
        let (settings, problems) = check(&[]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn what_is_set_counts() {
        let (settings, problems) = check(&[
            "--hash-queue=8",
            "--session-lifetime=8h",
            "--access-token-lifetime=2m",
            "--sign-ups-total=7",
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let expected = Settings {
            hash_queue: 8,
            session_lifetime: Duration::from_hours(8),
            access_token_lifetime: Duration::from_mins(2),
            sign_up_total_per_hour: 7,
            ..Settings::default()
        };
        assert_eq!(format!("{settings:?}"), format!("{expected:?}"));
    }

    #[test]
    fn what_is_out_of_bounds_is_told() {
        let (_, problems) = check(&[
            "--sign-ups-total=0",
            "--hash-queue=0",
            "--session-lifetime=9m",
            "--access-token-lifetime=11m",
        ]);
        let told = [
            "--sign-ups-total: must be a whole number from 1 to 4294967295",
            "--hash-queue: must be a whole number from 1 to 65536",
            "--session-lifetime: must be from 10m to 8784h",
            "--access-token-lifetime: must be from 1m to 10m",
        ];
        assert_eq!(problems, told);
    }
}
