//! A connection that was checked out.

use super::{Cause, ConnectionPool, Request, Written, exchange::exchange, now, shared::Conn};
use crate::{pool::Lease, resilience::later, time::Instant};
use std::{fmt, sync::Arc, time::Duration};

/// A connection for one request after the other. It goes back to the pool when this is dropped, unless something went
/// wrong with it.
pub struct Pooled<'p> {
    pool: &'p ConnectionPool,
    /// Both are there until it is dropped.
    held: Option<(Conn, Lease)>,
    /// Its place among the busy ones.
    key: usize,
    /// Every request on it was answered, and nothing else arrived.
    clean: bool,
}

impl<'p> Pooled<'p> {
    pub(super) fn new(pool: &'p ConnectionPool, conn: Conn, lease: Lease) -> Self {
        let key = pool.lock().busy.insert(Arc::clone(&conn.stream));
        Self { pool, held: Some((conn, lease)), key, clean: true }
    }

    /// Asks on this connection, once.
    ///
    /// # Errors
    ///
    /// How much of the request was written, and what came instead of an answer. The connection cannot be used again.
    pub fn ask(&mut self, request: &Request, within: Duration) -> Result<String, (Written, Cause)> {
        let answer = self.exchange(request.text(), later(now(), within));
        if let Some((conn, _)) = &mut self.held {
            conn.asked += 1;
        }
        answer
    }

    /// Asks whether the server is there. Any answer will do.
    pub(super) fn beat(&mut self, ends: Instant) -> Result<(), Cause> {
        self.exchange("HEARTBEAT", ends).map(drop).map_err(|(_, cause)| cause)
    }

    fn exchange(&mut self, command: &str, ends: Instant) -> Result<String, (Written, Cause)> {
        let Some((conn, _)) = self.held.as_mut().filter(|_| self.clean && !self.pool.lock().closed) else {
            return Err((Written::Nothing, Cause::Closed));
        };
        conn.number += 1;
        let result = exchange(&conn.stream, conn.number, command, ends);
        self.clean = result.is_ok();
        let mut shared = self.pool.lock();
        shared.doubted &= result.is_err();
        // Cut off from this side, it looks as if the server had ended it.
        result.map_err(|(written, cause)| (written, if shared.closed { Cause::Closed } else { cause }))
    }

    /// How many requests it has carried. 0: it is new.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.held.as_ref().map_or(0, |(conn, _)| conn.asked)
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        self.pool.lock().busy.remove(self.key);
        match self.held.take() {
            Some((conn, lease)) if self.clean => self.pool.checkin(lease, conn),
            Some((conn, lease)) => self.pool.ended(lease, conn),
            None => {}
        }
    }
}

impl fmt::Debug for Pooled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").field("clean", &self.clean).finish_non_exhaustive()
    }
}
