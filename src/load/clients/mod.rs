//! The clients of one thread, as an application: they connect, ask, judge the answers, and ask again.
//!
//! ```text
//!          connect               greeting, if any               request
//!   Down ──────────▶ Connecting ──────────────────▶ Up ─────────────────────┐
//!    ▲                                               ▲ ╰── answer ◀── wait ──╯
//!    ╰── end, error, timeout ── Leaving ◀── last answer of this connection
//! ```
//!
//! A client has as many *slots* as requests may be under way on its connection (`--pipeline`). A slot is taken from a
//! request's start to its end; the loop decides which request takes a free one. Closed: the client's next one, at once.
//! Open: the next one that is due, and it goes to the client that has been idle for longest, so that all connections
//! stay in use.

mod client;
mod events;
#[cfg(test)]
mod tests;

pub(super) use client::{Control, Orders};

use super::{Kind, Record, Timeline, schedule::Schedule};
use crate::app::{ConnId, Cx, TimerKey};
use client::{Asked, Client, Phase};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

/// How many connections are begun at once before the start. More than a listener's backlog holds would be dropped and
/// tried again by the kernel after a second.
const CONNECTING: usize = 64;
/// Before the next attempt of a client whose connection brought no good answer. Without it a server that refuses would be
/// asked again as fast as it can refuse, and that is no client's behaviour.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a server may take to close after its last answer. Else we close.
const LEAVING: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum Pace {
    Closed,
    /// Free slots, the longest free one first.
    Open {
        schedule: Schedule,
        free: VecDeque<usize>,
    },
}

/// All clients of a thread.
#[derive(Debug)]
pub(super) struct Clients {
    orders: Orders,
    clients: Vec<Client>,
    /// Client of each connection, by index.
    by_conn: Vec<usize>,
    record: Record,
    control: Arc<Control>,
    line: Option<Timeline>,
    pace: Pace,
    /// Clients that have not begun to connect before the start, and those that are at it.
    unconnected: usize,
    connecting: usize,
    ready: Option<Sender<()>>,
    finishing: bool,
    clock: fn(&Cx) -> Instant,
}

impl Clients {
    /// Clients that connect at once, say so through `ready`, and begin when they are woken with a timeline. `clock` is read
    /// at each answer.
    pub(super) fn new(
        orders: Orders,
        record: Record,
        control: Arc<Control>,
        ready: Sender<()>,
        clock: fn(&Cx) -> Instant,
    ) -> Self {
        Self {
            clients: (0..orders.clients).map(|_| Client::new(&orders)).collect(),
            by_conn: Vec::new(),
            record,
            control,
            line: None,
            pace: Pace::Closed,
            unconnected: if orders.keep_alive { orders.clients } else { 0 },
            connecting: 0,
            ready: Some(ready),
            finishing: false,
            clock,
            orders,
        }
    }

    /// The counts and times of all clients.
    pub(super) fn into_record(self) -> Record {
        self.record
    }

    fn index_of(&self, conn: ConnId) -> Option<usize> {
        let index = *self.by_conn.get(conn.index())?;
        (self.clients[index].conn == Some(conn)).then_some(index)
    }

    /// Opens the next connections before the start. When all have come to something, says so.
    fn connect_ahead(&mut self, cx: &mut Cx) {
        while self.unconnected > 0 && self.connecting < CONNECTING {
            let index = self.orders.clients - self.unconnected;
            self.unconnected -= 1;
            // One that has begun meanwhile has connected by itself.
            if self.clients[index].phase == Phase::Down {
                self.connecting += 1;
                self.connect(cx, index);
            }
        }
        if self.unconnected == 0
            && self.connecting == 0
            && let Some(ready) = self.ready.take()
        {
            // The receiver is gone if the run was given up.
            let _ = ready.send(());
        }
    }

    fn connect(&mut self, cx: &mut Cx, index: usize) {
        let conn = cx.connect(self.orders.to);
        if self.by_conn.len() <= conn.index() {
            self.by_conn.resize(conn.index() + 1, usize::MAX);
        }
        self.by_conn[conn.index()] = index;
        let client = &mut self.clients[index];
        client.conn = Some(conn);
        client.phase = Phase::Connecting;
        client.talk = self.orders.script.talk();
        client.fruitful = false;
        client.bulk = false;
        client.armed = true;
        cx.set_deadline(TimerKey::Conn(conn), Some((self.clock)(cx) + self.orders.timeout));
    }

    /// The connection has come to something: if that was before the start, the next one may.
    fn settled(&mut self, cx: &mut Cx) {
        if self.ready.is_some() {
            self.connecting = self.connecting.saturating_sub(1);
            self.connect_ahead(cx);
        }
    }

    fn begin(&mut self, cx: &mut Cx, line: Timeline) {
        self.line = Some(line);
        let Orders { clients, pipeline, .. } = self.orders;
        let slots = (0..pipeline).flat_map(|_| 0..clients);
        match self.orders.rate {
            None => {
                let now = (self.clock)(cx);
                for index in slots {
                    self.ask(cx, index, now, now);
                }
            }
            Some(rate) => {
                let Orders { thread, threads, .. } = self.orders;
                let schedule = Schedule::new(line.begin, line.end, rate, thread, threads);
                self.pace = Pace::Open { schedule, free: slots.collect() };
                self.dispatch(cx);
            }
        }
    }

