//! What the directory context can be told, in its own process or in `tenure`.

use clap::Args;
use runtime::options::Checking;

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
}

impl Options {
    /// The suffix of initial domains, checked.
    pub fn check(&self, checking: &mut Checking) -> Option<String> {
        let checked = crate::check_suffix(&self.initial_domain_suffix);
        checking.problems.take("--initial-domain-suffix", checked)?;
        Some(self.initial_domain_suffix.clone())
    }
}
