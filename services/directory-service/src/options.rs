//! What the directory context can be told, in its own process or in `tenure`.

use std::time::Duration;

use clap::Args;
use runtime::config::whole;
use runtime::options::Checking;

use crate::Settings;

const DAY: Duration = Duration::from_hours(24);

/// What the directory context can be told.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// Suffix of initial domains: label `contoso` becomes contoso.SUFFIX.
    #[arg(
        long,
        env = "TENURE_INITIAL_DOMAIN_SUFFIX",
        default_value = crate::DEFAULT_INITIAL_DOMAIN_SUFFIX,
        global = true
    )]
    initial_domain_suffix: String,
    /// How many days a deleted directory can be had back, 1 to 3650.
    #[arg(
        long,
        env = "TENURE_DELETED_DIRECTORY_DAYS",
        default_value_t = default_days(),
        global = true
    )]
    deleted_directory_days: String,
}

fn default_days() -> String {
    (Settings::default().deletion_retention.as_secs() / DAY.as_secs()).to_string()
}

impl Options {
    /// The suffix of initial domains and the settings, checked.
    pub fn check(&self, checking: &mut Checking) -> Option<(String, Settings)> {
        let checked = crate::check_suffix(&self.initial_domain_suffix);
        let suffix = checking.problems.take("--initial-domain-suffix", checked);
        let days = whole(&self.deleted_directory_days, &(1..=3_650));
        let days = checking.problems.take("--deleted-directory-days", days);
        suffix?;
        let settings = Settings { deletion_retention: DAY * days? };
        Some((self.initial_domain_suffix.clone(), settings))
    }
}
