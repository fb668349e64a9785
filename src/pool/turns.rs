//! Decides which client's turn it is to get a connection.
//!
//! First come, first served would let one client with a thousand connections keep everybody else waiting. So clients take
//! turns (start-time fair queueing, Goyal et al., 1996): the first waiting request of a client is due in the next turn, its
//! second one in the turn after that. Within a turn, and for the requests of one client, the order is that of arrival.
//!
//! ```text
//!   arrival   A A A A B A C        A has many connections, B and C one each
//!   turn      1 2 3 4 1 5 1
//!   served    A B C A A A A
//! ```
//!
//! With few clients, or with all of them behind one address, that is the order of arrival. No client is refused for
//! having many requests while the line has room. When it is at its limit ([`super::PoolConfig::queue`]), the newest
//! request of the client with the most gives its place to a client with fewer.

use crate::time::Instant;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The client of a request: connections are shared out among clients, not among their requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client(u128);

impl Client {
    /// This process: where all requests are its own.
    pub const OURSELVES: Self = Self(0);
}

#[cfg(test)]
impl Client {
    pub(super) const fn numbered(number: u128) -> Self {
        Self(number)
    }
}

impl From<IpAddr> for Client {
    /// An IPv4 address is a client, and so is an IPv6 network of 64 bits: a single host may use all addresses of one.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u128::from(v4.to_ipv6_mapped())),
            IpAddr::V6(v6) => Self(u128::from(v6) >> 64 << 64),
        }
    }
}

/// A request's place in line: kept when it looks in vain and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// In which turn of all clients it is due.
    pub(super) turn: u64,
    /// Order of arrival over all workers.
    pub(super) number: u64,
    /// When it arrived, by its worker's clock.
    pub(super) since: Instant,
    /// The client that the request is from.
    pub(super) client: Client,
}

/// The order of a line: by turn, then by arrival.
pub(super) type Rank = (u64, u64);

impl Place {
    pub(super) fn rank(&self) -> Rank {
        (self.turn, self.number)
    }
}

/// The waiting requests of each client, with their workers.
#[derive(Debug, Default)]
pub(super) struct Clients {
    waiting: BTreeMap<Client, BTreeMap<Rank, usize>>,
    /// How many each has, to find the one with the most.
    by_count: BTreeSet<(usize, Client)>,
}

impl Clients {
    /// The turn of the last request of `client` that waits.
    pub(super) fn last_turn(&self, client: Client) -> u64 {
        let last = self.waiting.get(&client).and_then(BTreeMap::last_key_value);
        last.map_or(0, |((turn, _), _)| *turn)
    }

    pub(super) fn add(&mut self, place: &Place, worker: usize) {
        let own = self.waiting.entry(place.client).or_default();
        self.by_count.remove(&(own.len(), place.client));
        own.insert(place.rank(), worker);
        self.by_count.insert((own.len(), place.client));
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let Some(own) = self.waiting.get_mut(&place.client) else { return };
        self.by_count.remove(&(own.len(), place.client));
        own.remove(&place.rank());
        if own.is_empty() {
            self.waiting.remove(&place.client);
        } else {
            self.by_count.insert((own.len(), place.client));
        }
    }

    /// The newest request of the client with the most, with its worker; `None` if `client` has not fewer, even with one more.
    pub(super) fn newest_of_the_most(&self, client: Client) -> Option<(Rank, usize)> {
        let own = self.waiting.get(&client).map_or(0, BTreeMap::len);
        let (most, other) = *self.by_count.last()?;
        if most < own + 2 {
            return None;
        }
        self.waiting.get(&other)?.last_key_value().map(|(rank, worker)| (*rank, *worker))
    }
}

#[cfg(test)]
mod tests {
    use super::Client;
    use std::net::IpAddr;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            let [a, b] = [one, other].map(|text| Client::from(text.parse::<IpAddr>().unwrap()));
            assert_eq!(a == b, same, "{one} {other}");
        }
    }
}
