//! The address a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, Request};

/// The most entries of `X-Forwarded-For` that are looked at.
const HOPS_MAX: usize = 16;

/// A range of addresses, written `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an address or a range of addresses such as 10.0.0.0/8")]
pub struct InvalidNetwork;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Ok(bits_max), str::parse).map_err(|_| InvalidNetwork)?;
        if prefix_bits > bits_max { Err(InvalidNetwork) } else { Ok(Self { address, prefix_bits }) }
    }
}

impl Network {
    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let is_same_family = self.address.is_ipv4() == address.is_ipv4();
        is_same_family && masked(self.address, self.prefix_bits) == masked(address, self.prefix_bits)
    }
}

/// The first bits of an address, the others zero.
fn masked(address: IpAddr, prefix_bits: u8) -> u128 {
    let (bits, length) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let dropped = length - u32::from(prefix_bits);
    bits.checked_shr(dropped).and_then(|kept| kept.checked_shl(dropped)).unwrap_or(0)
}

/// The address of the client, where the world knows it: that of the peer or, behind a trusted proxy, the last one in
/// `X-Forwarded-For` that is not itself a trusted proxy. What stands before it is the sender's own invention.
pub(crate) fn client_address(request: &Request, trusted: &[Network]) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let peer = peer.ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return Some(peer);
    }
    let values =
        request.headers().get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    let hops = values.flat_map(|value| value.rsplit(',')).map(|hop| hop.trim().parse::<IpAddr>());
    let mut nearest = peer;
    for hop in hops.take(HOPS_MAX) {
        let Ok(hop) = hop else {
            return Some(nearest);
        };
        nearest = hop.to_canonical();
        if !is_trusted(nearest) {
            return Some(nearest);
        }
    }
    Some(nearest)
}

/// What counts as one client: an IPv4 address, or the /64 network that one IPv6 subscriber has to herself.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(masked(address, 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn a_network_contains_its_addresses() {
        for (network, address, is_in) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "2001:db8::1", true),
        ] {
            let contains = network.parse::<Network>().unwrap().contains(address.parse().unwrap());
            assert_eq!(contains, is_in, "{address} in {network}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "example.org"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for (trusted, peer, forwarded, client) in [
            (&[][..], "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            (&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            (&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.0/8"], "::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.9, nonsense"], "10.0.0.1"),
            (&["10.0.0.0/8"], "10.0.0.1", &[], "10.0.0.1"),
        ] {
            let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
            let mut request = Request::new(Body::empty());
            let peer: IpAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 1)));
            for value in forwarded {
                request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
            }
            assert_eq!(
                client_address(&request, &trusted),
                Some(client.parse().unwrap()),
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(client_address(&Request::new(Body::empty()), &[]), None);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_client() {
        let one = subscriber("2001:db8:0:1::1".parse().unwrap());
        assert_eq!(one, subscriber("2001:db8:0:1:ffff::2".parse().unwrap()));
        assert_ne!(one, subscriber("2001:db8:0:2::1".parse().unwrap()));
    }
}
