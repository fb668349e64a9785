//! Which addresses clients are connected to: what keeps a forward proxy from being a stepping stone.
//!
//! A proxy stands where its clients do not: on its own machine's loopback, in a private network, beside the service that
//! gives a cloud's machines their passwords. A client that may name any address may reach all of that (server-side request
//! forgery).
//!
//! ```text
//!   http://localhost/  http://intranet/  http://169.254.169.254/  http://[::ffff:7f00:1]/  http://name-of-127.0.0.1/
//!         ╰──────────────┴──────────────────┬───┴─────────────────────────┴────────────────────╯
//!                               numbers, or answers of the resolver
//!                                           ▼
//!                                    every face of the address: itself, and the IPv4 address in it
//!                                           ▼
//!                         the smallest block that has it: of --allow, of --deny, or of those below
//! ```
//!
//! So spelling does not matter: an address is judged when it is a number, and the number that was judged is the one that is
//! connected to. No name is asked for twice between the two.
//!
//! The blocks are those of IANA's registries of special-purpose addresses (RFC 6890) that are not for the whole
//! Internet; of IPv6, all that is not global unicast (RFC 4291 §2.4).

use super::{
    Denied, Reserved,
    places::{NameRules, Trust},
};
use crate::proxy::network::Network;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The blocks that are judged without any flag. `None`: in bounds, in the middle of a block that is not.
const BLOCKS: &[(Network, Option<Reserved>)] = &[
    (Network::v4([0, 0, 0, 0], 8), Some(Reserved::ThisHost)),
    (Network::v4([10, 0, 0, 0], 8), Some(Reserved::Private)),
    // Between customers and their provider (RFC 6598). One cloud has its metadata there.
    (Network::v4([100, 64, 0, 0], 10), Some(Reserved::Private)),
    (Network::v4([127, 0, 0, 0], 8), Some(Reserved::Loopback)),
    (Network::v4([169, 254, 0, 0], 16), Some(Reserved::LinkLocal)),
    (Network::v4([172, 16, 0, 0], 12), Some(Reserved::Private)),
    (Network::v4([192, 0, 0, 0], 24), Some(Reserved::Special)),
    (Network::v4([192, 168, 0, 0], 16), Some(Reserved::Private)),
    (Network::v4([198, 18, 0, 0], 15), Some(Reserved::Private)),
    (Network::v4([224, 0, 0, 0], 4), Some(Reserved::Multicast)),
    // Broadcast is the last of them.
    (Network::v4([240, 0, 0, 0], 4), Some(Reserved::Special)),
    // Any other IPv4 address.
    (Network::v4([0, 0, 0, 0], 0), None),
    // All of IPv6 but 2000::/3.
    (Network::v6(0, 3), Some(Reserved::Special)),
    (Network::v6(0x4000 << 112, 2), Some(Reserved::Special)),
    (Network::v6(0x8000 << 112, 1), Some(Reserved::Special)),
    (Network::v6(0, 128), Some(Reserved::ThisHost)),
    (Network::v6(1, 128), Some(Reserved::Loopback)),
    // NAT64 (RFC 6052): the IPv4 address in it is judged.
    (Network::v6(0x64_ff9b << 96, 96), None),
    // Its sibling is for local use: in which bits the IPv4 address is, only that network knows (RFC 8215).
    (Network::v6(0x64_ff9b_0001 << 80, 48), Some(Reserved::Private)),
    (Network::v6(0xfc00 << 112, 7), Some(Reserved::Private)),
    (Network::v6(0xfe80 << 112, 10), Some(Reserved::LinkLocal)),
    // Site-local, which fc00::/7 has replaced (RFC 3879).
    (Network::v6(0xfec0 << 112, 10), Some(Reserved::Private)),
    (Network::v6(0xff00 << 112, 8), Some(Reserved::Multicast)),
];

/// The addresses that are in bounds: [`BLOCKS`], and what the operator says.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Blocks that are in bounds.
    pub allow: Vec<Network>,
    /// Blocks that are not.
    pub deny: Vec<Network>,
    /// The rules for names, which come before those for addresses.
    pub names: NameRules,
}