    /// Starts what is due, as long as clients are free; sees to being called again when the next one is due.
    fn dispatch(&mut self, cx: &mut Cx) {
        let now = (self.clock)(cx);
        while let Pace::Open { schedule, free } = &mut self.pace
            && !free.is_empty()
        {
            let Some(intended) = schedule.take_due(now) else {
                cx.set_deadline(TimerKey::ALARM, schedule.next_due());
                return;
            };
            let index = free.pop_front().expect("was looked at just now");
            self.ask(cx, index, intended, now);
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.finishing || self.line.is_some_and(|line| now >= line.end)
    }

    /// A request starts, in a free slot of this client.
    fn ask(&mut self, cx: &mut Cx, index: usize, intended: Instant, now: Instant) {
        if self.line.is_some_and(|line| line.covers(intended)) {
            self.record.started += 1;
        }
        let client = &mut self.clients[index];
        client.waiting.push_back(Asked { intended, started: now });
        client.busy += 1;
        let Some(conn) = client.conn else { return self.connect(cx, index) };
        if client.phase == Phase::Up {
            cx.send(conn, self.orders.script.request().clone());
            client.talk.asked(&self.orders.script);
        }
        if !client.armed {
            client.armed = true;
            cx.set_deadline(TimerKey::Conn(conn), Some(now + self.orders.timeout));
        }
    }

    /// Requests may be sent on this connection: those that wait for it are.
    fn up(&mut self, cx: &mut Cx, index: usize) {
        let client = &mut self.clients[index];
        client.phase = Phase::Up;
        let Some(conn) = client.conn else { return };
        for _ in 0..client.waiting.len() {
            cx.send(conn, self.orders.script.request().clone());
            client.talk.asked(&self.orders.script);
        }
    }

    /// The oldest request of a client has come to its end.
    fn judge(&mut self, index: usize, verdict: Result<(), Kind>, now: Instant) {
        let client = &mut self.clients[index];
        let (Some(asked), Some(line)) = (client.waiting.pop_front(), self.line) else { return };
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
    fn freed(&mut self, cx: &mut Cx, index: usize, count: u32, now: Instant) {
        let over = self.is_over(now);
        let client = &mut self.clients[index];
        client.busy -= count;
        match &mut self.pace {
            _ if over => {
                if self.finishing && client.busy == 0 {
                    self.close(cx, index);
                }
            }
            Pace::Closed => (0..count).for_each(|_| self.ask(cx, index, now, now)),
            Pace::Open { free, .. } => {
                free.extend((0..count).map(|_| index));
                self.dispatch(cx);
            }
        }
    }

    /// Ends a connection on which nothing is under way.
    fn close(&mut self, cx: &mut Cx, index: usize) {
        let client = &mut self.clients[index];
        client.phase = Phase::Down;
        client.armed = false;
        if let Some(conn) = client.conn.take() {
            cx.hang_up(conn);
        }
    }

    /// The server has answered for the last time on this connection.
    fn leave(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        client.phase = Phase::Leaving;
        client.armed = true;
        // Its free slots are free again on the next connection: a request on this one would not be heard.
        if client.busy < self.orders.pipeline
            && let Pace::Open { free, .. } = &mut self.pace
        {
            free.retain(|slot| *slot != index);
            client.busy = self.orders.pipeline;
        }
        if let Some(conn) = client.conn {
            cx.set_deadline(TimerKey::Conn(conn), Some(now + LEAVING));
        }
    }

    /// The connection is gone, and what was under way on it failed with it.
    fn lose(&mut self, cx: &mut Cx, index: usize, kind: Kind, now: Instant) {
        for _ in 0..self.clients[index].waiting.len() {
            self.judge(index, Err(kind), now);
        }
        let client = &mut self.clients[index];
        client.phase = Phase::Down;
        client.armed = false;
        if let Some(conn) = client.conn.take() {
            cx.abort(conn);
        }
        self.down(cx, index, now);
    }

    /// A client without connection takes up its slots again, if it had any.
    fn down(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        self.settled(cx);
        let (count, pause) = (self.clients[index].busy, !self.clients[index].fruitful);
        match (&self.pace, u32::try_from(index)) {
            (_, _) if count == 0 => {}
            (Pace::Closed, Ok(number)) if pause && !self.is_over(now) => {
                cx.set_deadline(TimerKey::App(number), Some(now + PAUSE));
            }
            _ => self.freed(cx, index, count, now),
        }
    }

    fn leave_all_unfinished(&mut self, now: Instant) {
        let Some(line) = self.line else { return };
        for asked in self.clients.iter_mut().flat_map(|client| client.waiting.drain(..)) {
            self.record.leave_unfinished(&line, asked.intended, now);
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
