//! The words of an operator about servers while the proxy runs: drained, set down, another weight. No file has them.
//!
//! An order is for a server as it is written, with all addresses of its name, or for one address of it; the narrower one counts. It lasts
//! until another order, until a reload brings another weight for that server, or until the proxy ends: a process that takes over is told.

use crate::{backend::Backend, health::Order};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, net::IpAddr, time::SystemTime};

/// An order as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) upstream: String,
    /// A server as it is written, or an address of one.
    pub(super) server: String,
    /// `None`: as before.
    pub(super) state: Option<Order>,
    /// `None`: as before. `Some(None)`: as the file says.
    pub(super) weight: Option<Option<u32>>,
    pub(super) by: By,
}

/// The origin of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct By {
    /// As the sender says.
    pub(super) name: Option<String>,
    pub(super) from: IpAddr,
    pub(super) at: SystemTime,
}

/// The order for one server, or for one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ordered {
    pub(super) state: Order,
    pub(super) weight: Option<u32>,
    pub(super) by: By,
    /// The weight of the file at that time.
    configured: u32,
}

/// One server of a configuration, and its addresses at the moment.
#[derive(Debug, Clone)]
pub(super) struct Server<'a> {
    pub(super) upstream: &'a str,
    /// As logs and statistics show it, without an address behind it.
    pub(super) name: String,
    /// Host and port.
    pub(super) authority: String,
    pub(super) weight: u32,
    pub(super) backends: &'a [Backend],
}

/// Why an order is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no such upstream or server: which ones there are.
    Unknown(String),
    /// It would not do: why.
    Wrong(String),
}

/// All of them, by upstream and server.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders(BTreeMap<(String, String), Ordered>);

impl Orders {
    /// Takes an order about one of these servers.
    ///
    /// # Errors
    ///
    /// It is about none of them.
    pub(super) fn give(&mut self, change: Change, servers: &[Server<'_>]) -> Result<(), Refused> {
        let (server, name) = find(&change, servers)?;
        let key = (change.upstream, name);
        let before = self.0.get(&key);
        let ordered = Ordered {
            state: change.state.or(before.map(|before| before.state)).unwrap_or_default(),
            weight: change.weight.unwrap_or_else(|| before.and_then(|before| before.weight)),
            by: change.by,
            configured: server.weight,
        };
        self.0.insert(key, ordered);
        Ok(())
    }

    /// The order that counts for a backend: that for its address, or else that for its server.
    pub(super) fn of(&self, upstream: &str, backend: &str) -> Option<&Ordered> {
        let named = |name: &str| self.0.get(&(upstream.to_owned(), name.to_owned()));
        named(backend).or_else(|| named(backend.split_once('@')?.0))
    }

    /// The orders that last under the next configuration, and what has to be said about all of them.
    pub(super) fn under(&self, servers: &[Server<'_>]) -> (Self, Vec<String>) {
        let (mut kept, mut lines) = (Self::default(), Vec::new());
        for ((upstream, name), ordered) in &self.0 {
            let plain = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
            let about = format!("upstream {upstream}: server {name}: ");
            let Some(server) = servers.iter().find(|it| it.upstream == upstream && it.name == plain) else {
                lines.push(format!("{about}{ordered} ends: the server is gone"));
                continue;
            };
            let mut ordered = ordered.clone();
            if let Some(weight) = ordered.weight.filter(|_| ordered.configured != server.weight) {
                lines.push(format!(
                    "{about}the weight {} of the file overrides {weight}, {}",
                    server.weight, ordered.by
                ));
                ordered.weight = None;
            } else if ordered.state != Order::Up || ordered.weight.is_some() {
                lines.push(format!("{about}{ordered} stays"));
            }
            ordered.configured = server.weight;
            kept.0.insert((upstream.clone(), name.clone()), ordered);
        }
        (kept, lines)
    }
}

/// The words of one process to the next, which may be of another version: fields that it does not know are left out.
impl Orders {
    /// All of them as bytes; none, if there are none.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let list: Vec<_> = self.0.iter().map(|((upstream, server), ordered)| (upstream, server, ordered)).collect();
        if list.is_empty() { Vec::new() } else { serde_json::to_vec(&list).unwrap_or_default() }
    }

    /// As another process has written them.
    ///
    /// # Errors
    ///
    /// It has written something else.
    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let list: Vec<(String, String, Ordered)> = serde_json::from_slice(bytes)?;
        Ok(Self(list.into_iter().map(|(upstream, server, ordered)| ((upstream, server), ordered)).collect()))
    }

