//! Which connection carries a request: an idle one, a new one, or the one that another request is about to leave.
//!
//! A handshake costs a round trip, and TLS one or two more; an idle connection costs a descriptor. So connections are
//! kept, up to limits, and a request that finds every backend at its cap waits in line for a bounded time.
//!
//! ```text
//!   worker 0                      shared                       worker 1
//!   Pool ─────────────┐           Slots            ┌───────────── Pool
//!   a: busy 2         │   a: 5 of 5 slots taken    │         a: busy 3
//!      idle           │   b: 3 of 5                │            idle
//!   b: busy 1         │   line: #7 of worker 0     │   b: busy 0
//!      idle c9 c4     │         waits for {a}      │      idle
//!   tickets: #7 → 17 ─┘                            └─ no request waits
//!
//!   request ──▶ checkout(b) ──▶ Reuse(c4)   LIFO      ──▶ checkin ──▶ Kept | Close(reason)
//!                           ├─▶ Open        a slot        ended   ──▶ slot free or handed over
//!                           └─▶ Full        wait({a, b}) ──▶ granted ──▶ look again ─┬▶ checkout
//!                                                                 ▲────────────────┴▶ wait_again
//! ```
//!
//! Each worker thread has its own [`Pool`]; only [`Slots`] is shared. Nothing here opens or closes a connection: `C` is
//! a name, and the owner does what [`Checkout`] and [`Checkin`] say. When the pool says that a connection is to be
//! closed, it has forgotten it, and its slot is free already. So while it is being closed, a backend may see one
//! connection more than its cap.
//!
//! # The owner's part
//!
//! - A busy connection is a [`Lease`]. It comes back exactly once, by [`Pool::checkin`] or [`Pool::ended`].
//! - A kept connection has a deadline. When it passes, or the connection ends or speaks: [`Pool::forget`], and close
//!   it.
//! - After `checkin`, `ended`, `forget`, `retire`, `drain`, `woken` and `reconsider`: serve the line.
//! - [`Wake`] leads to [`Pool::woken`]. A lone worker needs no waker if it calls `woken` after `cancel`.
//!
//! ```
//! # use socket_patterns::pool::*;
//! # fn look_again(_: &mut Pool<u32>, _: u32) -> Result<(), BackendSet> { Ok(()) }
//! fn serve_the_line(pool: &mut Pool<u32>) {
//!     while let Some(granted) = pool.granted() {
//!         // Balance and check out as for a new request. Granted means "look again", not "it is yours for certain".
//!         if let Err(full) = look_again(pool, granted.ticket) {
//!             pool.wait_again(granted, full); // Its old place: nobody overtakes it.
//!         }
//!     }
//! }
//! ```
//!
//! # Reading order
//!
//! This file is the worker's side of connections, `line.rs` of waiting. `idle.rs`: which connection may be used again.
//! `queue.rs`: which request is next; `turns.rs`: in which order. `slots.rs`: the shared cap, and why no request waits
//! while a connection is unused. `args.rs`: the flags. `model.rs` and `stress.rs` test it with random histories and
//! with real threads.

mod args;
mod idle;
mod line;
mod queue;
mod set;
mod slots;
mod stats;
mod tickets;
mod turns;
mod types;

#[cfg(test)]
mod model;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use args::{PoolArgs, PoolConfig};
pub use queue::HANDOVER_PATIENCE;
pub use set::BackendSet;
pub use slots::{Slots, Wake};
pub use stats::{Closed, NotKept, Stats};
pub use turns::Client;
pub use types::{Checkin, Checkout, Granted, Lease, QueueFull};

use crate::{backend::BackendId, time::Instant};
use idle::{Idle, IdleStack};
use slots::HandedTo;
use std::sync::Arc;
use tickets::Tickets;

/// One worker's connections, of name `C`, and its waiting requests, of name `T`.
///
/// Dropping it frees all its slots: the connections of a worker die with it.
#[derive(Debug)]
pub struct Pool<C: Copy + Eq, T: Copy + Ord = u32> {
    slots: Arc<Slots>,
    worker: usize,
    backends: Box<[Connections<C>]>,
    tickets: Tickets<T>,
    /// The backend that the last granted request was meant for, until it has looked there.
    meant_for: Option<BackendId>,
    /// A slot that came with the last grant and was not used yet.
    reserved: Option<BackendId>,
    draining: bool,
    stats: Stats,
}

