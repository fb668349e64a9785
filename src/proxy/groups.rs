//! Backends that stand in for each other: a group is what one upstream of the configuration is, with rules of its own.
//!
//! ```text
//!   Shared.groups   0  "api"   backends 0, 1, 2   health, retries      the same for all workers
//!                   1  "web"   backends 3, 4
//!   Worker.choosers 0  balancer, candidates, retry budget              each worker's own
//!                   1  …
//! ```
//!
//! A milestone has one group, which all requests go to. No id means two backends at one time: pool, load and statistics are tables of
//! all backends, and know nothing of groups. The numbers of groups are those of one configuration; the next one may have others.

use super::{candidates::Candidates, proxy_protocol::ProxyProtocol};
use crate::{
    backend::BackendId,
    health::Health,
    lb::{Algorithm, Balancer},
    pool::PoolConfig,
    resilience::{Backoff, RetryBudget},
    time::Instant,
};
use std::{
    fmt::Display,
    sync::{Arc, atomic::AtomicU64},
};

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
    pub(super) algorithm: Algorithm,
    /// The rules for connections to its backends.
    pub(super) pool: PoolConfig,
    /// Its backends are told whose connection it is.
    pub(super) announces: Option<ProxyProtocol>,
    /// It knows which backends are in the group, too.
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
    /// The group of each backend, by the backend's id. `None`: it is in none of them any more.
    of: Vec<Option<GroupId>>,
}

impl Groups {
    pub(super) fn new(list: Vec<Group>) -> Self {
        let mut of = Vec::new();
        for (id, group) in (0..).map(GroupId).zip(&list) {
            for member in group.health.members() {
                if of.len() <= member.index() {
                    of.resize(member.index() + 1, None);
                }
                of[member.index()] = Some(id);
            }
        }
        Self { list, of }
    }

    pub(super) fn get(&self, id: GroupId) -> &Group {
        &self.list[id.index()]
    }

    /// The group of that name.
    pub(super) fn named(&self, name: &str) -> Option<GroupId> {
        let at = self.list.iter().position(|group| group.name.as_deref() == Some(name))?;
        u16::try_from(at).ok().map(GroupId)
    }

    /// The health that this backend's is a part of. `None`: a reload has taken it out.
    pub(super) fn health_of(&self, backend: BackendId) -> Option<&Health> {
        let group = (*self.of.get(backend.index())?)?;
        Some(&self.list[group.index()].health)
    }

    /// News of a backend as the log tells them: with the name of its group, where there are several.
    pub(super) fn told(&self, backend: BackendId, news: &impl Display) -> String {
        let group = self.of.get(backend.index()).copied().flatten();
        match group.and_then(|id| self.list[id.index()].name.as_deref()) {
            Some(name) => format!("upstream {name}: {news}"),
            None => news.to_string(),
        }
    }

    /// How this backend is told whose connection it is, if it is.
    pub(super) fn announces(&self, backend: BackendId) -> Option<ProxyProtocol> {
        let group = (*self.of.get(backend.index())?)?;
        self.list[group.index()].announces
    }

    /// The backends of all groups.
    pub(super) fn members(&self) -> impl Iterator<Item = (&Group, BackendId)> {
        self.list.iter().flat_map(|group| group.health.members().iter().map(move |id| (group, *id)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.list.iter()
    }

    /// The counter behind [`Groups::generation`].
    pub(super) fn counter(&self) -> &Arc<AtomicU64> {
        self.list[0].health.counter()
    }

    /// Changes when any backend comes or goes ([`Health::generation`]): the groups count together.
    pub(super) fn generation(&self) -> u64 {
        self.list[0].health.generation()
    }
}

/// One worker's way to choose a backend of a group.
#[derive(Debug, Clone)]
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

    /// The same for the next configuration: it goes on where this one is, with another list of backends.
    pub(super) fn carried_on(&self) -> Self {
        Self { candidates: Candidates::default(), ..self.clone() }
    }
}
