//! Blocks of addresses, as flags name them: `10.0.0.0/8`, `::1`.

use std::net::{IpAddr, Ipv4Addr};

/// A block of addresses: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: u128,
    mask: u128,
}

impl Network {
    /// The IPv4 block with this beginning.
    pub(super) const fn v4(octets: [u8; 4], prefix: u32) -> Self {
        let [a, b, c, d] = octets;
        let address = Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().to_bits();
        let mask = u128::MAX << (32 - prefix);
        Self { address: address & mask, mask }
    }

    /// The IPv6 block with this beginning; `prefix` is not 0.
    pub(super) const fn v6(first: u128, prefix: u32) -> Self {
        let mask = u128::MAX << (128 - prefix);
        Self { address: first & mask, mask }
    }

    /// How many bits of an address it settles, of 128: of two blocks with the same address in them, the one with more is the smaller.
    pub(super) fn settled(&self) -> u32 {
        self.mask.count_ones()
    }

    /// Whether `peer` is in the block. An IPv4 address is in no block of IPv6, however large: `::/0` is all of IPv6.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        let address = as_v6(peer);
        address & self.mask == self.address && (!is_of_v4(address) || self.settled() >= MAPPED)
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let bad = || format!("'{text}' is not a network: write 10.0.0.0/8, 192.0.2.7 or fd00::/8");
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = prefix.map_or(Ok(width), str::parse).map_err(|_| bad())?;
        if prefix > width {
            return Err(bad());
        }
        if width == 128 && prefix < MAPPED && is_of_v4(as_v6(address)) {
            return Err(format!("'{text}' is a block of IPv6 that begins like IPv4: write 10.0.0.0/8 for one of IPv4"));
        }
        let mask = u128::MAX.checked_shl(width - prefix).unwrap_or(0);
        // An IPv4 network is the last 32 bits of ::ffff:0:0/96.
        let mask = if width == 32 && prefix == 0 { u128::MAX << 32 } else { mask };
        Ok(Self { address: as_v6(address) & mask, mask })
    }
}

/// The bits that all IPv4 addresses have in common, in IPv6.
const MAPPED: u32 = 96;

/// Whether it is an IPv4 address, as [`as_v6`] writes it.
fn is_of_v4(address: u128) -> bool {
    address >> 32 == 0xffff
}

/// IPv4 as `::ffff:a.b.c.d`, as a dual-stack socket reports it.
fn as_v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        const CASES: &[(&str, &str, bool)] = &[
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("::/0", "::ffff:203.0.113.9", false),
            ("::/64", "127.0.0.1", false),
            ("::/64", "::1", true),
            ("::ffff:0:0/96", "203.0.113.9", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("fd00::/8", "fd12::1", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ];
        for (network, peer, inside) in CASES {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(peer.parse().unwrap()), *inside, "{network:?} {peer}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "host", "::/129", "1.2.3.4/x", "::ffff:10.0.0.0/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