    /// The same without weights.
    pub(super) fn without_weights(mut self) -> Self {
        self.0.values_mut().for_each(|ordered| ordered.weight = None);
        self
    }
}

/// The server that is meant, and the name of it, or of one of its addresses.
fn find<'s, 'a>(change: &Change, servers: &'s [Server<'a>]) -> Result<(&'s Server<'a>, String), Refused> {
    let Change { upstream, server: wanted, .. } = change;
    let own: Vec<&Server<'_>> = servers.iter().filter(|server| server.upstream == upstream).collect();
    if own.is_empty() {
        let mut names: Vec<&str> = servers.iter().map(|server| server.upstream).collect();
        names.dedup();
        return Err(Refused::Unknown(format!("there is no upstream {upstream:?}; there are: {}", names.join(", "))));
    }
    let exact = own.iter().find(|server| server.name == *wanted || server.authority == *wanted);
    if let Some(server) = exact {
        return Ok((server, server.name.clone()));
    }
    for server in &own {
        let is = |backend: &&Backend| {
            backend.name == *wanted || backend.addresses.list().iter().any(|at| at.to_string() == *wanted)
        };
        if let Some(backend) = server.backends.iter().find(is) {
            return Ok((server, backend.name.clone()));
        }
    }
    let names: Vec<&str> = own.iter().map(|server| &*server.name).collect();
    Err(Refused::Unknown(format!("upstream {upstream:?} has no server {wanted:?}; it has: {}", names.join(", "))))
}

/// `order: upstream web: server api:80: drain, weight of the file, ordered by alice from …`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { upstream, server, state, weight, by } = self;
        write!(f, "order: upstream {upstream}: server {server}: ")?;
        if let Some(state) = state {
            write!(f, "{}, ", state.as_str())?;
        }
        match weight {
            Some(Some(weight)) => write!(f, "weight {weight}, ")?,
            Some(None) => f.write_str("the weight of the file, ")?,
            None => {}
        }
        by.fmt(f)
    }
}

impl fmt::Display for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.as_str())?;
        if let Some(weight) = self.weight {
            write!(f, ", weight {weight}")?;
        }
        write!(f, " ({})", self.by)
    }
}

