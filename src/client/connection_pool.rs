//! Connections for one request at a time each, kept and shared by threads: the proxy's [`Pool`] behind a lock.
//!
//! A handshake costs a round trip, and the server's `accept` another thread or table entry. So connections are kept.
//! But a server closes idle connections, or was restarted meanwhile, and the end it sent waits unread in our kernel. So
//! at checkout each connection is looked at, and a dead one is dropped before a request is risked on it. It may still
//! die between the look and the write. That is why [`Attempts`](super::Attempts) counts the bytes that were written.
//!
//! A look finds only an end that the peer has sent. A peer that lost its power or is stopped sends nothing, so a
//! connection that has idled for a heartbeat's interval first has to answer a heartbeat. If it does not, all other idle
//! connections are given up with it. From then on every connection has to answer a heartbeat before it gets a request,
//! until one does.
//!
//! ```
//! use socket_patterns::{client::{Config, ConnectionPool, Request, demo}, pool::PoolConfig};
//!
//! let server = demo::command_server()?;
//! let pool = ConnectionPool::new(server.address(), PoolConfig { max: 2, ..PoolConfig::default() }, Config::default());
//! std::thread::scope(|scope| {
//!     for _ in 0..8 {
//!         scope.spawn(|| {
//!             let answer = pool.ask(&Request::new("PING").unwrap().idempotent());
//!             assert_eq!(answer.unwrap().text, "PONG");
//!         });
//!     }
//! });
//! // Eight requests, and never more than two connections.
//! let stats = pool.stats();
//! assert!(stats.opened <= 2 && stats.reused >= 6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkout;
mod exchange;
mod pooled;
mod shared;

pub use pooled::Pooled;

