//! The noun that balancing, health, pooling and the proxy share: a backend.

use std::net::SocketAddr;

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
    /// What the user wrote: `localhost:3000`. For logs and `/stats` only, never shown to a client.
    pub name: String,
    /// Where it listens, already resolved.
    pub address: SocketAddr,
    /// Share of the traffic relative to the other backends, at least 1.
    pub weight: u32,
    /// Most connections open to it at once, over all workers. `None`: the pool's default applies.
    pub max: Option<usize>,
}
