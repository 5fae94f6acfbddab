//! Who is one client, as far as an address can tell.

use std::net::{IpAddr, Ipv6Addr};

/// The network that stands for whoever calls from this address: an address of IPv4 is its own, also where it is written as
/// one of IPv6; of IPv6 the first 64 bits count, since who has one address there usually has 2^64 of them to choose from.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}
