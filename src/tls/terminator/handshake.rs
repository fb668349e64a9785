//! From the accepted connection to one that the application hears of.
//!
//! A handshake costs as much as a hundred requests: a signature, a key agreement. Other connections must not wait for a burst of
//! them, so one turn of the event loop has [`HANDSHAKES`] of them, and the others wait in a queue, behind the news of all
//! connections that are open.

use super::{
    Terminator,
    link::{End, Link, Shaking, Stage},
    sending::Input,
};
use crate::{
    app::{Action, App, ConnId, Cx, Origin, TimerKey},
    time::Instant,
    tls::{Failure, session::Session},
};
use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

/// Handshakes that one turn of the event loop answers. One takes about 160 µs, and a turn without it a few: so another connection
/// waits for one of them at most, and even a loop that does nothing else loses little.
const HANDSHAKES: usize = 1;

/// Bytes of a peer's handshake, at most. A ClientHello has 300 to 2,000, a chain of certificates some thousands; a message may have
/// 64 KiB in all.
pub(super) const HANDSHAKE_MAX: usize = 64 * 1024;

/// How long the first words of a client may be on their way when the end has begun: a few round trips.
const MOMENT: Duration = Duration::from_secs(1);

/// Bytes that begin a record (RFC 8446 §5.1): its type, a version, its length.
const RECORD_HEAD: usize = 5;

/// The record type of a handshake.
const HANDSHAKE: u8 = 22;

/// The order in which handshakes have their turn.
#[derive(Debug)]
pub(super) struct Turns {
    /// Connections whose peer's hello waits.
    queue: VecDeque<ConnId>,
    /// The turn, by its time, and what is left of its handshakes.
    turn: Instant,
    left: usize,
    /// Connections in the order in which they came, those included that are open or gone meanwhile.
    newcomers: VecDeque<ConnId>,
    /// The end has begun.
    ending: bool,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), turn: now, left: HANDSHAKES, newcomers: VecDeque::new(), ending: false }
    }

    /// Whether a handshake may be answered at once.
    fn take(&mut self, now: Instant) -> bool {
        if self.turn != now {
            (self.turn, self.left) = (now, HANDSHAKES);
        }
        let free = self.queue.is_empty() && self.left > 0;
        self.left -= usize::from(free);
        free
    }
}

