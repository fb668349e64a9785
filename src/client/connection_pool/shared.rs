//! The state behind the lock: the pool that decides, and the streams that its names stand for.

use super::{SERVER, now};
use crate::{
    pool::{Checkout, Lease, NotKept, Pool},
    resilience::{Breaker, RetryBudget},
    time::Instant,
};
use slab::Slab;
use std::{collections::HashMap, net::TcpStream, sync::Arc, time::Duration};

/// State that the threads of a pool share, behind one lock.
pub(super) struct Shared {
    pub(super) pool: Pool<usize>,
    /// Connections that idle, by their name in the pool.
    pub(super) idle: Slab<Idle>,
    /// Those in use, to be cut off when the pool is closed.
    pub(super) busy: Slab<Arc<TcpStream>>,
    /// Slots that callers in line were given and have not taken yet.
    pub(super) ready: HashMap<u32, Slot>,
    pub(super) next_ticket: u32,
    pub(super) breaker: Option<Breaker>,
    /// It was told that the breaker is half-open.
    pub(super) half_open: bool,
    /// The peer was silent when it was asked whether it is there, and has not answered anything since.
    pub(super) doubted: bool,
    pub(super) retries: RetryBudget,
    pub(super) closed: bool,
}

pub(super) struct Idle {
    pub(super) conn: Conn,
    pub(super) until: Option<Instant>,
}

/// A connection.
pub(super) struct Conn {
    pub(super) stream: Arc<TcpStream>,
    /// The number of its last line: heartbeats have one, too.
    pub(super) number: u64,
    /// How many requests it has carried.
    pub(super) asked: u64,
}

impl Conn {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), number: 0, asked: 0 }
    }
}

/// The result of a checkout.
pub(super) enum Slot {
    Reuse {
        conn: Conn,
        lease: Lease,
        /// How long nothing was heard on it.
        idle_for: Duration,
    },
    Open(Lease),
}

impl Shared {
    /// A connection or slot that is free now.
    pub(super) fn take(&mut self) -> Option<Slot> {
        loop {
            match self.pool.checkout(SERVER, now()) {
                Checkout::Reuse { conn, idle_for, lease } => {
                    let conn = self.idle.remove(conn).conn;
                    return Some(Slot::Reuse { conn, lease, idle_for });
                }
                Checkout::Open(lease) => return Some(Slot::Open(lease)),
                Checkout::Evict { conn, .. } => drop(self.idle.remove(conn)),
                Checkout::Full => return None,
            }
        }
    }

    /// Closes connections that have idled too long. There is no timer for it: it is done whenever a connection comes
    /// back.
    pub(super) fn sweep(&mut self, now: Instant) {
        let over = |(key, idle): (usize, &Idle)| idle.until.is_some_and(|until| until <= now).then_some(key);
        let keys: Vec<usize> = self.idle.iter().filter_map(over).collect();
        for key in keys {
            self.pool.forget(SERVER, key, NotKept::IdleTooLong);
            self.idle.remove(key);
        }
    }
}
