//! DNS, asked for the TXT records of a domain; what they prove is the domain's matter.
//!
//! Nothing is remembered between two questions: whoever has just made a record asks again at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use crate::domain::domain_name::DomainName;

/// How long one name server is waited for, before it is asked once more or another one is.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The name servers, asked as a client asks them.
#[derive(Clone)]
pub(crate) struct Dns(Result<Arc<TokioResolver>, Arc<NetError>>);

/// Nothing is known of the domain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silent {
    /// There are no name servers to ask.
    #[error("no name servers are configured")]
    NoServers(#[source] Arc<NetError>),
    /// None of them gave an answer that says anything.
    #[error("no name server gave an answer")]
    NoAnswer(#[source] NetError),
    /// The time of the call, or the longest time of a lookup, was over first.
    #[error("no name server answered in time")]
    Late,
}

impl Dns {
    /// Asks these name servers, or those of the system where there are none.
    ///
    /// A system without name servers can do everything but verify domains.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let config = if servers.is_empty() {
            read_system_conf().map(|(system, _)| system.name_servers().to_vec())
        } else {
            Ok(servers.iter().copied().map(name_server).collect())
        };
        let resolver = config.and_then(|servers| {
            // Names are asked for in full: neither a search list nor the hosts file has a say.
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            *builder.options_mut() = options();
            builder.build()
        });
        Self(resolver.map(Arc::new).map_err(Arc::new))
    }

    /// The TXT records of a domain, each with its strings joined; none where the domain has none or does not exist.
    ///
    /// In three quarters of the time that the call has for a peer, so that what came of it can still be noted.
    pub(crate) async fn texts(&self, domain: &DomainName) -> Result<Vec<String>, Silent> {
        let resolver = self.0.as_ref().map_err(|error| Silent::NoServers(Arc::clone(error)))?;
        let mut name = Name::from_ascii(domain.as_str()).expect("a domain name is one");
        name.set_fqdn(true);
        let lookup = resolver.lookup(name, RecordType::TXT);
        // The caller is judged and the outcome is written after this: a quarter of the time is kept for it.
        let time = runtime::deadline::for_peer() / 4 * 3;
        match tokio::time::timeout(time, lookup).await {
            Err(_) => Err(Silent::Late),
            Ok(Ok(found)) => Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect()),
            // A name server has said that there is nothing, rather than nothing at all.
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(Silent::NoAnswer(error)),
        }
    }
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = PATIENCE;
    options.attempts = 2;
    options
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

/// The strings of a record are one text (RFC 7208, section 3.3, as everybody does since).
fn text(data: &RData) -> Option<String> {
    let RData::TXT(record) = data else { return None };
    let bytes: Vec<u8> = record.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
