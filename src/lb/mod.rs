//! Which backend gets a request, among those that may get it.
//!
//! Health, retries and limits have decided before: the input is the [`Candidate`]s that are alive and not yet tried for
//! this request. The output is one of them. Every worker has a [`Balancer`] of its own, so choosing takes no lock, and
//! in the steady state no memory.
//!
//! | algorithm | looks at | remembers | good for |
//! |---|---|---|---|
//! | [`RoundRobin`] | nothing | the last pick | equal backends, equal requests |
//! | [`Weighted`] | weight | one number a backend | unequal backends, equal requests |
//! | [`LeastConnections`] | weight, requests in flight | as above, for ties | requests of very different length |
//! | [`IpHash`] | weight, the client's address | nothing | backends that keep state for a client |
//! | [`PowerOfTwo`] | weight, requests in flight of two | its random state | many workers, each with a stale view |

mod ip_hash;
mod least_connections;
mod mix;
mod power_of_two;
mod round_robin;
mod weighted;

pub use ip_hash::IpHash;
pub use least_connections::LeastConnections;
pub use power_of_two::PowerOfTwo;
pub use round_robin::RoundRobin;
pub use weighted::Weighted;

use crate::backend::BackendId;
use clap::ValueEnum;
use std::{cmp::Ordering, fmt, net::IpAddr};

/// How to choose. The sentences are the `--help` text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum Algorithm {
    /// Each backend in turn.
    #[default]
    RoundRobin,
    /// Each backend in turn, the heavier ones more often and evenly spread.
    WeightedRoundRobin,
    /// The backend with the fewest requests in flight for its weight; equals take turns.
    LeastConnections,
    /// The same client address goes to the same backend for as long as that backend lives.
    IpHash,
    /// The less loaded of two backends drawn at random.
    PowerOfTwo,
}

impl Algorithm {
    /// As it is written on the command line: `least-connections`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::WeightedRoundRobin => "weighted-round-robin",
            Self::LeastConnections => "least-connections",
            Self::IpHash => "ip-hash",
            Self::PowerOfTwo => "power-of-two",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A backend that may get the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub id: BackendId,
    /// Its share relative to the other candidates, at least 1. Scaled so that slow start fits in: configured weight
    /// times percent.
    pub weight: u32,
    /// Requests sent to it and not yet answered.
    pub in_flight: u32,
}

impl Candidate {
    /// Compares `in_flight / weight`, exactly: a division would round away the difference between 1/3 and 1/2.
    fn compare_load(&self, other: &Self) -> Ordering {
        let ours = u64::from(self.in_flight) * u64::from(other.weight);
        let theirs = u64::from(other.in_flight) * u64::from(self.weight);
        ours.cmp(&theirs)
    }
}

/// Facts of a request that a choice may depend on, besides the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteKey {
    /// The client's address, without the port: all its connections count as one client.
    pub client: IpAddr,
}

/// One algorithm with what it remembers between picks.
///
/// ```
/// use socket_patterns::backend::BackendId;
/// use socket_patterns::lb::{Algorithm, Balancer, Candidate, RouteKey};
///
/// let key = RouteKey { client: "192.0.2.1".parse()? };
/// let candidates = [0, 1].map(|id| Candidate { id: BackendId(id), weight: 1, in_flight: 0 });
/// let mut balancer = Balancer::new(Algorithm::RoundRobin, 0);
/// assert_eq!(balancer.pick(&key, &candidates), Some(BackendId(0)));
/// assert_eq!(balancer.pick(&key, &candidates), Some(BackendId(1)));
/// assert_eq!(balancer.pick(&key, &[]), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone)]
pub enum Balancer {
    /// See [`Algorithm::RoundRobin`].
    RoundRobin(RoundRobin),
    /// See [`Algorithm::WeightedRoundRobin`].
    Weighted(Weighted),
    /// See [`Algorithm::LeastConnections`].
    LeastConnections(LeastConnections),
    /// See [`Algorithm::IpHash`].
    IpHash(IpHash),
    /// See [`Algorithm::PowerOfTwo`].
    PowerOfTwo(PowerOfTwo),
}

impl Balancer {
    /// A balancer that has picked nothing yet.
    ///
    /// `seed` makes workers differ: the number of the worker will do. Round robin starts at the candidate of that
    /// number, so that the first requests of all workers do not meet on one backend; power of two draws another
    /// sequence. The other algorithms ignore it. IP hash must: a client has to reach the same backend through every
    /// worker.
    #[must_use]
    pub fn new(algorithm: Algorithm, seed: u64) -> Self {
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(seed)),
            Algorithm::WeightedRoundRobin => Self::Weighted(Weighted::new()),
            Algorithm::LeastConnections => Self::LeastConnections(LeastConnections::new()),
            Algorithm::IpHash => Self::IpHash(IpHash),
            Algorithm::PowerOfTwo => Self::PowerOfTwo(PowerOfTwo::new(seed)),
        }
    }

    /// Whether it looks at [`Candidate::in_flight`]. For all others it may be anything.
    #[must_use]
    pub fn compares_load(&self) -> bool {
        match self {
            Self::LeastConnections(_) | Self::PowerOfTwo(_) => true,
            Self::RoundRobin(_) | Self::Weighted(_) | Self::IpHash(_) => false,
        }
    }

    /// Chooses one of `candidates`, which are in order of their ids, each once. `None` only if there are none.
    #[must_use = "a pick that is dropped still counts as a turn"]
    pub fn pick(&mut self, key: &RouteKey, candidates: &[Candidate]) -> Option<BackendId> {
        debug_assert!(candidates.is_sorted_by(|a, b| a.id < b.id), "candidates come in order of their ids, each once");
        match self {
            Self::RoundRobin(balancer) => balancer.pick(candidates),
            Self::Weighted(balancer) => balancer.pick(candidates),
            Self::LeastConnections(balancer) => balancer.pick(candidates),
            Self::IpHash(balancer) => balancer.pick(key, candidates),
            Self::PowerOfTwo(balancer) => balancer.pick(candidates),
        }
    }
}

#[cfg(test)]
mod tests;
