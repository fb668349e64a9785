//! The numbers of each server, read where they are counted: a proxy of a thousand servers has eleven thousand of them.

use super::page::Written;
use crate::{
    backend::Backend,
    health::BackendHealth,
    proxy::{measures::NONE, shared::Shared},
    time::Instant,
};

/// A reading of one server. One that is in several upstreams has several.
pub(super) struct Server<'a> {
    pub(super) backend: &'a Backend,
    pub(super) requests: u64,
    pub(super) in_flight: u64,
    /// `None`: they are not counted.
    pub(super) connections: Option<u64>,
    pub(super) health: BackendHealth,
    pub(super) labels: Written,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shown {
    Whole(u64),
    Part(f64),
    /// It is not known.
    Nothing,
}

impl Shared {
    /// Reads the numbers of all servers.
    pub(super) fn servers(&self, now: Instant) -> Vec<Server<'_>> {
        self.groups
            .iter()
            .flat_map(|group| {
                let upstream = group.name.as_deref().unwrap_or(NONE);
                let healths = group.health.members().iter().zip(group.health.snapshot(now));
                healths.map(move |(id, health)| {
                    let backend = &self.backends[id.index()];
                    Server {
                        requests: self.counters.iter().map(|counters| counters.backends[id.index()].read()).sum(),
                        in_flight: u64::from(self.load.of(*id)),
                        connections: self.slots.open(*id).map(|open| open as u64),
                        health,
                        labels: Written::new(&[("upstream", upstream), ("server", &backend.name)]),
                        backend,
                    }
                })
            })
            .collect()
    }
}
