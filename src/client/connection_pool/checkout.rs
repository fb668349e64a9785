//! Checkout: which caller's turn it is, on which connection, and whether a live server is at its other end.

use super::{
    ConnectionPool, Pooled, SERVER,
    exchange::is_quiet,
    now,
    shared::{Conn, Idle, Shared, Slot},
};
use crate::{
    client::{Cause, server::cause_of},
    net,
    pool::{BackendSet, Checkin, Client, Lease},
    resilience::later,
    time::Instant,
};
use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

impl ConnectionPool {
    /// A connection of one's own, kept or new, after waiting in line if there are too many.
    ///
    /// # Errors
    ///
    /// None could be opened, the server does not answer on it, the line is full, the time is over, or the pool is
    /// closed.
    pub fn checkout(&self, within: Duration) -> Result<Pooled<'_>, Cause> {
        let ends = later(now(), within);
        loop {
            match self.slot(ends)? {
                // A dead one shows it: its end, or bytes without a request, wait to be read.
                Slot::Reuse { conn, lease, .. } if !is_quiet(&conn.stream) => self.ended(lease, conn),
                Slot::Reuse { conn, lease, idle_for } => {
                    let mut conn = Pooled::new(self, conn, lease);
                    match self.prove(&mut conn, Some(idle_for), ends) {
                        // It broke when it was asked, with nothing risked on it: the next one may be better.
                        Err(Cause::Ended | Cause::Broken(_) | Cause::Protocol(_)) => {}
                        proven => return proven.map(|()| conn),
                    }
                }
                Slot::Open(lease) => {
                    let mut conn = self.open(lease, ends).map_err(|error| cause_of(&error))?;
                    self.prove(&mut conn, None, ends)?;
                    return Ok(conn);
                }
            }
        }
    }

    /// Asks whether the server is there, if that is in doubt, before a request is risked on a connection.
    fn prove(&self, conn: &mut Pooled<'_>, idle_for: Option<Duration>, ends: Instant) -> Result<(), Cause> {
        let Some(heartbeat) = self.config.heartbeat else { return Ok(()) };
        let idled = idle_for.is_some_and(|idle_for| idle_for >= heartbeat.interval);
        if !idled && !self.lock().doubted {
            return Ok(());
        }
        let by = later(now(), heartbeat.timeout);
        match conn.beat(by.min(ends)) {
            // If the caller's own time ended first, a missing answer says nothing about the server.
            Err(Cause::TimedOut) if by <= ends => {
                self.doubt();
                Err(Cause::Silent)
            }
            beat => beat,
        }
    }

    /// The peer is silent: nothing that idles is better, and what is opened now may reach a kernel without a process.
    fn doubt(&self) {
        let mut shared = self.lock();
        shared.doubted = true;
        let mut closing = Vec::new();
        shared.pool.retire(SERVER, &mut closing);
        closing.into_iter().for_each(|key| drop(shared.idle.try_remove(key)));
        self.serve_line(shared);
    }

    pub(super) fn open(&self, lease: Lease, ends: Instant) -> Result<Pooled<'_>, net::Error> {
        let within = ends.saturating_duration_since(now()).min(self.config.connect_timeout);
        match self.to.connect(within) {
            Ok((_, stream)) => Ok(Pooled::new(self, Conn::new(stream), lease)),
            Err(error) => {
                let mut shared = self.lock();
                shared.pool.ended(lease);
                self.serve_line(shared);
                Err(error)
            }
        }
    }

    /// A connection or the right to open one, now or when it is our turn.
    fn slot(&self, ends: Instant) -> Result<Slot, Cause> {
        let mut shared = self.lock();
        if shared.closed {
            return Err(Cause::Closed);
        }
        if let Some(slot) = shared.take() {
            return Ok(slot);
        }
        let ticket = shared.next_ticket;
        shared.next_ticket = ticket.wrapping_add(1);
        let began = now();
        shared.pool.wait(ticket, Client::OURSELVES, all(), began).map_err(|_| Cause::QueueFull)?;
        let ends = ends.min(later(began, self.queue_timeout));
        loop {
            if let Some(slot) = shared.ready.remove(&ticket) {
                return Ok(slot);
            }
            let left = ends.saturating_duration_since(now());
            if shared.closed || left.is_zero() {
                let cause = if shared.closed { Cause::Closed } else { Cause::NoneFree };
                shared.pool.cancel(ticket);
                // A slot that it was granted at this moment goes to the next caller.
                let mut closing = Vec::new();
                shared.pool.woken(&mut closing);
                closing.into_iter().for_each(|key| drop(shared.idle.try_remove(key)));
                self.serve_line(shared);
                return Err(cause);
            }
            shared = self.granted.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives free connections to the callers that wait longest. Releases the lock.
    fn serve_line(&self, mut shared: MutexGuard<'_, Shared>) {
        while let Some(granted) = shared.pool.granted() {
            match shared.take() {
                Some(slot) => drop(shared.ready.insert(granted.ticket, slot)),
                None => shared.pool.wait_again(granted, all()),
            }
        }
        drop(shared);
        self.granted.notify_all();
    }

    pub(super) fn ended(&self, lease: Lease, conn: Conn) {
        drop(conn);
        let mut shared = self.lock();
        shared.pool.ended(lease);
        self.serve_line(shared);
    }

    pub(super) fn checkin(&self, lease: Lease, conn: Conn) {
        let mut shared = self.lock();
        let now = now();
        shared.sweep(now);
        let key = shared.idle.insert(Idle { conn, until: None });
        match shared.pool.checkin(key, lease, now) {
            Checkin::Kept { until } => shared.idle[key].until = until,
            Checkin::Close(_) => drop(shared.idle.remove(key)),
        }
        self.serve_line(shared);
    }
}

fn all() -> BackendSet {
    let mut all = BackendSet::new();
    all.insert(SERVER);
    all
}