use super::{
    Answer, Attempts, Blame, Cause, Config, Error, Event, Reconnect, Request, Server, Verdict, Written,
    config::FREE_RETRIES,
};
use crate::{
    backend::{Addresses, Backend, BackendId},
    net::{self, clock},
    pool::{Pool, PoolConfig, Slots, Stats},
    resilience::{Admit, Breaker, BreakerState, RetryBudget, later},
    time::Instant,
};
use shared::{Shared, Slot};
use slab::Slab;
use std::{
    collections::HashMap,
    fmt,
    net::Shutdown,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The one backend of such a pool.
const SERVER: BackendId = BackendId(0);

/// Connections to one server.
pub struct ConnectionPool {
    to: Server,
    config: Config,
    queue_timeout: Duration,
    shared: Mutex<Shared>,
    /// Told whenever a caller in line has got a connection or slot.
    granted: Condvar,
    /// Told when it is closed.
    closed: Condvar,
    watcher: Box<dyn Fn(Event) + Send + Sync>,
}

impl ConnectionPool {
    /// No connection yet.
    #[must_use]
    pub fn new(to: impl Into<Server>, pool: PoolConfig, config: Config) -> Self {
        Self::watched(to, pool, config, |_| {})
    }

    /// Like [`Self::new`]; `watcher` hears of failed tries and of the breaker.
    #[must_use]
    pub fn watched(
        to: impl Into<Server>,
        pool: PoolConfig,
        config: Config,
        watcher: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        let to = to.into();
        // Only its number and its limit matter to slots: where it is, is asked whenever that matters.
        let server = Backend {
            id: SERVER,
            name: to.name().to_owned(),
            addresses: Addresses::new(&[]),
            weight: 1,
            max: None,
            secured: None,
        };
        let slots = Arc::new(Slots::new(&[server], pool, 1));
        let shared = Shared {
            pool: Pool::new(slots, 0),
            idle: Slab::new(),
            busy: Slab::new(),
            ready: HashMap::new(),
            next_ticket: 0,
            breaker: config.breaker.map(Breaker::new),
            half_open: false,
            doubted: false,
            retries: RetryBudget::new(config.retry_ratio, FREE_RETRIES, now()),
            closed: false,
        };
        Self {
            to,
            config,
            queue_timeout: pool.queue_timeout,
            shared: Mutex::new(shared),
            granted: Condvar::new(),
            closed: Condvar::new(),
            watcher: Box::new(watcher),
        }
    }

    /// Asks on any connection, again if that is safe, within the time for all tries.
    ///
    /// # Errors
    ///
    /// No answer, and whether the request may have been executed all the same.
    pub fn ask(&self, request: &Request) -> Result<Answer, Error> {
        let mut attempts = Attempts::new(self.config.policy, request.is_idempotent(), now());
        let mut reconnect = Reconnect::new(self.config.backoff, self.config.reconnects);
        self.lock().retries.request(now());
        let mut last = Cause::TimedOut;
        let mut tries = 0;
        loop {
            let Some(within) = attempts.begin(now()) else { return Err(attempts.error(last)) };
            tries += 1;
            let (written, cause) = match self.try_once(request, within) {
                Ok(text) => return Ok(Answer { text, tries }),
                Err(failed) => failed,
            };
            tries -= u32::from(written == Written::Nothing);
            // Our own policy would give the same answer again.
            if matches!(cause, Cause::BreakerOpen { .. } | Cause::QueueFull | Cause::Closed) {
                return Err(attempts.abandon(written, cause));
            }
            if let Verdict::GiveUp(error) = attempts.failed(written, cause.clone(), now()) {
                return Err(error);
            }
            if written > Written::Nothing && !self.lock().retries.may_retry(now()) {
                return Err(attempts.error(cause));
            }
            match reconnect.failed(rand::random()) {
                Ok(again) => {
                    (self.watcher)(Event::Lost { cause: cause.clone(), again });
                    self.pause(attempts.ends().min(later(now(), again.after)));
                }
                Err(gave_up) => {
                    return Err(attempts.error(Cause::GaveUp { tries: gave_up.tries, last: Box::new(cause) }));
                }
            }
            last = cause;
        }
    }

    /// Opens a first connection, and keeps it: so a missing server is noticed before anything is asked.
    ///
    /// # Errors
    ///
    /// Its name has no address, or what the last one said.
    pub fn warm_up(&self) -> Result<(), net::Error> {
        let slot = self.lock().take();
        match slot {
            Some(Slot::Open(lease)) => self.open(lease, later(now(), self.config.connect_timeout)).map(drop),
            Some(Slot::Reuse { conn, lease, .. }) => {
                drop(Pooled::new(self, conn, lease));
                Ok(())
            }
            // It has as many as it may have.
            None => Ok(()),
        }
    }

    /// Ends at once: callers that wait for an answer or a connection are told so, and nothing more is sent. A caller
    /// that is just connecting is told when that has succeeded or failed, after [`Config::connect_timeout`] at the
    /// latest.
    pub fn close(&self) {
        let mut shared = self.lock();
        shared.closed = true;
        for (_, stream) in &shared.busy {
            // The error would mean that the peer has gone.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(shared);
        self.closed.notify_all();
        self.granted.notify_all();
    }

    /// One try, which the breaker hears of.
    fn try_once(&self, request: &Request, within: Duration) -> Result<String, (Written, Cause)> {
        let ends = now() + within;
        self.admit().map_err(|cause| (Written::Nothing, cause))?;
        let result = match self.checkout(within) {
            Ok(mut conn) => conn.ask(request, ends.saturating_duration_since(now())),
            Err(cause) => Err((Written::Nothing, cause)),
        };
        let mut shared = self.lock();
        // A request that failed after the end was not wanted any more.
        let result = if shared.closed { result.map_err(|(written, _)| (written, Cause::Closed)) } else { result };
        let changed = match (&result, &mut shared.breaker) {
            (_, None) => None,
            (Ok(_), Some(breaker)) => breaker.success(now()),
            (Err((_, cause)), Some(breaker)) if cause.blame() == Blame::Policy => {
                breaker.cancel_trial();
                None
            }
            (Err(_), Some(breaker)) => breaker.failure(now()),
        };
        shared.half_open &= changed.is_none();
        drop(shared);
        if let Some(state) = changed {
            (self.watcher)(Event::Breaker(state));
        }
        result
    }

    /// Waits, unless the pool is closed meanwhile.
    fn pause(&self, until: Instant) {
        let mut shared = self.lock();
        while !shared.closed {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return;
            }
            shared = self.closed.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn admit(&self) -> Result<(), Cause> {
        let now = now();
        let mut shared = self.lock();
        if shared.closed {
            return Err(Cause::Closed);
        }
        let Some(breaker) = &mut shared.breaker else { return Ok(()) };
        match breaker.admit(now) {
            Admit::No { retry_at } => Err(Cause::BreakerOpen { retry_in: retry_at.saturating_duration_since(now) }),
            Admit::Trial if !std::mem::replace(&mut shared.half_open, true) => {
                drop(shared);
                (self.watcher)(Event::Breaker(BreakerState::HalfOpen));
                Ok(())
            }
            Admit::Yes | Admit::Trial => Ok(()),
        }
    }

    /// The counts of the pool: events so far, and connections now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lock().pool.stats()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing in here can panic halfway through a change.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionPool").field("to", &self.to).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn now() -> Instant {
    clock::now().instant
}
