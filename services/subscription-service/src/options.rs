//! What the subscription context can be told, in its own process or in `tenure`.

use std::path::PathBuf;

use clap::Args;
use runtime::config::whole;
use runtime::options::Checking;

use crate::{PriceList, Settings};

/// What the subscription context can be told.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    /// JSON file of prices; the built-in list of examples when left out.
    #[arg(long, env = "TENURE_PRICE_LIST", value_name = "FILE", global = true)]
    price_list: Option<PathBuf>,
    /// The most Azure subscriptions that are not Deleted which one user may own.
    #[arg(
        long,
        env = "TENURE_AZURE_SUBSCRIPTIONS_PER_OWNER",
        default_value_t = Settings::default().azure_subscriptions_per_owner.to_string(),
        global = true
    )]
    azure_subscriptions_per_owner: String,
}

impl Options {
    /// Prices and limits, checked.
    pub fn check(&self, checking: &mut Checking) -> Option<(PriceList, Settings)> {
        let problems = &mut checking.problems;
        let most = whole(&self.azure_subscriptions_per_owner, &(1..=1_000_000));
        let most = problems.take("--azure-subscriptions-per-owner", most);
        let prices = match &self.price_list {
            None => PriceList::default(),
            Some(path) => {
                let text = problems.take("--price-list", std::fs::read_to_string(path))?;
                problems.take("--price-list", PriceList::from_json(&text))?
            }
        };
        Some((prices, Settings { azure_subscriptions_per_owner: most? }))
    }
}
