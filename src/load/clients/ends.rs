//! Ends: of a request, of a connection, of the run, and what each leaves to be done.

use super::{Clients, Pace, Phase};
use crate::{
    app::{Cx, TimerKey},
    load::Kind,
    time::Instant,
};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Before the next attempt of a client whose connection brought no good answer. Without it a server that refuses would be
/// asked again as fast as it can refuse, and that is no client's behaviour.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a server may take to close after its last answer. Else we close.
const LEAVING: Duration = Duration::from_secs(1);

/// How a connection is ended on which something was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// With a reset: nothing more is said.
    Abort,
    /// After the last words, which say what was wrong.
    Close,
}

impl Clients {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.finishing || self.line.is_some_and(|line| now >= line.end)
    }

    /// The request at this place of a client's list has come to its end.
    pub(super) fn judge(&mut self, index: usize, at: usize, verdict: Result<(), Kind>, now: Instant) {
        let client = &mut self.clients[index];
        let (Some(asked), Some(line)) = (client.take(at), self.line) else { return };
        match verdict {
            Ok(()) => {
                self.record.answer(&line, asked.intended, asked.started, now);
                // An answer that came when the others had left says nothing about what it is like while they are there.
                if now < line.end && !client.served {
                    client.served = true;
                    self.record.served += 1;
                }
                client.fruitful = true;
                bump(&self.control.answered);
            }
            Err(kind) => {
                self.record.fail(&line, asked.intended, kind, now);
                bump(&self.control.failed);
            }
        }
    }

    /// Frees `count` slots of a client whose connection goes on.
    pub(super) fn freed(&mut self, cx: &mut Cx, index: usize, count: u32, now: Instant) {
        let over = self.is_over(now);
        let client = &mut self.clients[index];
        client.busy -= count;
        match &mut self.pace {
            _ if over => {
                if self.finishing && client.busy == 0 {
                    self.close(cx, index, now);
                }
            }
            Pace::Closed => (0..count).for_each(|_| self.fill(cx, index, now)),
            Pace::Open { free, .. } => {
                free.extend((0..count).map(|_| index));
                self.dispatch(cx);
            }
        }
    }

    /// Ends a connection on which nothing is under way.
    pub(super) fn close(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        if self.clients[index].is_connected() {
            self.say_goodbye(cx, index, now);
            self.say_last(cx, index);
        }
        let client = &mut self.clients[index];
        client.phase = Phase::Down;
        client.armed = false;
        if let Some(conn) = client.conn.take() {
            cx.hang_up(conn);
        }
    }

    /// The server has answered for the last time on this connection, or takes no more requests.
    pub(super) fn leave(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        client.phase = Phase::Leaving;
        client.armed = true;
        // Its free slots are free again on the next connection: a request on this one would not be heard.
        if client.busy < self.orders.slots {
            if let Pace::Open { free, .. } = &mut self.pace {
                free.retain(|slot| *slot != index);
                client.busy = self.orders.slots;
            }
            client.busy += std::mem::take(&mut client.parked).min(self.orders.slots - client.busy);
        }
        if let Some(conn) = client.conn {
            let due = client.oldest().map(|started| started + self.orders.timeout);
            cx.set_deadline(TimerKey::Conn(conn), Some(due.map_or(now + LEAVING, |due| due.min(now + LEAVING))));
        }
    }

    /// The connection is gone, and what was under way on it failed with it.
    pub(super) fn lose(&mut self, cx: &mut Cx, index: usize, kind: Kind, farewell: Farewell, now: Instant) {
        let client = &self.clients[index];
        // Requests that the server has handed back are sent again.
        let kept = if client.phase == Phase::Leaving { client.unsent } else { 0 };
        for _ in kept..client.waiting.len() {
            self.judge(index, 0, Err(kind), now);
        }
        if farewell == Farewell::Close {
            self.write_frames(cx, index, now);
        }
        let client = &mut self.clients[index];
        client.phase = Phase::Down;
        client.armed = false;
        if let Some(conn) = client.conn.take() {
            match farewell {
                Farewell::Abort => cx.abort(conn),
                Farewell::Close => cx.close(conn),
            }
        }
        self.down(cx, index, now);
    }

    /// A client without connection takes up its slots again, if it had any.
    pub(super) fn down(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        self.settled(cx);
        let client = &self.clients[index];
        let pause = !client.fruitful && !self.is_over(now);
        match (&self.pace, u32::try_from(index)) {
            (_, _) if client.busy == 0 => {}
            (Pace::Closed, Ok(number)) if pause => cx.set_deadline(TimerKey::App(number), Some(now + PAUSE)),
            // A fixed rate decides about new requests, but not about those that are sent again.
            (Pace::Open { .. }, Ok(number)) if pause && !client.waiting.is_empty() => {
                cx.set_deadline(TimerKey::App(number), Some(now + PAUSE));
            }
            _ => self.take_up(cx, index, now),
        }
    }

    /// Requests that may be sent again go on a new connection; the other slots are free.
    pub(super) fn take_up(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &self.clients[index];
        let again = client.waiting.len() as u32;
        let free = client.busy.saturating_sub(again);
        if again > 0 && client.conn.is_none() && !self.is_over(now) {
            self.connect(cx, index);
        }
        self.freed(cx, index, free, now);
    }

    pub(super) fn leave_all_unfinished(&mut self, now: Instant) {
        let Some(line) = self.line else { return };
        for client in &mut self.clients {
            client.unsent = 0;
            for asked in client.waiting.drain(..) {
                self.record.leave_unfinished(&line, asked.intended, now);
            }
        }
        // None of them begins again.
        if let Pace::Open { mut schedule, .. } = std::mem::replace(&mut self.pace, Pace::Closed) {
            // Requests that would have been due later were not missed.
            schedule.cut(now);
            self.record.never_sent = self.record.never_sent.saturating_add(schedule.left(line.measure));
        }
    }
}

/// Counts one. Threads that count at the same time may lose some: it is for a progress bar.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
