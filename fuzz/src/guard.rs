//! Hosts and addresses: what a forward proxy takes for a name, no program takes for a number; and of the addresses that its
//! guard lets pass, none is one that others know to be local.

use socket_patterns::proxy::{Guard, Host, Trust, host};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Panics if a rule is broken. The bytes are a host; if there are 16 of them, an address as well.
pub fn judge(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        match host(text) {
            Err(_) => {}
            Ok(Host::Ip(address)) => {
                assert!(text.starts_with('[') || text.parse() == Ok(address), "{text}: another address");
                assert!(!matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()), "{text}");
                guarded(address);
            }
            Ok(Host::Name(name)) => {
                assert_eq!(numbers(name), None, "{text}: a number to others");
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
                assert!(text == name || text.strip_suffix('.') == Some(name), "{text}: another name");
                assert_eq!(host(name), Ok(Host::Name(name)), "{text}: the name alone");
            }
        }
        if let Some(address) = numbers(text) {
            guarded(address.into());
        }
    }
    if let Ok(octets) = <[u8; 16]>::try_from(data) {
        let address = Ipv6Addr::from(octets);
        guarded(address.into());
        let [.., a, b, c, d] = octets;
        let last = Ipv4Addr::new(a, b, c, d);
        let nat64 = Ipv6Addr::from_bits((0x64_ff9b << 96) | u128::from(last.to_bits()));
        // One face of it is the other one.
        assert_eq!(
            Guard::default().check(nat64.into(), Trust::Usual),
            Guard::default().check(last.into(), Trust::Usual),
            "{nat64}"
        );
        assert_eq!(
            Guard::default().check(last.to_ipv6_mapped().into(), Trust::Usual),
            Guard::default().check(last.into(), Trust::Usual),
            "{last}"
        );
    }
}

/// The opinion of the standard library, of addresses that pass.
fn guarded(address: IpAddr) {
    if Guard::default().check(address, Trust::Usual).is_err() {
        return;
    }
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let local = address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_multicast();
            assert!(!local, "{address}");
        }
        IpAddr::V6(address) => {
            let local = address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.to_ipv4().is_some();
            assert!(!local, "{address}");
        }
    }
}

/// An IPv4 address as `inet_aton` of C reads it: one to four numbers, decimal, octal or hexadecimal, of which the last has
/// all bits that are left.
fn numbers(text: &str) -> Option<Ipv4Addr> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let parts: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last().filter(|(_, first)| first.len() < 4)?;
    let left = 32 - 8 * u32::try_from(first.len()).ok()?;
    if first.iter().any(|part| *part > 255) || *last >= 1 << left {
        return None;
    }
    let high = first.iter().fold(0, |bits, part| (bits << 8) | part);
    u32::try_from((high << left) | last).ok().map(Ipv4Addr::from_bits)
}

fn number(part: &str) -> Option<u64> {
    let hexadecimal = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
    match hexadecimal {
        // As nothing more than 0 to some.
        Some("") => Some(0),
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if part.starts_with('+') => None,
        None if part.len() > 1 && part.starts_with('0') => u64::from_str_radix(&part[1..], 8).ok(),
        None => part.parse().ok(),
    }
}