impl Guard {
    /// Judges one address of a server with that trust.
    ///
    /// # Errors
    ///
    /// Why it is out of bounds.
    pub fn check(&self, address: IpAddr, trust: Trust) -> Result<(), Reserved> {
        let address = address.to_canonical();
        self.check_face(address, trust)?;
        match address {
            IpAddr::V4(_) => Ok(()),
            IpAddr::V6(address) => embedded(address).try_for_each(|inner| self.check_face(inner.into(), trust)),
        }
    }

    /// Those of a host's addresses that are in bounds, in their order.
    ///
    /// # Errors
    ///
    /// [`Denied::Address`], with what stands against the first: none is. [`Denied::Unresolved`]: there was none.
    pub fn filter(&self, addresses: &[IpAddr], trust: Trust) -> Result<Vec<IpAddr>, Denied> {
        let (mut good, mut first) = (Vec::new(), None);
        for address in addresses {
            match self.check(*address, trust) {
                Ok(()) => good.push(address.to_canonical()),
                Err(why) => first = first.or(Some(why)),
            }
        }
        match (good.is_empty(), first) {
            (false, _) => Ok(good),
            (true, Some(why)) => Err(Denied::Address(why)),
            (true, None) => Err(Denied::Unresolved),
        }
    }

    /// The smallest block that has the address decides. Of two that are equal, `--deny` goes before `--allow`, and both go before
    /// those that were always there.
    fn check_face(&self, address: IpAddr, trust: Trust) -> Result<(), Reserved> {
        // A name that the operator has allowed may lead anywhere but to what the operator has denied.
        let known = BLOCKS.iter().filter(|_| trust != Trust::Named).map(|(block, verdict)| (block, 0, *verdict));
        let allowed = self.allow.iter().map(|block| (block, 1, None));
        let denied = self.deny.iter().map(|block| (block, 2, Some(Reserved::Denied)));
        let has = known.chain(allowed).chain(denied).filter(|(block, ..)| block.contains(address));
        match has.max_by_key(|(block, rank, _)| (block.settled(), *rank)) {
            Some((_, _, Some(why))) => Err(why),
            Some((_, 0, None)) | None if trust == Trust::Numbered => Err(Reserved::Denied),
            Some((_, _, None)) | None => Ok(()),
        }
    }
}

