//! One [`Session`] per accepted connection, as an application: what an event-driven server runs.
//!
//! ```text
//!   accepted ──▶ factory ──▶ session ◀─── receive, expire ─── received, ended, expired
//!                               │
//!                               ├─ output ──▶ cx.send        not before the last of it was taken
//!                               └─ file ────▶ cx.send_file   likewise
//! ```
//!
//! Backpressure has one rule: while a byte of an answer waits in our memory or in a file, no more answers are fetched from the session
//! and nothing is read from the peer. So a peer that never reads costs what its session and one refused write hold.
//!
//! Fairness has one, too: after [`crate::session::ANSWERS`] answers to one peer, the others have their turn ([`Cx::call_again`]).
//!
//! An answer that a session has promised for a time ([`Session::promised`]) is sent by the driver's one exact deadline,
//! [`TimerKey::ALARM`]: it is set to the earliest promise of all sessions. Patience ends by the driver's coarse timers.
//!
//! Work of a session is computed on the spot ([`OnTheSpot`]), and that is the weakness of an event loop: until it is
//! done no other client is heard or answered, and no deadline passes. [`Sessions::computing`] sends it elsewhere.

mod calls;
mod running;

use super::{Traffic, work};
use crate::{
    app::{App, ConnId, Cx, Origin, Progress, TimerKey},
    buf::Unreadable,
    session::{Session, Work, Worked},
    time::{Instant, Now},
};
pub use calls::Calls;
use running::Running;
use std::{
    collections::{BTreeSet, VecDeque},
    io, mem,
    sync::Arc,
};

/// A place where work of sessions is computed.
pub trait Workshop {
    /// Takes work that the session of `conn` wants done: does it, or promises that [`Workshop::finished`] will tell of it.
    fn begin(&mut self, conn: ConnId, work: Work) -> Option<Worked>;
    /// Pieces of work that were promised and are over, each once. Asked after the driver was woken ([`App::woken`]).
    fn finished(&mut self) -> Vec<(ConnId, Worked)> {
        Vec::new()
    }
}

/// Computes on the thread of the event loop, while all clients on it wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTheSpot;

impl Workshop for OnTheSpot {
    fn begin(&mut self, _: ConnId, work: Work) -> Option<Worked> {
        Some(work::carry_out(work))
    }
}

/// Runs a session of its own for each connection that is accepted.
#[derive(Debug)]
pub struct Sessions<F, S, W = OnTheSpot> {
    factory: F,
    /// By [`ConnId::index`].
    running: Vec<Option<Running<S>>>,
    /// The promises of sessions, the earliest first: at most one of each session.
    promises: BTreeSet<(Instant, ConnId)>,
    traffic: Arc<Traffic>,
    workshop: W,
    /// Peers to which more answers are due than one visit gives.
    later: VecDeque<ConnId>,
    calls: Arc<Calls>,
}

/// Peers that get more answers in one turn, of those that wait for more.
const RESUMED: usize = 8;

impl<F, S> Sessions<F, S>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
{
    /// Sessions made by `factory`, which is told where the peer comes from and what time it is.
    pub fn new(factory: F) -> Self {
        let (promises, later) = (BTreeSet::new(), VecDeque::new());
        let calls = Arc::default();
        Self { factory, running: Vec::new(), promises, traffic: Arc::default(), workshop: OnTheSpot, later, calls }
    }
}

impl<F, S, W> Sessions<F, S, W>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
    W: Workshop,
{
    /// Has `workshop` compute what sessions want computed.
    pub fn computing<V: Workshop>(self, workshop: V) -> Sessions<F, S, V> {
        let Self { factory, running, promises, traffic, later, calls, .. } = self;
        Sessions { factory, running, promises, traffic, workshop, later, calls }
    }

    /// Counts what passes in `traffic`.
    #[must_use]
    pub fn counting(self, traffic: Arc<Traffic>) -> Self {
        Self { traffic, ..self }
    }

    /// Where other threads call its sessions. It has to be told how to wake the event loop.
    pub fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    /// Calls a session, then does what it wants.
    fn with(&mut self, cx: &mut Cx, conn: ConnId, call: impl FnOnce(&mut Running<S>, Now)) {
        let Some(slot) = self.running.get_mut(conn.index()) else { return };
        let Some(running) = slot.as_mut().filter(|running| running.conn == conn) else { return };
        call(running, cx.clock());
        if running.put_off {
            return; // Its place in `later` brings the rest.
        }
        let over = running.advance(cx, &self.traffic, &mut self.workshop).is_some();
        if running.put_off && !over {
            self.later.push_back(conn);
            cx.call_again();
        }
        let promised = if over { None } else { running.session.promised() };
        if promised != running.promised {
            let before = mem::replace(&mut running.promised, promised);
            self.promise(cx, conn, before, promised);
        }
        if over {
            self.running[conn.index()] = None;
        }
    }

    /// Puts one promise of a session in the place of another.
    fn promise(&mut self, cx: &mut Cx, conn: ConnId, before: Option<Instant>, now: Option<Instant>) {
        if let Some(at) = before {
            self.promises.remove(&(at, conn));
        }
        if let Some(at) = now {
            self.promises.insert((at, conn));
        }
        self.set_alarm(cx);
    }

    fn set_alarm(&self, cx: &mut Cx) {
        cx.set_deadline(TimerKey::ALARM, self.promises.first().map(|(at, _)| *at));
    }
}

