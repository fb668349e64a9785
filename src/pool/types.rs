//! Tasks that a pool gives to its owner, and the values that the owner holds meanwhile.

use super::{NotKept, turns::Place};
use crate::{backend::BackendId, time::Instant};
use std::time::Duration;

/// The answer to [`Pool::checkout`](super::Pool::checkout).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "it holds a slot, or a connection to close"]
pub enum Checkout<C> {
    /// Use this connection. It may have died meanwhile: peek at it, and be ready to send the request again.
    Reuse {
        /// The connection used last of those that idled.
        conn: C,
        /// How long it idled: the longer, the likelier that it is dead.
        idle_for: Duration,
        /// To be returned.
        lease: Lease,
    },
    /// Open a connection.
    Open(Lease),
    /// Close this one, it idled or lived too long; then check out again.
    Evict {
        /// Forgotten by the pool.
        conn: C,
        /// The limit that it reached.
        reason: NotKept,
    },
    /// The backend is at its cap. If all are: [`Pool::wait`](super::Pool::wait).
    Full,
}

/// The answer to [`Pool::checkin`](super::Pool::checkin).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a connection that is not kept has to be closed"]
pub enum Checkin {
    /// It idles until it is checked out, or until its deadline: then
    /// [`Pool::forget`](super::Pool::forget) it and close it. `None`: it may idle for ever.
    Kept {
        /// When it will have idled or lived too long.
        until: Option<Instant>,
    },
    /// Close it. The pool has forgotten it.
    Close(NotKept),
}

/// A busy connection's slot and history. Returned exactly once, so it cannot be copied.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is not returned by checkin() or ended() leaves its slot taken for ever"]
pub struct Lease {
    pub(super) backend: BackendId,
    pub(super) served: u32,
    pub(super) opened: Instant,
}

impl Lease {
    /// The backend that the connection leads to.
    #[must_use]
    pub fn backend(&self) -> BackendId {
        self.backend
    }

    /// How many requests it has served before this one. 0: it is new.
    #[must_use]
    pub fn served(&self) -> u32 {
        self.served
    }

    /// When it was asked for.
    #[must_use]
    pub fn opened(&self) -> Instant {
        self.opened
    }
}

/// A waiting request that should look again. It is no longer in line: check out, or
/// [`Pool::wait_again`](super::Pool::wait_again).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the request has left the line"]
pub struct Granted<T> {
    /// The request.
    pub ticket: T,
    /// When it began to wait.
    pub since: Instant,
    /// Where room was made for it: if it still may go there, look there first, not to take what was meant for the next
    /// in line. `None`: nowhere in particular, the backends have changed.
    pub backend: Option<BackendId>,
    /// The line is at its limit, and the request has lost its place to a client with fewer requests in it: refuse it, as
    /// after [`QueueFull`].
    pub displaced: bool,
    pub(super) place: Place,
}

/// The line is at its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl std::fmt::Display for QueueFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many requests wait for a connection")
    }
}

impl std::error::Error for QueueFull {}
