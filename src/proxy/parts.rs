//! The things that the exchanges of one worker share: its connections, its pool, its balancer; and the proxy's shared state.

use super::{
    config::Config,
    downstream::Downstream,
    exchange::{Cache, Fetch, Link},
    idle::Idle,
    leaving::{Crowd, LetGo},
    stats::Counters,
    table::{Role, Table},
    turns::Turns,
};
use crate::{
    app::{ConnId, Cx},
    backend::{Backend, BackendId},
    health::{Change, Event, Health, Outcome},
    http::http_date,
    lb::{Balancer, Candidate},
    pool::{Checkin, Checkout, CloseReason, Pool, Slots},
    resilience::RetryBudget,
};
use bytes::BytesMut;
use rand::{RngExt as _, rngs::SmallRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Instant, SystemTime},
};

/// The things that all workers of a proxy share. Immutable, atomics, or locked for a moment.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) backends: Vec<Backend>,
    pub(super) health: Arc<Health>,
    pub(super) load: Load,
    pub(super) slots: Arc<Slots>,
    /// `None`: nothing is cached, and nobody looks.
    pub(super) cache: Option<Cache>,
    /// One per worker.
    pub(super) counters: Vec<Counters>,
    /// When the proxy started.
    pub(super) started: Instant,
    /// The end has begun.
    pub(super) draining: AtomicBool,
}

/// Requests in flight per backend, over all workers: what least-connections compares.
#[derive(Debug)]
pub(super) struct Load(Vec<AtomicU32>);

impl Load {
    pub(super) fn new(backends: usize) -> Self {
        Self((0..backends).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn begin(&self, backend: BackendId) {
        self.0[backend.index()].fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self, backend: BackendId) {
        let before = self.0[backend.index()].fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a request left a backend that it never went to");
    }

    pub(super) fn of(&self, backend: BackendId) -> u32 {
        self.0[backend.index()].load(Ordering::Relaxed)
    }
}

/// The text of a `Date` field, made once a second.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: Option<u64>,
    text: String,
}

impl Date {
    pub(super) fn text(&mut self, wall: SystemTime) -> &str {
        let second = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second != Some(second) {
            self.second = Some(second);
            self.text = String::from_utf8_lossy(&http_date(wall)).into_owned();
        }
        &self.text
    }
}

/// One worker's parts.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: usize,
    pub(super) table: Table,
    pub(super) pool: Pool<ConnId>,
    pub(super) balancer: Balancer,
    pub(super) retry_budget: RetryBudget,
    pub(super) rng: SmallRng,
    /// Client connections that may have something to do: bytes kept back, a next request.
    pub(super) ready: Vec<ConnId>,
    /// Work that has to wait for the driver's next turn.
    pub(super) turns: Turns,
    /// Heads are written here, then split off without copying.
    pub(super) scratch: BytesMut,
    /// Content that arrived in many small chunks is put together here.
    pub(super) gathered: Vec<u8>,
    pub(super) candidates: Vec<Candidate>,
    /// Requests of our own, to be begun.
    pub(super) fetches: Vec<Fetch>,
    /// Connections that the pool has given up, to be closed.
    pub(super) closing: Vec<ConnId>,
    pub(super) date: Date,
    pub(super) draining: bool,
    /// Clients that have nothing to do.
    pub(super) idle: Idle,
    /// Idle clients that are asked whether they say something, before they are let go.
    pub(super) leaving: Vec<(ConnId, LetGo)>,
    pub(super) crowd: Crowd,
    /// Of the health that the pool has followed.
    pub(super) generation: u64,
}

impl Parts {
    /// This worker's counters.
    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters[self.worker]
    }

    /// Takes a client connection out of the books: the one place where `accepted = open + closed` is kept.
    pub(super) fn forget_client(&mut self, conn: ConnId) -> Option<Downstream> {
        let Role::Downstream(client) = self.table.remove(conn) else { return None };
        self.idle.leave(conn);
        self.counters().closed.add(1);
        Some(client)
    }

    /// The exchanges of this worker for which something has changed in the cache.
    pub(super) fn take_mail(&self) -> Vec<u32> {
        self.shared.cache.as_ref().map(|cache| cache.store.mail().take(self.worker)).unwrap_or_default()
    }

    /// A number in 0..1, for jitter.
    pub(super) fn random(&mut self) -> f64 {
        self.rng.random()
    }

    /// The backends that may be asked, less those in `tried`.
    pub(super) fn fill_candidates(&self, candidates: &mut Vec<Candidate>, tried: &[BackendId], now: Instant) {
        candidates.clear();
        self.shared.health.usable(now, |id, weight_percent| {
            if !tried.contains(&id) {
                let weight = self.shared.backends[id.index()].weight.saturating_mul(weight_percent).max(1);
                candidates.push(Candidate { id, weight, in_flight: self.shared.load.of(id) });
            }
        });
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
        self.shared.load.end(link.backend);
        if let Some(change) = self.shared.health.report(link.backend, outcome, cx.now()) {
            self.announce(&change);
        }
    }

    /// A backend came or went: the log says why, and every worker looks at its pool ([`Parts::follow_health`]).
    pub(super) fn announce(&self, change: &Change) {
        match change.event {
            Event::Up(_) => tracing::info!("{change}"),
            Event::Down(_) | Event::Spared(_) | Event::StillDown { .. } => tracing::warn!("{change}"),
        }
        self.shared.slots.wake_everyone();
    }

    /// If backends came or went since the last time: gives up the idle connections to those that went, and lets waiting
    /// requests look at those that came.
    pub(super) fn follow_health(&mut self, now: Instant) {
        let generation = self.shared.health.generation();
        if self.generation == generation {
            return;
        }
        self.generation = generation;
        let mut usable = vec![false; self.shared.backends.len()];
        self.shared.health.usable(now, |id, _| usable[id.index()] = true);
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
        if self.remove_upstream(link.conn, CloseReason::Ended) {
            cx.hang_up(link.conn);
        }
    }

    /// Takes a backend connection, idle or busy, out of the books. `false`: it was not in them.
    pub(super) fn remove_upstream(&mut self, conn: ConnId, reason: CloseReason) -> bool {
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

    /// Shows the pool's state to whoever asks for statistics.
    pub(super) fn publish(&self) {
        self.counters().pool.show(&self.pool.stats());
    }
}
