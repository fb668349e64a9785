//! Clients by their addresses.

use crate::proxy::network::Network;
use std::net::IpAddr;

/// Networks whose clients are let in, and networks whose clients are not.
///
/// The smallest network that has an address decides about it; of two that are equal, the one that keeps out. An address in none of them is
/// let in if there is no network to be let in from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// Let in.
    pub allow: Vec<Network>,
    /// Kept out.
    pub deny: Vec<Network>,
}

impl Lists {
    /// Whether that client is let in.
    pub(in crate::proxy) fn admit(&self, client: IpAddr) -> bool {
        let smallest = |networks: &[Network]| {
            networks.iter().filter(|network| network.contains(client)).map(Network::settled).max()
        };
        match (smallest(&self.allow), smallest(&self.deny)) {
            (None, None) => self.allow.is_empty(),
            (allowed, denied) => allowed > denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_decides() {
        for (allow, deny, client, admitted) in [
            (&[][..], &[][..], "192.0.2.1", true),
            (&["10.0.0.0/8"], &[], "10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "::ffff:10.1.2.3", true),
            (&["10.0.0.0/8"], &[], "11.1.2.3", false),
            (&["10.0.0.0/8"], &[], "::1", false),
            (&[], &["10.0.0.0/8"], "10.1.2.3", false),
            (&[], &["10.0.0.0/8"], "11.1.2.3", true),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], "10.2.2.3", false),
            (&["10.1.0.0/16"], &["10.0.0.0/8"], "11.2.2.3", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.2.3", false),
            (&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.2.3", true),
            (&["10.0.0.0/8"], &["10.0.0.0/8"], "10.2.2.3", false),
            (&["2001:db8::/32"], &["2001:db8:bad::/48"], "2001:db8::7", true),
            (&["2001:db8::/32"], &["2001:db8:bad::/48"], "2001:db8:bad::7", false),
        ] {
            let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            let lists = Lists { allow: networks(allow), deny: networks(deny) };
            assert_eq!(lists.admit(client.parse().unwrap()), admitted, "{allow:?} {deny:?} {client}");
        }
    }
}
