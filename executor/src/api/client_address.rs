//! Where a request comes from, also through proxies that are trusted to say so.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::config::Network;
use crate::server::Peer;

const FORWARDED: &str = "x-forwarded-for";

/// The address of the client, as far as it can be believed.
pub(super) fn client_address(parts: &Parts, trusted: &[Network]) -> Option<IpAddr> {
    let Peer(peer) = parts.extensions.get::<Peer>()?;
    Some(behind(*peer, &parts.headers, trusted))
}

/// Every proxy appends who called it: what stands before the last one that is not trusted may be anybody's invention.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let values = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<_> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut address = peer;
    for hop in hops.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(address)) {
            break;
        }
        let Ok(before) = hop.parse() else { break };
        address = before;
    }
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trusted_proxy_says_is_believed_and_nothing_else() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap()).to_vec();
        for (peer, forwarded, expected) in [
            ("203.0.113.1", vec![], "203.0.113.1"),
            ("203.0.113.1", vec!["198.51.100.1"], "203.0.113.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["192.0.2.66", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", vec!["192.0.2.66, nonsense"], "10.0.0.1"),
            ("10.0.0.1", vec!["192.0.2.66, nonsense, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
            ("::1", vec!["2001:db8::7"], "2001:db8::7"),
        ] {
            let mut headers = HeaderMap::new();
            for value in &forwarded {
                headers.append(FORWARDED, value.parse().unwrap());
            }
            let found = behind(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
