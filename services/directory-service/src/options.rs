//! What the directory context can be told, in its own process or in `tenure`.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use runtime::options::Checking;

/// Where name servers listen.
const DNS_PORT: u16 = 53;

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
    /// Name server that is asked for the records of domains, such as 10.0.0.2 or 127.0.0.1:5353; given again, or with
    /// commas between, several. Those of the system's resolv.conf when left out.
    #[arg(
        long = "dns-server",
        env = "TENURE_DNS_SERVERS",
        value_name = "ADDRESS",
        value_delimiter = ',',
        global = true
    )]
    dns_servers: Vec<String>,
}

/// The options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What all initial domains end with.
    pub initial_domain_suffix: String,
    /// The name servers that are asked about domains; those of the system where there are none.
    pub dns_servers: Vec<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        let initial_domain_suffix = crate::DEFAULT_INITIAL_DOMAIN_SUFFIX.to_owned();
        Self { initial_domain_suffix, dns_servers: Vec::new() }
    }
}

impl Options {
    /// The options, checked; every problem is noted.
    pub fn check(&self, checking: &mut Checking) -> Option<Settings> {
        let checked = crate::check_suffix(&self.initial_domain_suffix);
        let suffix = checking.problems.take("--initial-domain-suffix", checked);
        // A variable that is set to nothing is one empty text.
        let named = self.dns_servers.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let servers: Vec<_> =
            named.map(|text| checking.problems.take("--dns-server", dns_server(text))).collect();
        let dns_servers: Option<Vec<SocketAddr>> = servers.into_iter().collect();
        suffix?;
        Some(Settings {
            initial_domain_suffix: self.initial_domain_suffix.clone(),
            dns_servers: dns_servers?,
        })
    }
}

/// An address, with a port or without.
fn dns_server(text: &str) -> Result<SocketAddr, DnsServerInvalid> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    address.or_else(|_| text.parse()).map_err(|_| DnsServerInvalid(text.to_owned()))
}

/// A text is no address of a name server.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} must be an address such as 10.0.0.2, [2001:db8::2]:53 or 127.0.0.1:5353")]
struct DnsServerInvalid(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("2001:db8::2", "[2001:db8::2]:53"),
            ("[2001:db8::2]:54", "[2001:db8::2]:54"),
        ] {
            assert_eq!(dns_server(text).unwrap().to_string(), address);
        }
        for wrong in ["", "dns.example", "10.0.0", "10.0.0.2:", "10.0.0.2:70000"] {
            assert!(dns_server(wrong).is_err(), "{wrong}");
        }
    }
}
