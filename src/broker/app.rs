//! The broker as an application of an event loop: packets go from connections into the core, its output to connections, its records to the
//! thread that writes them.
//!
//! ```text
//!   received ─▶ Client: whole packets ─▶ Core ─▶ records ──▶ journal
//!                                          ╰─▶ output  ──▶ cx.send          stored(n), verdicts: woken
//! ```
//!
//! One thread has all of it, as in the brokers that most people run: a message is routed without a lock, and what a connection is sent
//! in one call leaves with one system call. Disk and passwords are the work of other threads.

mod bridge;
mod ending;
mod events;

use super::{
    client::{Client, Next, Phase},
    core::{Accepted, Arrival, Core, Refusal, Stop, refuse},
    password::{Ask, Verdict},
    record::Record,
    shared::Shared,
    users::Users,
};
use crate::{
    app::{ConnId, Cx, TimerKey},
    buf::Output,
    mqtt::{Connect, Frame, Packet, Reason, Text, Version, decode, decode_connect, encode, id},
};
use bytes::Bytes;
use std::{fmt, sync::Arc, time::Duration};

pub(crate) use bridge::Bridge;

/// Deadlines of the application itself.
const DUE: TimerKey = TimerKey::App(0);
const METRICS: TimerKey = TimerKey::App(1);

/// Where records go. `false`: nothing can be stored any more.
pub(crate) type Store = Box<dyn FnMut(Vec<Record>) -> bool + Send>;

/// The settings of a broker's application.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// How long a CONNECT may take.
    pub(crate) connect: Duration,
    /// How often metrics are published; zero: never.
    pub(crate) metrics: Duration,
    /// Those who may connect.
    pub(crate) users: Arc<Users>,
    /// Makes client identifiers that no one can guess.
    pub(crate) identifier: fn() -> String,
}

/// The application.
pub struct Broker {
    core: Core,
    config: Config,
    /// By [`ConnId::index`].
    clients: Vec<Option<Client>>,
    /// Connections that are not read, and may have to be again.
    paused: Vec<ConnId>,
    /// Connections whose last answers wait for the disk.
    leaving: Vec<ConnId>,
    store: Store,
    shared: Arc<Shared>,
    started: Option<crate::time::Instant>,
    received: u64,
    sent: u64,
    draining: bool,
    /// The disk takes nothing.
    fails: bool,
    bridge: Option<Bridge>,
}

/// Everything that a broker has, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Their names say it.
pub struct Census {
    pub connections: usize,
    pub connected: usize,
    pub sessions: usize,
    pub subscriptions: usize,
    pub retained: usize,
    /// Messages of QoS 1 and 2 that wait for a session's turn.
    pub waiting: usize,
    /// Messages of QoS 1 and 2 that are on their way.
    pub inflight: usize,
    pub queued_bytes: usize,
    /// Messages that wait for the session that has the most.
    pub longest_queue: usize,
    /// Bytes of records that are not stored.
    pub unwritten_bytes: usize,
    /// Messages that were dropped since the start.
    pub dropped: u64,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("census", &self.census()).finish_non_exhaustive()
    }
}

impl Broker {
    /// Everything that it has now.
    #[must_use]
    pub fn census(&self) -> Census {
        let numbers = self.core.numbers();
        Census {
            connections: self.clients.iter().flatten().count(),
            connected: numbers.connected,
            sessions: numbers.connected + numbers.away,
            subscriptions: numbers.subscriptions,
            retained: numbers.retained,
            waiting: numbers.waiting,
            inflight: numbers.inflight,
            queued_bytes: numbers.queued_bytes,
            longest_queue: numbers.longest_queue,
            unwritten_bytes: numbers.unwritten_bytes,
            dropped: numbers.counts.dropped,
        }
    }

    pub(crate) fn new(core: Core, config: Config, store: Store, shared: Arc<Shared>) -> Self {
        let (clients, paused, leaving) = (Vec::new(), Vec::new(), Vec::new());
        let (started, received, sent, draining, fails, bridge) = (None, 0, 0, false, false, None);
        Self { core, config, clients, paused, leaving, store, shared, started, received, sent, draining, fails, bridge }
    }

    fn client(&mut self, conn: ConnId) -> Option<&mut Client> {
        self.clients.get_mut(conn.index())?.as_mut().filter(|client| client.conn == conn)
    }

    /// Hears all whole packets of a connection, as long as it may be heard.
    fn hear(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(client) = self.client(conn) else { return };
        if client.tail.is_empty() {
            let rest = self.packets(cx, conn, input);
            if let Some(client) = self.client(conn) {
                client.tail.extend_from_slice(rest);
            }
        } else {
            client.tail.extend_from_slice(input);
            self.go_on(cx, conn);
        }
    }

