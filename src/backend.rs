//! The noun that balancing, health, pooling and the proxy share: a backend.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Index of a backend in the list that the proxy was started with. Small, dense, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId(pub u16);

impl BackendId {
    /// For tables indexed by backend.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A server that requests may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Position in the list of backends.
    pub id: BackendId,
    /// The name as the user wrote it: `localhost:3000`; behind an `@`, the address that is meant, where each address of the name is a
    /// backend of its own: `api:3000@192.0.2.7`. For logs and `/stats` only, never shown to a client.
    pub name: String,
    /// Where it listens, already resolved.
    pub addresses: Addresses,
    /// Share of the traffic relative to the other backends, at least 1.
    pub weight: u32,
    /// Most connections open to it at once, over all workers. `None`: the pool's default applies.
    pub max: Option<usize>,
    /// It speaks TLS, and this is what stands in `Host` when no client names one: `a.example`, `a.example:8443`. `None`: it is
    /// spoken to in plain.
    pub secured: Option<Box<str>>,
}

impl Backend {
    /// The value of `Host` for requests that bring none of their own.
    #[must_use]
    pub fn authority(&self) -> &str {
        let name = self.name.split_once('@').map_or(&*self.name, |(name, _)| name);
        self.secured.as_deref().unwrap_or(name)
    }
}

/// All addresses of one server, best first, and which of them worked last. Copies share that memory.
///
/// [`crate::resilience::Dial`] decides in which order they are tried, and for how long.
#[derive(Debug, Clone)]
pub struct Addresses {
    list: Arc<[SocketAddr]>,
    worked: Arc<AtomicUsize>,
}

/// Of more addresses than these, the rest is left out: DNS may list dozens, and one request does not try them all.
pub const MAX_ADDRESSES: usize = 16;

/// No address has worked yet.
const NONE: usize = usize::MAX;

impl Addresses {
    /// The first [`MAX_ADDRESSES`] of `list`, each once.
    #[must_use]
    pub fn new(list: &[SocketAddr]) -> Self {
        let mut once: Vec<SocketAddr> = Vec::with_capacity(list.len().min(MAX_ADDRESSES));
        for address in list {
            if !once.contains(address) && once.len() < MAX_ADDRESSES {
                once.push(*address);
            }
        }
        Self { list: once.into(), worked: Arc::new(AtomicUsize::new(NONE)) }
    }

    /// In the order of the resolver.
    #[must_use]
    pub fn list(&self) -> &[SocketAddr] {
        &self.list
    }

    /// The position of the address that a connection was last opened to.
    #[must_use]
    pub fn worked(&self) -> Option<usize> {
        let worked = self.worked.load(Ordering::Relaxed);
        (worked < self.list.len()).then_some(worked)
    }

    /// A connection to the address at position `index` was opened.
    pub fn remember(&self, index: usize) {
        // Workers share this number: as long as it stays the same, nobody writes it.
        if self.worked.load(Ordering::Relaxed) != index {
            self.worked.store(index, Ordering::Relaxed);
        }
    }
}

/// Two servers with the same addresses are alike, whichever of these worked last.
impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Addresses {}

impl From<SocketAddr> for Addresses {
    fn from(address: SocketAddr) -> Self {
        Self::new(&[address])
    }
}

/// `127.0.0.1:3000, [::1]:3000`.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.list.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn each_address_counts_once_and_at_most_sixteen_do() {
        let many: Vec<SocketAddr> = (1..=17).flat_map(|port| [address(port), address(port)]).collect();
        let addresses = Addresses::new(&many);
        assert_eq!(addresses.list(), (1..=16).map(address).collect::<Vec<_>>());
        assert_eq!(Addresses::new(&many[..32]).list().len(), MAX_ADDRESSES);
        assert_eq!(Addresses::new(&[address(1), address(2)]).to_string(), "127.0.0.1:1, 127.0.0.1:2");
    }

    #[test]
    fn copies_share_what_worked() {
        let addresses = Addresses::new(&[address(1), address(2)]);
        let copy = addresses.clone();
        assert_eq!(copy.worked(), None);
        addresses.remember(1);
        assert_eq!((copy.worked(), copy), (Some(1), Addresses::new(&[address(1), address(2)])));
    }
}
