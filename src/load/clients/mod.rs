//! The clients of one thread, as an application: they connect, ask, judge the answers, and ask again.
//!
//! ```text
//!          connect               greeting, if any               request
//!   Down ──────────▶ Connecting ──────────────────▶ Up ─────────────────────┐
//!    ▲                                               ▲ ╰── answer ◀── wait ──╯
//!    ╰── end, error, timeout ── Leaving ◀── last answer of this connection
//! ```
//!
//! A client has as many *slots* as requests may be under way on its connection (`--pipeline`, `--streams`). A slot is taken from a
//! request's start to its end; the loop decides which request takes a free one. Closed: the client's next one, at once.
//! Open: the next one that is due, and it goes to the client that has been idle for longest, so that all connections
//! stay in use. Slots beyond the number of streams that an HTTP/2 server allows are *parked*.
//!
//! | file | question |
//! |---|---|
//! | `mod` | when does a request start, and on which connection? |
//! | `ends` | what follows when one ends, or its connection does? |
//! | `streams` | what is different where requests have streams of their own? |
//! | `sealed` | what is different with TLS? |
//! | `events` | what does the driver say, and what follows? |

mod client;
mod ends;
mod events;
mod sealed;
mod streams;
#[cfg(test)]
mod tests;

pub(super) use client::{Control, Orders};

use super::{Record, Timeline, schedule::Schedule, talk::Sent};
use crate::{
    app::{ConnId, Cx, TimerKey},
    buf::Output,
    time::Instant,
};
use client::{Asked, Client, Phase};
use std::{
    collections::VecDeque,
    sync::{Arc, mpsc::Sender},
};

/// How many connections are begun at once before the start. More than a listener's backlog holds would be dropped and
/// tried again by the kernel after a second.
const CONNECTING: usize = 64;

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
    dirty: Dirty,
    /// Frames on their way out; kept for its memory.
    frames: Output,
    /// Records as they are heard, and what is in them; kept for their memory.
    records: Vec<u8>,
    plain: Vec<u8>,
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
        now: Instant,
    ) -> Self {
        Self {
            clients: (0..orders.clients).map(|_| Client::new(&orders, now)).collect(),
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
            dirty: Dirty::default(),
            frames: Output::new(),
            records: Vec::new(),
            plain: Vec::new(),
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
        let now = (self.clock)(cx);
        self.clients[index].connect(&self.orders, conn, now);
        cx.set_deadline(TimerKey::Conn(conn), Some(now + self.orders.timeout));
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
        let Orders { clients, slots, .. } = self.orders;
        let slots = (0..slots).flat_map(|_| 0..clients);
        match self.orders.rate {
            None => {
                let now = (self.clock)(cx);
                for index in slots {
                    self.fill(cx, index, now);
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
            && let Some(index) = free.front().copied()
        {
            let client = &mut self.clients[index];
            if !client.has_room() {
                client.parked += 1;
                free.pop_front();
                continue;
            }
            let Some(intended) = schedule.take_due(now) else {
                cx.set_deadline(TimerKey::ALARM, schedule.next_due());
                return;
            };
            free.pop_front();
            self.ask(cx, index, intended, now);
        }
    }

    /// A slot of the closed loop is free: its next request starts, if the server allows it.
    fn fill(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        if self.clients[index].has_room() {
            self.ask(cx, index, now, now);
        } else {
            self.clients[index].parked += 1;
        }
    }

    /// A request starts, in a free slot of this client.
    fn ask(&mut self, cx: &mut Cx, index: usize, intended: Instant, now: Instant) {
        if self.line.is_some_and(|line| line.covers(intended)) {
            self.record.started += 1;
        }
        let client = &mut self.clients[index];
        client.waiting.push_back(Asked { intended, started: now, stream: 0 });
        client.unsent += 1;
        client.busy += 1;
        let Some(conn) = client.conn else { return self.connect(cx, index) };
        if client.phase == Phase::Up {
            self.send_waiting(cx, index, now);
        }
        let client = &mut self.clients[index];
        if !client.armed {
            client.armed = true;
            cx.set_deadline(TimerKey::Conn(conn), Some(now + self.orders.timeout));
        }
    }

    /// Requests may be sent on this connection: those that wait for it are.
    fn up(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        self.clients[index].phase = Phase::Up;
        self.send_waiting(cx, index, now);
    }

    /// Sends the requests that wait, as many as the connection takes.
    fn send_waiting(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        while client.unsent > 0 {
            match client.talk.ask(&self.orders.script) {
                Sent::Whole(bytes) => client.say(cx, bytes),
                Sent::Stream(stream) => {
                    let at = client.waiting.len() - client.unsent;
                    client.waiting[at].stream = stream;
                    self.dirty.note(client, index);
                }
                Sent::NoRoom => return,
                Sent::Spent => return self.leave(cx, index, now),
            }
            client.unsent -= 1;
        }
    }
}

/// Clients that have frames to send. They send them when all of an event is heard, so that the frames of many requests leave together.
#[derive(Debug, Default)]
struct Dirty(Vec<usize>);

impl Dirty {
    fn note(&mut self, client: &mut Client, index: usize) {
        if !std::mem::replace(&mut client.dirty, true) {
            self.0.push(index);
        }
    }
}