/// A worker's connections to one backend. Each has a slot.
#[derive(Debug)]
struct Connections<C> {
    idle: IdleStack<C>,
    busy: usize,
    config: PoolConfig,
    /// Idle ones that are kept.
    idle_share: usize,
}

/// Connections.
impl<C: Copy + Eq, T: Copy + Ord> Pool<C, T> {
    /// The pool of worker number `worker`, from 0.
    ///
    /// # Panics
    ///
    /// If `slots` was made for fewer workers.
    #[must_use]
    pub fn new(slots: Arc<Slots>, worker: usize) -> Self {
        assert!(worker < slots.workers(), "worker {worker} of {}", slots.workers());
        let idle_share = slots.config().idle_share(slots.workers());
        let none = || Connections { idle: IdleStack::new(), busy: 0, config: *slots.config(), idle_share };
        Self {
            worker,
            backends: std::iter::repeat_with(none).take(slots.backends()).collect(),
            tickets: Tickets::new(),
            meant_for: None,
            reserved: None,
            draining: false,
            stats: Stats::default(),
            slots,
        }
    }

    /// A backend has rules of its own from now on.
    pub fn place(&mut self, backend: BackendId, config: PoolConfig) {
        let connections = &mut self.backends[backend.index()];
        (connections.config, connections.idle_share) = (config, config.idle_share(self.slots.workers()));
    }

    /// The rules for connections to `backend`.
    #[must_use]
    pub fn config(&self, backend: BackendId) -> &PoolConfig {
        &self.backends[backend.index()].config
    }

    /// A connection to `backend` for one request. After [`Checkout::Evict`]: close that one and ask again.
    pub fn checkout(&mut self, backend: BackendId, now: Instant) -> Checkout<C> {
        self.meant_for = self.meant_for.filter(|meant| *meant != backend);
        let connections = &mut self.backends[backend.index()];
        let Some(idle) = connections.idle.pop() else { return self.open(backend, now) };
        self.stats.idle -= 1;
        if let Err(reason) = connections.config.fresh(&idle, now) {
            self.closed(backend, reason);
            return Checkout::Evict { conn: idle.conn, reason };
        }
        connections.busy += 1;
        self.stats.busy += 1;
        self.stats.reused += 1;
        self.check_laws();
        Checkout::Reuse { conn: idle.conn, idle_for: now.saturating_duration_since(idle.since), lease: idle.lease }
    }

    /// A connection that is certainly new: for a request whose pooled connection turned out dead. At the cap an idle one is
    /// given up for it.
    pub fn checkout_new(&mut self, backend: BackendId, now: Instant) -> Checkout<C> {
        self.meant_for = self.meant_for.filter(|meant| *meant != backend);
        match self.open(backend, now) {
            Checkout::Full => match self.backends[backend.index()].idle.pop_oldest() {
                Some(conn) => {
                    self.stats.idle -= 1;
                    self.closed(backend, NotKept::Replaced);
                    Checkout::Evict { conn, reason: NotKept::Replaced }
                }
                None => Checkout::Full,
            },
            checkout => checkout,
        }
    }

    fn open(&mut self, backend: BackendId, now: Instant) -> Checkout<C> {
        if self.reserved == Some(backend) {
            self.reserved = None;
        } else if !self.slots.take(backend) {
            return Checkout::Full;
        }
        self.backends[backend.index()].busy += 1;
        self.stats.busy += 1;
        self.stats.opened += 1;
        self.check_laws();
        Checkout::Open(Lease { backend, opened: now, served: 0 })
    }

