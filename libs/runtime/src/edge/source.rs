//! Where a call comes from (K18): what a header says counts only as far as trusted proxies have written it.

use std::net::{IpAddr, SocketAddr};

use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::config::Network;

/// A peer service in the same process has no address.
const IN_PROCESS: &str = "in-process";
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The peer's address, or the right-most untrusted entry of `x-forwarded-for` where the peer is a trusted proxy.
pub(super) fn of<T>(request: &Request<T>, trusted: &[Network]) -> String {
    let Some(peer) = request.remote_addr() else { return IN_PROCESS.to_owned() };
    from(peer.ip(), request.metadata(), trusted).to_canonical().to_string()
}

fn from(peer: IpAddr, metadata: &MetadataMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    if !is_trusted(&peer) {
        return peer;
    }
    let lines: Vec<&str> =
        metadata.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    // From the right: each trusted proxy has appended the address that it saw. Behind an entry that is no address,
    // nothing can be believed, and the last proxy stands for its callers.
    let mut source = peer;
    for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
        let Some(address) = address(entry.trim()) else { break };
        source = address;
        if !is_trusted(&address) {
            break;
        }
    }
    source
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut metadata = MetadataMap::new();
        for line in lines {
            metadata.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        from(peer.parse().unwrap(), &metadata, &trusted).to_canonical().to_string()
    }

    #[test]
    fn a_header_counts_only_from_a_trusted_proxy() {
        assert_eq!(source("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(source("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(source("10.0.0.2", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
    }

    #[test]
    fn the_right_most_untrusted_entry_is_the_source() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(source("10.0.0.2", &["1.1.1.1, 198.51.100.1, 10.0.0.3"], &trusted), "198.51.100.1");
        assert_eq!(source("10.0.0.2", &["1.1.1.1", "198.51.100.1:443"], &trusted), "198.51.100.1");
        assert_eq!(source("10.0.0.2", &["[2001:db8::1]:443"], &trusted), "2001:db8::1");
        assert_eq!(source("10.0.0.2", &["198.51.100.1, nonsense, 10.0.0.3"], &trusted), "10.0.0.3");
        assert_eq!(source("10.0.0.2", &[], &trusted), "10.0.0.2");
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert_eq!(source("::ffff:203.0.113.9", &[], &[]), "203.0.113.9");
    }

    #[test]
    fn without_a_socket_the_source_is_this_process() {
        assert_eq!(of(&Request::new(()), &[]), "in-process");
    }
}
