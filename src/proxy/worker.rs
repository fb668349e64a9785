//! The things that the exchanges of one worker share: its connections, its pool, its balancer, its buffers.

use super::{
    downstream::Downstream,
    exchange::{Fetch, Link},
    groups::{Chooser, Group, GroupId},
    idle::Idle,
    leaving::{Crowd, LetGo},
    shared::Shared,
    stats::Counters,
    table::{Role, Table},
    turns::Turns,
    versions::{Current, Versions},
    wishes::Wishes,
    writing::Writing,
};
use crate::{
    app::{ConnId, Cx},
    backend::BackendId,
    health::{Change, Event, Outcome},
    pool::{Checkin, Checkout, NotKept, Pool},
    time::Instant,
};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use std::sync::Arc;

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// The configuration of what it does at the moment: the newest one, or that of an older request.
    pub(super) shared: Arc<Shared>,
    /// That of `shared`.
    pub(super) version: u32,
    pub(super) versions: Versions,
    pub(super) number: usize,
    pub(super) table: Table,
    pub(super) pool: Pool<ConnId>,
    /// By the numbers of the groups.
    pub(super) choosers: Vec<Chooser>,
    pub(super) rng: SmallRng,
    /// Client connections that may have something to do: bytes kept back, a next request.
    pub(super) ready: Vec<ConnId>,
    /// Connections with streams that have something to write.
    pub(super) unwritten: Vec<ConnId>,
    /// Work that has to wait for the driver's next turn.
    pub(super) turns: Turns,
    /// Where heads are written.
    pub(super) writing: Writing,
    /// Content that arrived in many small chunks is put together here.
    pub(super) gathered: Vec<u8>,
    /// Requests of our own, to be begun.
    pub(super) fetches: Vec<Fetch>,
    /// Clients whose tunnels have just begun to stand.
    pub(super) silent: Vec<ConnId>,
    /// Connections that the pool has given up, to be closed.
    pub(super) closing: Vec<ConnId>,
    pub(super) draining: bool,
    /// Clients that have nothing to do.
    pub(super) idle: Idle,
    /// Idle clients that are asked whether they say something, before they are let go.
    pub(super) leaving: Vec<(ConnId, LetGo)>,
    pub(super) crowd: Crowd,
    /// Of the health that the pool has followed.
    pub(super) generation: u64,
}

impl Worker {
    /// That of this number, which has nothing to do. `seed` is another one for each worker.
    pub(super) fn new(number: usize, current: &Arc<Current>, seed: u64, now: Instant) -> Self {
        let shared = current.get();
        let mut pool = Pool::new(shared.slots.clone(), number);
        for (group, id) in shared.groups.members() {
            pool.place(id, group.pool);
        }
        let chooser = |group: &Group| Chooser::new(group.algorithm, number, seed, now);
        Self {
            number,
            version: shared.version,
            versions: Versions::new(current.clone()),
            table: Table::default(),
            pool,
            choosers: shared.groups.iter().map(chooser).collect(),
            rng: SmallRng::seed_from_u64(seed),
            ready: Vec::new(),
            unwritten: Vec::new(),
            turns: Turns::default(),
            writing: Writing::default(),
            gathered: Vec::new(),
            fetches: Vec::new(),
            silent: Vec::new(),
            closing: Vec::new(),
            draining: false,
            idle: Idle::new(now),
            leaving: Vec::new(),
            crowd: Crowd::default(),
            generation: 0,
            shared,
        }
    }