    /// A request is through and its connection could serve another: nothing is unread, nothing unsent, nobody said
    /// `close`.
    pub fn checkin(&mut self, conn: C, mut lease: Lease, now: Instant) -> Checkin {
        let backend = lease.backend;
        lease.served = lease.served.saturating_add(1);
        self.not_busy(backend);
        match self.admit(&lease, now) {
            Ok(()) => {
                let until = self.config(backend).idle_until(&lease, now);
                self.backends[backend.index()].idle.push(Idle { conn, lease, since: now });
                self.stats.idle += 1;
                self.check_laws();
                Checkin::Kept { until }
            }
            // Its slot is with the other worker already.
            Err(reason @ NotKept::SlotWanted) => {
                self.stats.closed.add(reason);
                self.check_laws();
                Checkin::Close(reason)
            }
            Err(reason) => {
                self.closed(backend, reason);
                Checkin::Close(reason)
            }
        }
    }

    fn admit(&self, lease: &Lease, now: Instant) -> Result<(), NotKept> {
        if self.draining {
            return Err(NotKept::Draining);
        }
        self.config(lease.backend).admit(lease, now)?;
        if self.slots.contended() {
            match self.slots.offer(self.worker, lease.backend) {
                HandedTo::Here => return Ok(()), // Even beyond the share: it will not idle.
                HandedTo::There => return Err(NotKept::SlotWanted),
                HandedTo::NoRequest => {}
            }
        }
        let connections = &self.backends[lease.backend.index()];
        if connections.idle.len() >= connections.idle_share {
            return Err(NotKept::TooManyIdle);
        }
        Ok(())
    }

    /// A busy connection ended, failed, was never established, or must not be used again.
    pub fn ended(&mut self, lease: Lease) {
        self.not_busy(lease.backend);
        self.closed(lease.backend, NotKept::Ended);
    }

    /// An idle connection is no more: its deadline passed, it ended, or it spoke out of turn. `false`: it is not idle
    /// here.
    pub fn forget(&mut self, backend: BackendId, conn: C, reason: NotKept) -> bool {
        let found = self.backends[backend.index()].idle.remove(conn);
        if found {
            self.stats.idle -= 1;
            self.closed(backend, reason);
        }
        found
    }

    /// The backend went down: its idle connections go to `closing`. Busy ones finish.
    pub fn retire(&mut self, backend: BackendId, closing: &mut Vec<C>) {
        self.close_idle(backend, NotKept::Retired, closing);
    }

    /// The worker shuts down: all idle connections go to `closing`, and none is kept from now on. Waiting requests are
    /// still served.
    pub fn drain(&mut self, closing: &mut Vec<C>) {
        self.draining = true;
        for backend in self.ids() {
            self.close_idle(backend, NotKept::Draining, closing);
        }
    }

    fn close_idle(&mut self, backend: BackendId, reason: NotKept, closing: &mut Vec<C>) {
        while let Some(conn) = self.backends[backend.index()].idle.pop_oldest() {
            self.stats.idle -= 1;
            closing.push(conn);
            self.closed(backend, reason);
        }
    }

    fn not_busy(&mut self, backend: BackendId) {
        self.backends[backend.index()].busy -= 1;
        self.stats.busy -= 1;
    }

    /// Counts a connection that is no longer held, and passes its slot on.
    fn closed(&mut self, backend: BackendId, reason: NotKept) {
        self.stats.closed.add(reason);
        self.check_laws();
        self.slots.release(self.worker, backend);
    }

    /// The counts of this worker's pool: events so far, and connections now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn ids(&self) -> impl Iterator<Item = BackendId> + use<C, T> {
        (0..=u16::MAX).map(BackendId).take(self.backends.len())
    }

    fn check_laws(&self) {
        let Stats { opened, closed, idle, busy, .. } = &self.stats;
        debug_assert_eq!(opened - closed.total(), (idle + busy) as u64, "what was opened is closed, idle or busy");
        debug_assert_eq!(self.backends.iter().map(|held| held.idle.len()).sum::<usize>(), *idle);
        debug_assert_eq!(self.backends.iter().map(|held| held.busy).sum::<usize>(), *busy);
    }
}

impl<C: Copy + Eq, T: Copy + Ord> Drop for Pool<C, T> {
    fn drop(&mut self) {
        let held = |(id, held): (BackendId, &Connections<C>)| std::iter::repeat_n(id, held.idle.len() + held.busy);
        let held = self.ids().zip(self.backends.iter()).flat_map(held).chain(self.reserved);
        self.slots.leave(self.worker, held);
    }
}
