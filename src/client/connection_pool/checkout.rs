//! Whose turn it is, and on which connection.

use super::{
    ConnectionPool, Pooled, SERVER,
    exchange::is_quiet,
    now,
    shared::{Conn, Idle, Shared, Slot},
};
use crate::{
    client::{Cause, server::cause_of},
    net,
    pool::{BackendSet, Checkin, Lease},
};
use std::{
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

impl ConnectionPool {
    /// A connection of one's own, kept or new, after waiting in line if there are too many.
    ///
    /// # Errors
    ///
    /// None could be opened, the line is full, or the time is over.
    pub fn checkout(&self, within: Duration) -> Result<Pooled<'_>, Cause> {
        let ends = now() + within;
        loop {
            match self.slot(ends)? {
                // A dead one has told: its end, or bytes that nobody asked for, wait to be read.
                Slot::Reuse(conn, lease) if !is_quiet(&conn.stream) => self.ended(lease, conn),
                Slot::Reuse(conn, lease) => return Ok(Pooled::new(self, conn, lease)),
                Slot::Open(lease) => return self.open(lease, ends).map_err(|error| cause_of(&error)),
            }
        }
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
        if let Some(slot) = shared.take() {
            return Ok(slot);
        }
        let ticket = shared.next_ticket;
        shared.next_ticket = ticket.wrapping_add(1);
        let began = now();
        shared.pool.wait(ticket, all(), began).map_err(|_| Cause::QueueFull)?;
        let ends = ends.min(began + self.queue_timeout);
        loop {
            if let Some(slot) = shared.ready.remove(&ticket) {
                return Ok(slot);
            }
            let left = ends.saturating_duration_since(now());
            if left.is_zero() {
                shared.pool.cancel(ticket);
                // What it was granted at this moment goes to the next.
                let mut closing = Vec::new();
                shared.pool.woken(&mut closing);
                closing.into_iter().for_each(|key| drop(shared.idle.try_remove(key)));
                self.serve_line(shared);
                return Err(Cause::TimedOut);
            }
            shared = self.granted.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives what is free to those who wait longest. The lock is let go.
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
