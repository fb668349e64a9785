//! Which configuration counts for what: the newest one for all that begins, and for each request the one that it began with.
//!
//! ```text
//!   Current     version 7 ◀── a reload puts the next one here, and wakes the workers
//!     │
//!     ▼  woken: adopt
//!   Worker      version 7: requests that begin      ◀─┐ enter: the two change places
//!               version 6: three that still run     ──┘ for one event of one of the three
//! ```
//!
//! A request costs one comparison of two numbers for that, and no reference is counted for it: a worker knows how many requests of an
//! older configuration it has, and lets go of that when the last of them is over. A tunnel may last for days, and needs no more of a
//! configuration than a time limit: it goes over to the newest.

use super::{
    Proxy,
    exchange::Event,
    groups::{Chooser, GroupId},
    routing::Way,
    shared::Shared,
    worker::Worker,
};
use crate::{app::Cx, pool::PoolConfig};
use rand::RngExt as _;
use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::*},
    },
    time::Duration,
};

/// The newest configuration, and how far the workers are.
#[derive(Debug)]
pub(super) struct Current {
    version: AtomicU32,
    shared: Mutex<Arc<Shared>>,
    /// The number of the last time that the workers were asked how far they are.
    round: AtomicU32,
    workers: Mutex<Vec<Seen>>,
    news: Condvar,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The version that it has adopted.
    version: u32,
    round: u32,
}