    /// Hears what waits in a connection's tail.
    fn go_on(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.client(conn) else { return };
        let tail = std::mem::take(&mut client.tail);
        let rest = self.packets(cx, conn, &tail).len();
        let Some(client) = self.client(conn) else { return };
        if rest == tail.len() {
            client.tail = tail;
        } else {
            client.tail = tail[tail.len() - rest..].to_vec();
        }
    }

    /// Returns what was not heard.
    fn packets<'i>(&mut self, cx: &mut Cx, conn: ConnId, mut input: &'i [u8]) -> &'i [u8] {
        let most = self.core.limits().packet;
        loop {
            let Some(client) = self.client(conn) else { return &[] };
            if matches!(client.phase, Phase::Leaving(_)) {
                return &[];
            }
            let (key, is_greeting) = (client.key(), matches!(client.phase, Phase::Greeting));
            let has_to_wait = self.has_to_wait(conn);
            let Some(client) = self.client(conn) else { return &[] };
            if has_to_wait {
                if !std::mem::replace(&mut client.is_paused, true) {
                    cx.set_reading(conn, false);
                    self.paused.push(conn);
                }
                return input;
            }
            let (frame, body) = match client.next(input, most) {
                Ok(Next::Partial) => return input,
                Ok(Next::Whole(frame, body)) => (frame, body),
                Err(error) => {
                    self.end(cx, conn, error);
                    return &[];
                }
            };
            input = &input[frame.len()..];
            match key {
                None if is_greeting => self.greeted(cx, conn, frame, body),
                None => self.connect(cx, conn, body),
                Some(_) => self.packet(cx, conn, frame, body),
            }
        }
    }

    fn packet(&mut self, cx: &mut Cx, conn: ConnId, frame: Frame, body: Bytes) {
        let Some(Client { phase: Phase::Open { key, version, .. }, .. }) = self.client(conn) else { return };
        let (key, version) = (*key, *version);
        let done = match decode(frame, body, version) {
            Ok(packet) => {
                let packet = if self.is_bridge(conn) { self.of_bridge(cx, conn, packet) } else { Some(packet) };
                let Some(packet) = packet else { return };
                self.core.packet(key, packet, cx.clock())
            }
            Err(error) => Err(Stop::Error(error)),
        };
        match done {
            Ok(()) => {}
            Err(Stop::Error(error)) => self.end(cx, conn, error),
            Err(Stop::Goodbye) => self.part(cx),
        }
    }

    /// A client's first packet.
    fn connect(&mut self, cx: &mut Cx, conn: ConnId, body: Bytes) {
        let connect = match decode_connect(body) {
            Ok(connect) => connect,
            Err(failed) => {
                let refusal = Refusal { reason: failed.error.reason, why: failed.error.rule };
                return self.refuse(cx, conn, (failed.version, usize::MAX), refusal);
            }
        };
        if let Err(refusal) = Core::check(&connect) {
            return self.refuse(cx, conn, takes(&connect), refusal);
        }
        if self.fails && Core::needs_disk(&connect) {
            // Its CONNACK would wait for the disk; this way it knows, and may go elsewhere.
            let why = "the disk takes nothing just now: try again later";
            return self.refuse(cx, conn, takes(&connect), Refusal { reason: Reason::SERVER_UNAVAILABLE, why });
        }
        let ask = match self.config.users.ask(connect.user_name.as_deref(), connect.password.as_ref()) {
            Ok(None) => return self.let_in(cx, conn, connect),
            Ok(Some(ask)) => ask,
            Err(refusal) => return self.refuse(cx, conn, takes(&connect), refusal),
        };
        self.check(cx, conn, connect, ask);
    }

    /// Has a password looked at, on another thread.
    fn check(&mut self, cx: &mut Cx, conn: ConnId, connect: Connect, ask: Ask) {
        let takes = takes(&connect);
        if let Some(client) = self.client(conn) {
            client.phase = Phase::Checking(Box::new(connect));
        }
        if !self.shared.ask(conn, ask) {
            let why = "too many others log in just now: try again";
            self.refuse(cx, conn, takes, Refusal { reason: Reason::SERVER_BUSY, why });
        }
    }

    /// The answer to [`Broker::check`].
    fn judged(&mut self, cx: &mut Cx, conn: ConnId, verdict: Verdict) {
        let Some(client) = self.client(conn) else { return };
        let Phase::Checking(connect) = std::mem::replace(&mut client.phase, Phase::New) else { return };
        match verdict {
            Verdict::Right => self.let_in(cx, conn, *connect),
            Verdict::Wrong => {
                let why = "user name or password is wrong";
                let refusal = Refusal { reason: Reason::BAD_USER_NAME_OR_PASSWORD, why };
                self.refuse(cx, conn, takes(&connect), refusal);
            }
        }
    }

    fn let_in(&mut self, cx: &mut Cx, conn: ConnId, connect: Connect) {
        let (version, takes) = (connect.version, takes(&connect));
        let assigned = Text::from(&*(self.config.identifier)());
        let client_id = if connect.client_id.is_empty() { &assigned } else { &connect.client_id };
        let rights = self.config.users.rights(connect.user_name.as_deref(), client_id);
        match self.core.connect(Arrival { conn, connect, rights, assigned }, cx.clock()) {
            Ok(Accepted { key, keep_alive }) => {
                let patience = (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1500));
                if let Some(client) = self.client(conn) {
                    client.phase = Phase::Open { key, version, patience };
                    let heard = client.heard;
                    cx.set_deadline(TimerKey::Conn(conn), patience.map(|patience| heard + patience));
                }
            }
            Err(refusal) => self.refuse(cx, conn, takes, refusal),
        }
    }

    /// Ends a connection that has no session, with the refusal in the words of its version if that is known.
    fn refuse(&mut self, cx: &mut Cx, conn: ConnId, (version, most): (Option<Version>, usize), refusal: Refusal) {
        let peer = self.client(conn).map(|client| client.peer);
        tracing::debug!(?peer, "not let in: {}", refusal.why);
        self.core.counts.refused += 1;
        self.forget(conn);
        if let Some(version) = version {
            let mut bytes = Vec::new();
            encode(&Packet::ConnAck(refuse(version, most, refusal)), version, &mut bytes);
            self.sent += bytes.len() as u64;
            cx.send(conn, bytes);
        }
        cx.close(conn);
    }

    /// A connection is there.
    fn enter(&mut self, cx: &mut Cx, client: Client) {
        let conn = client.conn;
        if self.clients.len() <= conn.index() {
            self.clients.resize_with(conn.index() + 1, || None);
        }
        self.clients[conn.index()] = Some(client);
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.config.connect));
    }

    fn forget(&mut self, conn: ConnId) {
        if self.client(conn).is_some() {
            self.clients[conn.index()] = None;
        }
    }

    fn send(&mut self, cx: &mut Cx, conn: ConnId, mut output: Output) {
        self.sent += output.len() as u64;
        while let Some(piece) = output.pop() {
            cx.send(conn, piece);
        }
    }

    /// After each call: records go to the disk, output to connections, and those may be heard that had to wait.
    fn settle(&mut self, cx: &mut Cx) {
        loop {
            let mut records = Vec::new();
            self.core.take_records(&mut records);
            if !records.is_empty() && !(self.store)(records) {
                // The log has said why. Without it nothing can be acknowledged any more.
                self.shared.fail();
            }
            self.part(cx);
            while let Some((conn, output)) = self.core.take_output() {
                self.send(cx, conn, output);
            }
            if !self.resume(cx) {
                break;
            }
        }
        self.tend_bridge(cx);
        if self.core.is_starved() {
            cx.call_again();
        }
        let clock = cx.clock();
        let due = self
            .core
            .next_due()
            .map(|at| clock.instant + Duration::from_millis(at.saturating_sub(super::message::millis(clock))));
        cx.set_deadline(DUE, due);
    }

    /// Hears those again that had to wait, if they need not any more. Returns whether one was heard.
    fn resume(&mut self, cx: &mut Cx) -> bool {
        let mut any = false;
        for conn in std::mem::take(&mut self.paused) {
            if self.client(conn).is_none_or(|client| matches!(client.phase, Phase::Leaving(_))) {
                continue;
            }
            if self.has_to_wait(conn) {
                self.paused.push(conn);
                continue;
            }
            if let Some(client) = self.client(conn) {
                client.is_paused = false;
            }
            cx.set_reading(conn, true);
            self.go_on(cx, conn);
            self.end_if_heard_out(cx, conn);
            any = true;
        }
        any
    }

    /// Whether a connection is not to be heard for now.
    fn has_to_wait(&self, conn: ConnId) -> bool {
        match self.clients.get(conn.index()) {
            Some(Some(Client { phase: Phase::Checking(_), .. })) => true,
            Some(Some(Client { phase: Phase::Open { key, .. }, .. })) => self.core.has_to_wait(*key),
            _ => false,
        }
    }
}

/// The version and the longest packet that a client takes.
fn takes(connect: &Connect) -> (Option<Version>, usize) {
    let most = connect.properties.number(id::MAXIMUM_PACKET_SIZE).map_or(usize::MAX, |most| most as usize);
    (Some(connect.version), most)
}
