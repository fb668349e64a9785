//! Backends that stand in for each other: a group is what one upstream of the configuration is, with rules of its own.
//!
//! ```text
//!   Shared.groups   0  "api"   backends 0, 1, 2   health, retries      the same for all workers
//!                   1  "web"   backends 3, 4
//!   Worker.choosers 0  balancer, candidates, retry budget              each worker's own
//!                   1  …
//! ```
//!
//! A milestone has one group, which all requests go to. The ids of a group follow each other, and no id means two backends: pool, load
//! and statistics are tables of all backends, and know nothing of groups.

use super::candidates::Candidates;
use crate::{
    backend::BackendId,
    health::Health,
    lb::{Algorithm, Balancer},
    resilience::{Backoff, RetryBudget},
};
use std::{ops::Range, time::Instant};

/// At most one retry for five requests, as Finagle and Envoy have it: a backend that fails must not get thrice the load.
const RETRY_RATIO: f64 = 0.2;
/// And so many per second and worker in any case: with little traffic a fifth of it is no retry at all.
const RETRIES_PER_SECOND: u32 = 10;

/// The number of a group in its proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GroupId(pub u16);

impl GroupId {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One group, as all workers share it.
#[derive(Debug)]
pub(super) struct Group {
    /// As the configuration calls it; `None` where there is but one.
    pub(super) name: Option<Box<str>>,
    /// Its backends, by their ids.
    pub(super) backends: Range<usize>,
    pub(super) health: Health,
    /// How often a request may be sent again, at most.
    pub(super) retries: u32,
    /// How long to wait before.
    pub(super) backoff: Backoff,
}

/// All groups of a proxy; there is at least one.
#[derive(Debug)]
pub(super) struct Groups {
    list: Vec<Group>,
    /// The group of each backend, by the backend's id.
    of: Vec<GroupId>,
}

impl Groups {
    pub(super) fn new(list: Vec<Group>) -> Self {
        let ids = (0..).map(GroupId).zip(&list);
        let of = ids.flat_map(|(id, group)| group.backends.clone().map(move |_| id)).collect();
        Self { list, of }
    }

    pub(super) fn get(&self, id: GroupId) -> &Group {
        &self.list[id.index()]
    }

    /// The health that this backend's is a part of.
    pub(super) fn health_of(&self, backend: BackendId) -> &Health {
        &self.list[self.of[backend.index()].index()].health
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.list.iter()
    }

    /// Changes when any backend comes or goes ([`Health::generation`]): the groups count together.
    pub(super) fn generation(&self) -> u64 {
        self.list[0].health.generation()
    }
}

/// One worker's way to choose a backend of a group.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) balancer: Balancer,
    pub(super) candidates: Candidates,
    pub(super) retry_budget: RetryBudget,
}

impl Chooser {
    /// Of worker number `worker`; `seed` is another one for each worker.
    pub(super) fn new(algorithm: Algorithm, worker: usize, seed: u64, now: Instant) -> Self {
        let first = if algorithm == Algorithm::RoundRobin { worker as u64 } else { seed };
        Self {
            balancer: Balancer::new(algorithm, first),
            candidates: Candidates::default(),
            retry_budget: RetryBudget::new(RETRY_RATIO, RETRIES_PER_SECOND, now),
        }
    }
}
