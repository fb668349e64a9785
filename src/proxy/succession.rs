//! The next configuration of a proxy that runs: a backend that stays what it is keeps its id, and with it its connections, its health
//! and its counts.

use super::{
    Plan,
    access::{Gate, Sharing},
    config::Config,
    exchange::Cache,
    explain::{ExplainConfig, Watcher},
    measures::Measures,
    orders::Orders,
    plan::{gate, mail, measures},
    routing::Router,
    shared::Shared,
    sites::built,
};
use crate::{
    backend::{Backend, BackendId},
    cache::CacheConfig,
    time::Instant,
};
use std::sync::Arc;

/// The ids that a new backend may get.
struct Ids<'a> {
    old: &'a Shared,
    is_taken: &'a dyn Fn(BackendId) -> bool,
    given: Vec<BackendId>,
}

impl Ids<'_> {
    /// The id of a backend of the group of that name; `limited`: its connections are counted.
    fn of(&mut self, group: Option<&str>, backend: &Backend, limited: bool) -> Option<BackendId> {
        let id = self.kept(group, backend, limited).or_else(|| self.free())?;
        self.given.push(id);
        Some(id)
    }

    /// That of the same backend before.
    fn kept(&self, group: Option<&str>, backend: &Backend, limited: bool) -> Option<BackendId> {
        let group = self.old.groups.get(self.old.groups.named(group?)?);
        let is_same = |id: &&BackendId| {
            let before = &self.old.backends[id.index()];
            before.name == backend.name
                && before.secured == backend.secured
                && before.addresses == backend.addresses
                && self.old.slots.open(**id).is_some() == limited
        };
        group.health.members().iter().find(is_same).copied()
    }

    fn free(&self) -> Option<BackendId> {
        let all = (0..=u16::MAX).map(BackendId).take(self.old.slots.backends());
        let is_member = |id: BackendId| self.old.groups.health_of(id).is_some();
        all.into_iter().find(|id| !is_member(*id) && !self.given.contains(id) && !(self.is_taken)(*id))
    }
}

impl Plan {
    /// The configuration that follows `old`, and the ids of the backends in their order. `is_taken`: whether an id still means a backend
    /// that was taken out earlier.
    ///
    /// # Errors
    ///
    /// There is no room for so many new backends.
    pub(super) fn succeed(
        self,
        mut backends: Vec<Backend>,
        orders: Orders,
        old: &Shared,
        is_taken: &dyn Fn(BackendId) -> bool,
        now: Instant,
    ) -> Result<(Shared, Vec<BackendId>), String> {
        let mut ids = Ids { old, is_taken, given: Vec::new() };
        for group in self.groups(&backends.clone()) {
            for backend in &mut backends[group.backends.clone()] {
                let limited = backend.max.or(group.rules.pool.limit()).is_some();
                backend.id = ids.of(group.name, backend, limited).ok_or_else(|| no_room(old))?;
                if old.groups.health_of(backend.id).is_some() {
                    // Which of them worked is kept with them.
                    backend.addresses = old.backends[backend.id.index()].addresses.clone();
                }
            }
        }
        let order = backends.iter().map(|backend| backend.id).collect();
        let groups = built(self.groups(&backends), &backends, Some(&old.groups), now);
        let router = self.sites.map(|sites| Router::new(sites.sites));
        let gate = router.as_ref().and_then(|router| carried_on(old, router, &self.config));
        let known = old.measures.as_ref().map(Measures::known);
        let measures = known.map(|known| measures(known, router.as_ref(), &groups, old.counters.len()));
        let shared = Shared {
            version: old.version.wrapping_add(1),
            groups,
            orders,
            router,
            gate,
            watches: measures.is_some() || self.config.access_log,
            measures,
            explain: explaining(old, self.config.explain.as_ref()),
            log: old.log.clone(),
            cache: old.cache.as_ref().map(|cache| again(cache, self.cache)),
            backends: in_place(&old.backends, backends),
            config: self.config,
            load: old.load.clone(),
            forward: old.forward.clone(),
            counters: old.counters.clone(),
            pulses: old.pulses.clone(),
            slots: old.slots.clone(),
            tls: old.tls.clone(),
            servers: old.servers.clone(),
            outcomes: old.outcomes.clone(),
            started: old.started,
            draining: old.draining.clone(),
            wishes: old.wishes.clone(),
        };
        Ok((shared, order))
    }
}

/// The explanations that are kept go on, unless nothing is explained any more.
fn explaining(old: &Shared, config: Option<&ExplainConfig>) -> Option<Watcher> {
    let book = || old.explain.as_ref().map(|watcher| watcher.book.clone()).unwrap_or_default();
    config.map(|config| Watcher::new(config.clone(), book()))
}

/// These backends at the places of their ids, among those that there were.
fn in_place(old: &[Backend], backends: Vec<Backend>) -> Vec<Backend> {
    let mut by_id = old.to_vec();
    for backend in backends {
        let at = backend.id.index();
        if at < by_id.len() {
            by_id[at] = backend;
        } else {
            // The lowest free one was taken, so this is the next.
            by_id.push(backend);
        }
    }
    by_id
}

/// The judge of clients goes on, if it can judge the clients of these routes.
fn carried_on(old: &Shared, router: &Router, config: &Config) -> Option<Arc<Gate>> {
    let shared = || match &old.gate {
        Some(gate) => gate.sharing(),
        None => Sharing::of(config.store.as_ref(), rand::random()),
    };
    match &old.gate {
        Some(gate) if gate.has_users() || !router.has_users() => Some(gate.clone()),
        _ => gate(router, mail(old.counters.len(), &old.slots), rand::random(), shared),
    }
}

/// The same store with other rules.
fn again(cache: &Cache, config: CacheConfig) -> Cache {
    Cache { config: CacheConfig { limits: cache.config.limits, ..config }, ..cache.clone() }
}

fn no_room(old: &Shared) -> String {
    format!(
        "there are places for {} servers, those included that were taken out and still answer: begin again with kill -USR2",
        old.slots.backends()
    )
}