/// The IPv4 addresses to which a gateway or a tunnel may carry what is sent to this one. Mapped ones are not among
/// them: those are IPv4 addresses already.
fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = address.to_bits();
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    let [a, b, c, ..] = address.segments();
    // 2002:a.b.c.d::/48 (RFC 3056).
    let six_to_four = (a == 0x2002).then(|| at(80));
    // 2001:0:server:flags:port:client, where the client's address is inverted (RFC 4380 §4).
    let teredo = ((a, b) == (0x2001, 0)).then(|| [at(64), Ipv4Addr::from_bits(!at(0).to_bits())]);
    // 64:ff9b::a.b.c.d (RFC 6052 §2.1).
    let nat64 = ((a, b, c) == (0x64, 0xff9b, 0)).then(|| at(0));
    // Any prefix, and an interface named 0:5efe:a.b.c.d or 200:5efe:a.b.c.d (RFC 5214 §6.1).
    let isatap = ((bits >> 32) as u32 & 0xfdff_ffff == 0x0000_5efe).then(|| at(0));
    six_to_four.into_iter().chain(teredo.into_iter().flatten()).chain(nat64).chain(isatap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reserved::{LinkLocal, Loopback, Multicast, Private, Special, ThisHost};

    fn guard(allow: &[&str], deny: &[&str]) -> Guard {
        let blocks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Guard { allow: blocks(allow), deny: blocks(deny), ..Guard::default() }
    }

    /// The first and the last address of each block, and their neighbours.
    const BORDERS: &[(&str, Result<(), Reserved>)] = &[
        ("0.0.0.0", Err(ThisHost)),
        ("0.255.255.255", Err(ThisHost)),
        ("1.0.0.0", Ok(())),
        ("9.255.255.255", Ok(())),
        ("10.0.0.0", Err(Private)),
        ("10.255.255.255", Err(Private)),
        ("11.0.0.0", Ok(())),
        ("100.63.255.255", Ok(())),
        ("100.64.0.0", Err(Private)),
        ("100.127.255.255", Err(Private)),
        ("100.128.0.0", Ok(())),
        ("126.255.255.255", Ok(())),
        ("127.0.0.0", Err(Loopback)),
        ("127.255.255.255", Err(Loopback)),
        ("128.0.0.0", Ok(())),
        ("169.253.255.255", Ok(())),
        ("169.254.169.254", Err(LinkLocal)),
        ("169.255.0.0", Ok(())),
        ("172.15.255.255", Ok(())),
        ("172.16.0.0", Err(Private)),
        ("172.31.255.255", Err(Private)),
        ("172.32.0.0", Ok(())),
        ("192.0.0.1", Err(Special)),
        ("192.0.1.0", Ok(())),
        ("192.167.255.255", Ok(())),
        ("192.168.0.0", Err(Private)),
        ("192.168.255.255", Err(Private)),
        ("192.169.0.0", Ok(())),
        ("198.17.255.255", Ok(())),
        ("198.19.255.255", Err(Private)),
        ("198.20.0.0", Ok(())),
        ("223.255.255.255", Ok(())),
        ("224.0.0.1", Err(Multicast)),
        ("239.255.255.255", Err(Multicast)),
        ("240.0.0.0", Err(Special)),
        ("255.255.255.255", Err(Special)),
        ("::", Err(ThisHost)),
        ("::1", Err(Loopback)),
        ("::2", Err(Special)),
        ("1fff:ffff::1", Err(Special)),
        ("2000::1", Ok(())),
        ("2606:4700::1111", Ok(())),
        ("3fff:ffff:ffff::1", Ok(())),
        ("4000::1", Err(Special)),
        ("fbff::1", Err(Special)),
        ("fc00::1", Err(Private)),
        ("fdff::1", Err(Private)),
        ("fe00::1", Err(Special)),
        ("fe80::1", Err(LinkLocal)),
        ("febf::1", Err(LinkLocal)),
        ("fec0::1", Err(Private)),
        ("ff02::1", Err(Multicast)),
    ];

    #[test]
    fn the_borders_of_each_block() {
        for (address, verdict) in BORDERS {
            assert_eq!(guard(&[], &[]).check(address.parse().unwrap(), Trust::Usual), *verdict, "{address}");
        }
    }

    /// 127.0.0.1 and 8.8.8.8 in every address that may be carried to them.
    #[test]
    fn ipv4_in_ipv6_is_judged_as_ipv4() {
        for (inside, outside) in [
            ("::ffff:127.0.0.1", Some("::ffff:8.8.8.8")),
            ("64:ff9b::7f00:1", Some("64:ff9b::808:808")),
            ("2002:7f00:1::1", Some("2002:808:808::1")),
            ("2002:7f00:1:ffff:ffff:ffff:ffff:ffff", Some("2002:808:808:ffff::")),
            ("2001:0:7f00:1:0:0:f7f7:f7f7", Some("2001:0:808:808:0:0:f7f7:f7f7")),
            ("2001:0:808:808:0:0:80ff:fffe", None),
            ("2606:4700::5efe:7f00:1", Some("2606:4700::5efe:808:808")),
            ("2606:4700::200:5efe:7f00:1", Some("2606:4700::200:5efe:808:808")),
            // Of these no address is in bounds.
            ("::7f00:1", None),
            ("::808:808", None),
            ("::ffff:0:7f00:1", None),
            ("64:ff9b:1::7f00:1", None),
            ("64:ff9b:0:1::808:808", None),
        ] {
            assert!(guard(&[], &[]).check(inside.parse().unwrap(), Trust::Usual).is_err(), "{inside}");
            if let Some(outside) = outside {
                assert_eq!(guard(&[], &[]).check(outside.parse().unwrap(), Trust::Usual), Ok(()), "{outside}");
            }
        }
    }

    #[test]
    fn the_smallest_block_decides() {
        use Reserved::Denied;
        for (allow, deny, address, verdict) in [
            (&["127.0.0.0/8"][..], &[][..], "127.0.0.1", Ok(())),
            (&["127.0.0.1"], &[], "127.0.0.2", Err(Loopback)),
            (&["127.0.0.1"], &[], "::ffff:127.0.0.1", Ok(())),
            (&["127.0.0.1"], &[], "64:ff9b::7f00:1", Ok(())),
            (&["127.0.0.1"], &[], "::7f00:1", Err(Special)),
            // All of IPv4 is more than the loopback, which stays out of bounds.
            (&["0.0.0.0/0"], &[], "127.0.0.1", Err(Loopback)),
            (&["::/0"], &[], "10.0.0.1", Err(Private)),
            (&["::1"], &[], "::1", Ok(())),
            (&["fd00::/8"], &[], "fd00::1", Ok(())),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1", Err(Denied)),
            (&["10.1.1.0/24"], &["10.1.0.0/16"], "10.1.1.1", Ok(())),
            (&["10.0.0.0/8"], &["10.0.0.0/8"], "10.0.0.1", Err(Denied)),
            (&["203.0.113.0/24"], &["0.0.0.0/0", "::/0"], "203.0.113.9", Ok(())),
            (&["203.0.113.0/24"], &["0.0.0.0/0", "::/0"], "8.8.8.8", Err(Denied)),
            (&["203.0.113.0/24"], &["0.0.0.0/0", "::/0"], "2606:4700::1", Err(Denied)),
            (&[], &["8.8.8.8"], "64:ff9b::808:808", Err(Denied)),
        ] {
            assert_eq!(
                guard(allow, deny).check(address.parse().unwrap(), Trust::Usual),
                verdict,
                "{allow:?} {deny:?} {address}"
            );
        }
    }

    #[test]
    fn a_server_that_the_operator_names_may_be_here_and_a_denied_address_stays_denied() {
        for (allow, deny, trust, address, verdict) in [
            (&[][..], &[][..], Trust::Named, "127.0.0.1", Ok(())),
            (&[], &[], Trust::Named, "64:ff9b::7f00:1", Ok(())),
            (&[], &["127.0.0.0/8"], Trust::Named, "127.0.0.1", Err(Reserved::Denied)),
            (&[], &["127.0.0.0/8"], Trust::Named, "64:ff9b::7f00:1", Err(Reserved::Denied)),
            // However large the block.
            (&[], &["0.0.0.0/0"], Trust::Named, "127.0.0.1", Err(Reserved::Denied)),
            (&[], &["168.0.0.0/6"], Trust::Named, "169.254.169.254", Err(Reserved::Denied)),
            (&[], &["::/0"], Trust::Named, "fd00::1", Err(Reserved::Denied)),
            (&["10.0.0.0/8"], &["0.0.0.0/0"], Trust::Named, "10.1.1.1", Ok(())),
            (&["127.0.0.1"], &["127.0.0.0/8"], Trust::Named, "127.0.0.1", Ok(())),
            (&[], &[], Trust::Numbered, "8.8.8.8", Err(Reserved::Denied)),
            (&[], &[], Trust::Numbered, "127.0.0.1", Err(Loopback)),
            (&["8.8.8.0/24"], &[], Trust::Numbered, "8.8.8.8", Ok(())),
            (&["127.0.0.1"], &[], Trust::Numbered, "127.0.0.1", Ok(())),
        ] {
            let judged = guard(allow, deny).check(address.parse().unwrap(), trust);
            assert_eq!(judged, verdict, "{allow:?} {deny:?} {trust:?} {address}");
        }
    }

    #[test]
    fn of_several_addresses_those_in_bounds_are_left() {
        let filter = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            guard(&[], &[])
                .filter(&addresses, Trust::Usual)
                .map(|good| good.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            filter(&["127.0.0.1", "8.8.8.8", "::1", "::ffff:1.1.1.1"]),
            Ok(vec!["8.8.8.8".into(), "1.1.1.1".into()])
        );
        assert_eq!(filter(&["10.0.0.1", "127.0.0.1"]), Err(Denied::Address(Reserved::Private)));
        assert_eq!(filter(&[]), Err(Denied::Unresolved));
    }
}