impl<A: App> Terminator<A> {
    pub(super) fn begin_handshake(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        while let Some(first) = self.turns.newcomers.front()
            && !self.links.get(*first).is_some_and(|link| link.is_unknown())
        {
            self.turns.newcomers.pop_front();
        }
        self.turns.newcomers.push_back(conn);
        self.links.insert(Link::new(conn, End::Client(origin), cx.now()));
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.shared.patience));
    }

    /// Bytes of a connection in its handshake.
    pub(super) fn hear_handshake(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(Link { stage: Stage::Shaking(shaking), end, .. }) = self.links.get(conn) else { return };
        if self.turns.ending && shaking.heard == 0 {
            cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.shared.patience));
        }
        shaking.heard += input.len();
        if shaking.heard > HANDSHAKE_MAX {
            return self.abandon(cx, conn, Failure::TooLarge, Vec::new());
        }
        if shaking.session.as_ref().is_some_and(Session::has_read_hello) {
            return self.shake(cx, conn, input);
        }
        shaking.waiting.extend_from_slice(input);
        // Only the first bytes of all: behind a part of a hello, letters are a damaged hello.
        let is_first = shaking.heard == shaking.waiting.len();
        if is_first && is_plain_http(&shaking.waiting) {
            return match end {
                End::Client(_) => self.refuse(cx, conn, Failure::PlainHttp, self.shared.plain_answer.to_vec()),
                End::Server(..) => self.without_server(cx, conn, Failure::PlainServer, Vec::new()),
            };
        }
        if shaking.queued || !is_worth_a_turn(&shaking.waiting) {
            return;
        }
        if self.turns.take(cx.now()) {
            self.shake(cx, conn, &[]);
        } else {
            shaking.queued = true;
            self.turns.queue.push_back(conn);
            self.outgoing.call_again();
        }
    }

    /// The next turn: handshakes that waited.
    pub(super) fn go_on_with_handshakes(&mut self, cx: &mut Cx) {
        for _ in 0..HANDSHAKES {
            let Some(conn) = self.turns.queue.pop_front() else { break };
            if let Some(Link { stage: Stage::Shaking(shaking), .. }) = self.links.get(conn) {
                shaking.queued = false;
                self.shake(cx, conn, &[]);
            }
        }
        if !self.turns.queue.is_empty() {
            self.outgoing.call_again();
        }
    }

    /// Hears the bytes that wait, and `input` behind it.
    pub(super) fn shake(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let shared = self.shared.clone();
        let Some(link) = self.links.get(conn) else { return };
        let Stage::Shaking(Shaking { session, waiting, .. }) = &mut link.stage else { return };
        let waiting = mem::take(waiting);
        let session = match session {
            Some(session) => session,
            None => match Session::new(shared.store(), shared.tickets.clone()) {
                Ok(new) => session.insert(new),
                Err(failure) => return self.refuse(cx, conn, failure, Vec::new()),
            },
        };
        let mut plain = mem::take(&mut self.plain);
        let mut out = Vec::new();
        let wall = cx.clock().wall;
        let whole = if waiting.is_empty() { input } else { &[&waiting, input].concat() };
        let heard = session.receive(whole, wall, &mut self.records, &mut plain, &mut out);
        match (session.is_handshaking(), heard.failure) {
            (false, _) => {
                if self.open(cx, conn, out) {
                    self.deliver(cx, conn, &plain, heard);
                }
            }
            (true, Some(failure)) => self.abandon(cx, conn, failure, out),
            (true, None) => self.outgoing.send(conn, out),
        }
        plain.clear();
        self.plain = plain;
    }

    /// The handshake is over: the application hears of the connection. Tells whether it still has it.
    fn open(&mut self, cx: &mut Cx, conn: ConnId, out: Vec<u8>) -> bool {
        self.outgoing.send(conn, out);
        let Some(link) = self.links.get(conn) else { return false };
        let Stage::Shaking(shaking) = &mut link.stage else { return false };
        let End::Client(origin) = &link.end else {
            self.open_to_server(cx, conn);
            return self.links.has(conn);
        };
        let Some((session, secure)) = shaking.session.take().and_then(|session| {
            let secure = session.secure()?;
            Some((session, secure))
        }) else {
            self.refuse(cx, conn, Failure::Internal, Vec::new());
            return false;
        };
        self.shared.counters.done(secure.resumed);
        link.stage = Stage::Open(session);
        let origin = Origin { secure: Some(Arc::new(secure)), ..origin.clone() };
        cx.set_deadline(TimerKey::Conn(conn), None);
        self.tell(cx, Input::NONE, |app, cx| app.accepted(cx, conn, origin));
        self.links.has(conn)
    }

    /// Ends a connection in its handshake, whoever began it. `last`: an alert.
    fn abandon(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure, last: Vec<u8>) {
        if self.links.get(conn).is_some_and(|link| link.is_to_server()) {
            self.without_server(cx, conn, failure, last);
        } else {
            self.refuse(cx, conn, failure, last);
        }
    }

    /// Ends a connection that the application does not know. `last`: an alert, or an answer.
    pub(super) fn refuse(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure, last: Vec<u8>) {
        let Some(link) = self.links.remove(conn) else { return };
        let End::Client(origin) = &link.end else { return };
        let name = match &link.stage {
            Stage::Shaking(Shaking { session: Some(session), .. }) => session.server_name().unwrap_or("-").to_owned(),
            _ => "-".to_owned(),
        };
        self.shared.counters.failed(failure);
        tracing::info!(peer = %origin.peer, sni = %name.escape_debug(), failure = failure.as_str(), "handshake failed");
        if !cx.release(conn) {
            return;
        }
        // A client that is told something gets the time to read it.
        let end = if last.is_empty() { Action::Abort(conn) } else { Action::Close(conn) };
        self.outgoing.send(conn, last);
        self.outgoing.pass(end);
    }

    /// The end has begun: connections that have said nothing are not waited for, but for a moment. A client that has just connected has its
    /// first words on their way.
    pub(super) fn let_silent_ones_go(&mut self, cx: &mut Cx) {
        self.turns.ending = true;
        let by = cx.now() + self.shared.patience.min(MOMENT);
        for conn in &self.turns.newcomers {
            if self.links.get(*conn).is_some_and(|link| link.is_silent()) {
                cx.set_deadline(TimerKey::Conn(*conn), Some(by));
            }
        }
    }

    /// The time for a handshake is over.
    pub(super) fn handshake_late(&mut self, cx: &mut Cx, conn: ConnId) {
        let is_silent = self.links.get(conn).is_some_and(|link| link.is_silent());
        let failure = if self.turns.ending && is_silent { Failure::Draining } else { Failure::Late };
        self.refuse(cx, conn, failure, Vec::new());
    }

    /// A connection waits for room, and the application had none to give: the oldest handshake goes.
    pub(super) fn give_way(&mut self, cx: &mut Cx) {
        while let Some(conn) = self.turns.newcomers.pop_front() {
            if self.links.get(conn).is_some_and(|link| link.is_unknown()) {
                return self.refuse(cx, conn, Failure::Crowded, Vec::new());
            }
        }
    }
}

/// Whether these bytes begin a request of HTTP without TLS: its method is in letters.
fn is_plain_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic())
}

/// Whether there is a complete record, or something that is none: both are heard by the library, which knows the alert.
fn is_worth_a_turn(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [HANDSHAKE, _, _, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        [HANDSHAKE, ..] => false,
        _ => bytes.len() >= RECORD_HEAD,
    }
}