    /// This worker's counters.
    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters[self.number]
    }

    /// This worker's way to choose a backend of a group.
    pub(super) fn chooser(&mut self, group: GroupId) -> &mut Chooser {
        &mut self.choosers[group.index()]
    }

    /// Takes a client connection out of the books: the one place where `accepted = open + closed` is kept.
    pub(super) fn forget_client(&mut self, conn: ConnId) -> Option<Box<Downstream>> {
        let Role::Downstream(client) = self.table.remove(conn) else { return None };
        self.idle.leave(conn);
        self.counters().closed.add(1);
        Some(client)
    }

    /// The exchanges of this worker for which there is news: in the cache, or of names.
    pub(super) fn take_mail(&self) -> Vec<u32> {
        let mut news = self.shared.cache.as_ref().map(|cache| cache.store.mail().take(self.number)).unwrap_or_default();
        if let Some(forward) = &self.shared.forward {
            news.extend(forward.mail.take(self.number));
        }
        for shared in self.versions.older().chain([&self.shared]) {
            news.extend(shared.gate.iter().flat_map(|gate| gate.take_mail(self.number)));
        }
        news
    }

    /// The rule that a client with TLS hears for its next connections (`--hsts`).
    pub(super) fn hsts_for(&mut self, conn: ConnId) -> Option<Arc<str>> {
        let value = self.shared.config.hsts.as_ref()?;
        let secure = self.table.downstream(conn).is_some_and(|client| client.secure.is_some());
        secure.then(|| value.clone())
    }

    /// A number in 0..1, for jitter.
    pub(super) fn random(&mut self) -> f64 {
        self.rng.random()
    }

    /// A connection to `backend`; `fresh`: not one from the pool. Closes what turns out too old on the way.
    pub(super) fn checkout(&mut self, backend: BackendId, fresh: bool, cx: &mut Cx) -> Checkout<ConnId> {
        loop {
            let checkout =
                if fresh { self.pool.checkout_new(backend, cx.now()) } else { self.pool.checkout(backend, cx.now()) };
            let Checkout::Evict { conn, reason } = checkout else { return checkout };
            tracing::debug!(reason = reason.as_str(), "idle backend connection given up");
            self.table.remove(conn);
            cx.hang_up(conn);
        }
    }

    /// The exchange leaves the backend: count it out, and tell health how it went.
    pub(super) fn finish_with(&mut self, link: Link, outcome: Outcome, cx: &Cx) {
        self.shared.load.end(self.number, link.backend);
        self.report(link.backend, outcome, cx.now());
    }

    /// Tells health how a request went. Of the servers that clients name, no record is kept: nobody else would be asked
    /// instead.
    pub(super) fn report(&self, backend: BackendId, outcome: Outcome, now: Instant) {
        if self.shared.forward.is_none()
            && let Some(health) = self.shared.groups.health_of(backend)
            && let Some(change) = health.report(backend, outcome, now)
        {
            self.announce(&change);
        }
    }

    /// A backend came or went: the log says why, and every worker looks at its pool ([`Worker::follow_health`]).
    pub(super) fn announce(&self, change: &Change) {
        let told = self.shared.groups.told(change.backend, change);
        match change.event {
            Event::Up(_) => tracing::info!("{told}"),
            Event::Down(_) | Event::Spared(_) | Event::StillDown { .. } => {
                tracing::warn!("{told}");
                self.shared.wishes.iter().for_each(Wishes::failed);
            }
        }
        self.shared.slots.wake_everyone();
    }

    /// If backends came or went since the last time: gives up the idle connections to those that went, and lets waiting
    /// requests look at those that came.
    pub(super) fn follow_health(&mut self, now: Instant) {
        let generation = self.shared.groups.generation();
        if self.generation == generation {
            return;
        }
        self.generation = generation;
        let mut usable = vec![false; self.shared.backends.len()];
        for group in self.shared.groups.iter() {
            group.health.usable(now, |id, _| usable[id.index()] = true);
        }
        for backend in self.shared.backends.iter().filter(|backend| !usable[backend.id.index()]) {
            self.pool.retire(backend.id, &mut self.closing);
        }
        self.pool.reconsider();
    }

    /// Returns a connection to the pool, or closes it if the pool will not have it.
    pub(super) fn give_back(&mut self, link: Link, cx: &mut Cx) {
        self.finish_with(link, Outcome::Success, cx);
        let Some(upstream) = self.table.upstream(link.conn) else { return };
        upstream.exchange = None;
        let Some(lease) = upstream.lease.take() else { return };
        match self.pool.checkin(link.conn, lease, cx.now()) {
            Checkin::Kept { until } => {
                upstream.set_congested(cx, false);
                upstream.expect(cx, until);
            }
            Checkin::Close(reason) => {
                tracing::debug!(reason = reason.as_str(), "backend connection not kept");
                self.table.remove(link.conn);
                cx.hang_up(link.conn);
            }
        }
    }

    /// The exchange is done with a connection that does not persist.
    pub(super) fn close_link(&mut self, link: Link, outcome: Outcome, cx: &mut Cx) {
        self.finish_with(link, outcome, cx);
        if self.remove_upstream(link.conn, NotKept::Ended) {
            cx.hang_up(link.conn);
        }
    }

    /// Takes a backend connection, idle or busy, out of the books. `false`: it was not in them.
    pub(super) fn remove_upstream(&mut self, conn: ConnId, reason: NotKept) -> bool {
        let Role::Upstream(upstream) = self.table.remove_if_upstream(conn) else { return false };
        match upstream.lease {
            Some(lease) => self.pool.ended(lease),
            None => {
                self.pool.forget(upstream.backend, conn, reason);
            }
        }
        true
    }

    /// Closes the connections that the pool gave up.
    pub(super) fn close_given_up(&mut self, cx: &mut Cx) {
        for conn in std::mem::take(&mut self.closing) {
            self.table.remove(conn);
            cx.hang_up(conn);
        }
    }

    /// Shows the pool's state in the statistics.
    pub(super) fn publish(&self) {
        self.counters().pool.show(&self.pool.stats());
    }
}