impl<F, S, W> App for Sessions<F, S, W>
where
    F: FnMut(Origin, Now) -> S,
    S: Session,
    W: Workshop,
{
    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        let mut session = (self.factory)(origin, cx.clock());
        session.attach(&|| self.calls.waker(conn));
        if self.running.len() <= conn.index() {
            self.running.resize_with(conn.index() + 1, || None);
        }
        self.running[conn.index()] = Some(Running::new(session, conn));
        // It may speak first.
        self.with(cx, conn, |_, _| {});
    }

    fn connected(&mut self, _: &mut Cx, _: ConnId) {}

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.traffic.received(input.len());
        self.with(cx, conn, |running, now| running.session.receive(input, now));
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.with(cx, conn, |running, _| {
            if unsent < mem::replace(&mut running.unsent, unsent) {
                running.acknowledged = None;
                running.session.taken();
            }
        });
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        self.with(cx, conn, |running, now| {
            let before = running.acknowledged.replace(progress.acknowledged);
            if before.is_none_or(|before| before < progress.acknowledged) {
                running.session.taken();
            }
            running.session.expire(now);
        });
    }

    /// The client is not to blame for that.
    fn held_up(&mut self, cx: &mut Cx, conn: ConnId) {
        self.with(cx, conn, |running, now| {
            running.session.taken();
            running.session.expire(now);
        });
    }

    fn cut_short(&mut self, cx: &mut Cx, conn: ConnId, why: Unreadable) {
        self.traffic.cut();
        if cx.is_open(conn) {
            self.failed(cx, conn, why.kind());
        }
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        self.with(cx, conn, Running::end);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        tracing::debug!(?conn, %error, "connection failed");
        self.traffic.failed();
        let gone = self.running.get_mut(conn.index()).and_then(Option::take);
        if let Some(promised) = gone.and_then(|running| running.promised) {
            self.promise(cx, conn, Some(promised), None);
        }
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        let conn = match key {
            TimerKey::Conn(conn) => Some(conn),
            // One promise a call: the alarm is set to the next one, which may have passed, too.
            TimerKey::ALARM => self.promises.first().map(|(_, conn)| *conn),
            TimerKey::App(_) => None,
        };
        let Some(conn) = conn else { return };
        let running = self.running.get(conn.index()).and_then(Option::as_ref).filter(|running| running.conn == conn);
        if key != TimerKey::ALARM && running.is_some_and(|running| running.unsent > 0) {
            // Our own kernel may make it look late. The peer's kernel decides.
            cx.progress(conn);
        } else {
            self.with(cx, conn, |running, now| running.session.expire(now));
        }
        if key == TimerKey::ALARM {
            self.set_alarm(cx);
        }
    }

    fn woken(&mut self, cx: &mut Cx) {
        for (conn, worked) in self.workshop.finished() {
            self.with(cx, conn, |running, now| {
                running.working = false;
                running.session.worked(worked, now);
            });
        }
        for number in self.calls.take() {
            let running = self.running.get(calls::slot(number)).and_then(Option::as_ref);
            if let Some(conn) = running.map(|running| running.conn).filter(|conn| calls::number(*conn) == number) {
                self.with(cx, conn, |running, now| running.session.woken(now));
            }
        }
        for _ in 0..RESUMED.min(self.later.len()) {
            let Some(conn) = self.later.pop_front() else { break };
            self.with(cx, conn, |running, _| running.put_off = false);
        }
        if !self.later.is_empty() {
            cx.call_again();
        }
    }

    /// A session has no word for "come to an end" but the end of its input: what it has heard is answered, then it closes.
    fn drain(&mut self, cx: &mut Cx) {
        let conns: Vec<ConnId> = self.running.iter().flatten().map(|running| running.conn).collect();
        for conn in conns {
            self.with(cx, conn, Running::end);
        }
    }

    fn cut_off(&mut self, _: &mut Cx) {
        let clients = self.running.iter().flatten().count();
        if clients > 0 {
            tracing::warn!(clients, "cut off after the drain timeout");
        }
    }
}

#[cfg(test)]
mod tests;