/// `ordered by alice from 127.0.0.1 at 2026-01-31T12:00:00Z`.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ordered ")?;
        if let Some(name) = &self.name {
            write!(f, "by {name} ")?;
        }
        write!(f, "from {} at {}", self.from, humantime::format_rfc3339_seconds(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Addresses, BackendId};

    fn backend(name: &str, at: &str) -> Backend {
        let addresses = Addresses::new(&[at.parse().unwrap()]);
        Backend { id: BackendId(0), name: name.to_owned(), addresses, weight: 1, max: None, secured: None }
    }

    /// An upstream with a number, and a name that has two addresses; of that, the weight.
    fn servers(backends: &[Backend], weight: u32) -> Vec<Server<'_>> {
        let server = |name: &str, weight, backends| {
            let authority = name.to_owned();
            Server { upstream: "web", name: name.to_owned(), authority, weight, backends }
        };
        vec![server("10.0.0.9:80", 1, &backends[..1]), server("api:80", weight, &backends[1..])]
    }

    fn backends() -> Vec<Backend> {
        let all =
            [("10.0.0.9:80", "10.0.0.9:80"), ("api:80@10.0.0.1", "10.0.0.1:80"), ("api:80@10.0.0.2", "10.0.0.2:80")];
        all.map(|(name, at)| backend(name, at)).into()
    }

    fn change(server: &str, state: Option<Order>, weight: Option<Option<u32>>) -> Change {
        let by = By { name: Some("alice".to_owned()), from: [127, 0, 0, 1].into(), at: SystemTime::UNIX_EPOCH };
        Change { upstream: "web".to_owned(), server: server.to_owned(), state, weight, by }
    }

    fn shown(orders: &Orders, name: &str) -> (Order, Option<u32>) {
        orders.of("web", name).map_or((Order::Up, None), |ordered| (ordered.state, ordered.weight))
    }

    #[test]
    fn an_order_for_an_address_counts_before_that_for_its_server() {
        let (mut orders, backends) = (Orders::default(), backends());
        let servers = servers(&backends, 1);
        orders.give(change("api:80", Some(Order::Drain), Some(Some(3))), &servers).unwrap();
        assert_eq!(shown(&orders, "api:80@10.0.0.1"), (Order::Drain, Some(3)));
        assert_eq!(shown(&orders, "api:80@10.0.0.77"), (Order::Drain, Some(3)), "one that comes later, too");
        orders.give(change("10.0.0.1:80", Some(Order::Up), None), &servers).unwrap();
        assert_eq!(shown(&orders, "api:80@10.0.0.1"), (Order::Up, None));
        assert_eq!(shown(&orders, "api:80@10.0.0.2"), (Order::Drain, Some(3)));
        assert_eq!(shown(&orders, "10.0.0.9:80"), (Order::Up, None));
        // An order leaves alone what it does not speak of, and null is what the file says.
        orders.give(change("api:80", Some(Order::Down), None), &servers).unwrap();
        assert_eq!(shown(&orders, "api:80@10.0.0.2"), (Order::Down, Some(3)));
        orders.give(change("api:80", None, Some(None)), &servers).unwrap();
        assert_eq!(shown(&orders, "api:80@10.0.0.2"), (Order::Down, None));
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let (mut orders, backends) = (Orders::default(), backends());
        let servers = servers(&backends, 1);
        let refused = orders.give(change("api:81", None, None), &servers).unwrap_err();
        let why = "upstream \"web\" has no server \"api:81\"; it has: 10.0.0.9:80, api:80";
        assert_eq!(refused, Refused::Unknown(why.to_owned()));
        let other = Change { upstream: "wep".to_owned(), ..change("api:80", None, None) };
        let refused = orders.give(other, &servers).unwrap_err();
        assert_eq!(refused, Refused::Unknown("there is no upstream \"wep\"; there are: web".to_owned()));
    }

    #[test]
    fn a_reload_says_what_becomes_of_each_order() {
        let (mut orders, backends) = (Orders::default(), backends());
        let before = servers(&backends, 1);
        orders.give(change("api:80", Some(Order::Drain), Some(Some(3))), &before).unwrap();
        orders.give(change("10.0.0.9:80", Some(Order::Down), None), &before).unwrap();
        let by = "ordered by alice from 127.0.0.1 at 1970-01-01T00:00:00Z";
        let (same, lines) = orders.under(&before);
        let drained = format!("upstream web: server api:80: drain, weight 3 ({by}) stays");
        assert_eq!(lines, [format!("upstream web: server 10.0.0.9:80: down ({by}) stays"), drained.clone()]);
        assert_eq!(shown(&same, "api:80@10.0.0.1"), (Order::Drain, Some(3)));
        let (other, lines) = orders.under(&servers(&backends, 7)[1..]);
        let gone = format!("upstream web: server 10.0.0.9:80: down ({by}) ends: the server is gone");
        let overridden = format!("upstream web: server api:80: the weight 7 of the file overrides 3, {by}");
        assert_eq!(lines, [gone, overridden]);
        assert_eq!(shown(&other, "api:80@10.0.0.1"), (Order::Drain, None), "that it is drained is not in the file");
        assert!(other.under(&servers(&backends, 7)).1.iter().all(|line| line.ends_with("stays")));
    }

    #[test]
    fn the_next_process_reads_what_this_one_has_written() {
        let (mut orders, backends) = (Orders::default(), backends());
        assert_eq!(orders.to_bytes(), b"");
        assert!(Orders::of_bytes(b"").unwrap().0.is_empty());
        orders.give(change("api:80", Some(Order::Drain), Some(Some(3))), &servers(&backends, 1)).unwrap();
        orders.give(change("10.0.0.1:80", Some(Order::Down), None), &servers(&backends, 1)).unwrap();
        let bytes = orders.to_bytes();
        assert_eq!(Orders::of_bytes(&bytes).unwrap().0, orders.0);
        // One of a newer program.
        let text = String::from_utf8(bytes.clone()).unwrap().replace("{\"state\"", "{\"colour\":1,\"state\"");
        assert_eq!(Orders::of_bytes(text.as_bytes()).unwrap().0, orders.0);
        for cut in 1..bytes.len() {
            assert!(Orders::of_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(shown(&orders.without_weights(), "api:80@10.0.0.2"), (Order::Drain, None));
    }
}