impl Current {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let seen = Seen { version: shared.version, round: 0 };
        let workers = Mutex::new(vec![seen; shared.counters.len()]);
        let version = shared.version.into();
        Self { version, shared: Mutex::new(shared), round: 0.into(), workers, news: Condvar::new() }
    }

    pub(super) fn get(&self) -> Arc<Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the next one in place. The workers adopt it when they are woken.
    pub(super) fn set(&self, shared: Arc<Shared>) {
        let version = shared.version;
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = shared;
        self.version.store(version, Release);
    }

    fn is_at(&self, worker: usize, seen: Seen) {
        if let Some(known) = self.workers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(worker) {
            *known = seen;
        }
        self.news.notify_all();
    }

    /// Waits until every worker has adopted this one, or a later one. `false`: one has not in that time.
    pub(super) fn wait(&self, version: u32, patience: Duration) -> bool {
        self.wait_while(|seen| seen.version < version, patience)
    }

    /// Waits until every worker has done all that its event loop was asked for before. `false`: one has not in that time.
    pub(super) fn wait_for_all_done(&self, wake: impl Fn(), patience: Duration) -> bool {
        // The first answer may be of a call that had begun before; what follows it had not.
        (0..2).all(|_| {
            let round = self.round.fetch_add(1, AcqRel) + 1;
            wake();
            self.wait_while(|seen| seen.round < round, patience)
        })
    }

    fn wait_while(&self, lacks: impl Fn(&Seen) -> bool, patience: Duration) -> bool {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.news.wait_timeout_while(workers, patience, |workers| workers.iter().any(&lacks));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// The configurations of one worker, beside the one that it works with at the moment.
#[derive(Debug)]
pub(super) struct Versions {
    current: Arc<Current>,
    newest: u32,
    /// The last round that was answered.
    round: u32,
    others: Vec<Other>,
    /// How many exchanges run under each that is older than the newest.
    running: Vec<(u32, usize)>,
}

#[derive(Debug)]
struct Other {
    shared: Arc<Shared>,
    choosers: Vec<Chooser>,
}

impl Versions {
    pub(super) fn new(current: Arc<Current>) -> Self {
        let newest = current.version.load(Acquire);
        Self { current, newest, round: 0, others: Vec::new(), running: Vec::new() }
    }

    /// An older configuration. `None`: it is the one that the worker works with.
    pub(super) fn of(&self, version: u32) -> Option<&Arc<Shared>> {
        // Nearly always, there is none.
        self.others.iter().map(|other| &other.shared).find(|shared| shared.version == version)
    }

    /// All that are older.
    pub(super) fn older(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.others.iter().map(|other| &other.shared)
    }

    /// Where the newest configuration is.
    pub(super) fn current(&self) -> &Arc<Current> {
        &self.current
    }
}

impl Worker {
    /// Works with this version from now on. Gives the one before.
    fn enter(&mut self, version: u32) -> u32 {
        let before = self.version;
        if version != before {
            let other = self.versions.others.iter_mut().find(|other| other.shared.version == version);
            let other = other.expect("a version is kept while one of its exchanges runs");
            mem::swap(&mut self.shared, &mut other.shared);
            mem::swap(&mut self.choosers, &mut other.choosers);
            self.version = version;
        }
        before
    }

    /// An exchange of that version is over, or has gone over to the newest one.
    pub(super) fn forget_exchange_of(&mut self, version: u32) {
        if version == self.versions.newest {
            return;
        }
        if let Some((_, running)) = self.versions.running.iter_mut().find(|(known, _)| *known == version) {
            *running -= 1;
        }
    }

    /// Lets go of the versions under which nothing runs. The worker works with the newest.
    fn let_go_of_versions(&mut self) {
        let Versions { others, running, .. } = &mut self.versions;
        running.retain(|(_, running)| *running > 0);
        others.retain(|other| running.iter().any(|(version, _)| *version == other.shared.version));
    }

    /// The way of something that goes on under the newest version.
    fn moved(&mut self, way: Way, from: u32) -> Way {
        let before = self.enter(from);
        let old = self.shared.clone();
        self.enter(self.versions.newest);
        let way = self.shared.moved(way, &old);
        self.enter(before);
        way
    }

    /// Adopts the newest version; `running` exchanges are of the one before.
    fn adopt(&mut self, shared: Arc<Shared>, running: usize, cx: &mut Cx) {
        let (seed, now) = (self.rng.random(), cx.now());
        let chooser = |group: &super::groups::Group| {
            let same = group.name.as_deref().and_then(|name| self.shared.groups.named(name));
            let same = same.filter(|id| self.shared.groups.get(*id).algorithm == group.algorithm);
            let new = || Chooser::new(group.algorithm, self.number, seed, now);
            same.map_or_else(new, |GroupId(id)| self.choosers[usize::from(id)].carried_on())
        };
        let choosers = shared.groups.iter().map(chooser).collect();
        self.place_backends(&shared);
        self.versions.newest = shared.version;
        self.versions.running.push((self.version, running));
        self.version = shared.version;
        let old = Other {
            shared: mem::replace(&mut self.shared, shared),
            choosers: mem::replace(&mut self.choosers, choosers),
        };
        self.follow_probes(&old.shared, cx);
        self.versions.others.push(old);
        // No generation: the pool follows the health of the new groups, whatever they are.
        self.generation = u64::MAX;
    }

    /// Backends that are new get their rules, and those that are gone keep no connection.
    fn place_backends(&mut self, next: &Shared) {
        for (group, id) in next.groups.members() {
            self.pool.place(id, group.pool);
            if self.shared.groups.health_of(id).is_none() {
                self.counters().backends[id.index()].set(0);
            }
        }
        let gone = self.shared.groups.members().filter(|(_, id)| next.groups.health_of(*id).is_none());
        for (group, id) in gone {
            self.pool.place(id, PoolConfig { max: 0, ..group.pool });
        }
    }
}

impl Proxy {
    /// Adopts the newest configuration, if that is another one.
    pub(super) fn follow_configuration(&mut self, cx: &mut Cx) {
        let current = self.worker.versions.current.clone();
        let is_new = current.version.load(Acquire) != self.worker.version;
        if is_new {
            self.adopt_newest(&current, cx);
        }
        let round = current.round.load(Acquire);
        if is_new || round != self.worker.versions.round {
            self.worker.versions.round = round;
            current.is_at(self.worker.number, Seen { version: self.worker.version, round });
        }
    }

    fn adopt_newest(&mut self, current: &Current, cx: &mut Cx) {
        // Each of them goes over to the new version by the rules for a tunnel.
        self.unpark_all(cx);
        let worker = &mut self.worker;
        let (shared, before) = (current.get(), worker.version);
        let running = self.exchanges.iter().filter(|(_, exchange)| exchange.core.version == before).count();
        worker.adopt(shared, running, cx);
        // One that is counted among those that its client has at once is counted by the rule that it began with.
        let moves = |exchange: &super::Exchange| exchange.is_tunnel() && !exchange.core.way.counted;
        let tunnels = self.exchanges.iter().filter(|(_, exchange)| moves(exchange));
        let tunnels: Vec<usize> = tunnels.map(|(key, _)| key).collect();
        tunnels.into_iter().for_each(|key| self.bring_up_to_date(key));
        self.worker.let_go_of_versions();
        self.worker.pool.reconsider();
    }

    /// An exchange goes over to the newest version.
    fn bring_up_to_date(&mut self, key: usize) {
        let Some(exchange) = self.exchanges.get_mut(key) else { return };
        let core = &mut exchange.core;
        core.way = self.worker.moved(core.way, core.version);
        self.worker.forget_exchange_of(core.version);
        core.version = self.worker.versions.newest;
    }

    /// Passes an event to an exchange that began under an older configuration: seldom, and only after a reload.
    #[cold]
    pub(super) fn on_older(&mut self, cx: &mut Cx, key: u32, event: Event<'_>) {
        let Some(version) = self.exchanges.get(key as usize).map(|exchange| exchange.core.version) else { return };
        let before = self.worker.enter(version);
        self.step_exchange(cx, key, event);
        self.worker.enter(before);
        let began_then = |exchange: &&super::Exchange| exchange.core.version == version && !exchange.core.way.counted;
        if self.exchanges.get(key as usize).filter(began_then).is_some_and(super::Exchange::is_tunnel) {
            self.bring_up_to_date(key as usize);
        }
        if before == self.worker.versions.newest {
            self.worker.let_go_of_versions();
        }
    }
}
