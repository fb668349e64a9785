//! An application around an application: it speaks TLS with the clients of one listener, and with servers that the application asks
//! for, and plaintext with the application.
//!
//! ```text
//!   accepted(conn)      no call to the application; the handshake's deadline runs
//!   received(conn, b)   handshake ─▶ app.accepted(conn, secure: Some(..)) ─▶ app.received(plaintext) ─▶ close_notify: app.ended
//!   sent(conn, n)       more is sealed, app.sent(conn, n and what is not sealed yet)
//!   ended(conn)         after close_notify: known already; without: app.failed, for the stream may have been cut off
//! ```
//!
//! A connection that is asked for by `connect_secured` goes the same way with the other role: `connected` means that the server has
//! proved to be the one that was meant, and if it does not, the application hears `insecure` (`servers.rs`).
//!
//! Connections of other listeners, and those that the application opens in plain, are passed through.

mod handshake;
mod link;
mod sending;
mod servers;
mod splices;

use super::{Counters, Failure, Servers, Shared, session::Heard};
use crate::{
    app::{Action, App, ConnId, Cx, ListenerId, Origin, Progress, TimerKey},
    buf::Unreadable,
    time::Instant,
};
use handshake::Turns;
use link::{End, Link, Links, Stage};
use sending::{Input, Outgoing, Piece};
use splices::Splices;
use std::{fmt, io, mem, sync::Arc};

/// Speaks TLS for an application.
pub struct Terminator<A> {
    app: A,
    listener: ListenerId,
    shared: Arc<Shared>,
    servers: Arc<Servers>,
    links: Links,
    splices: Splices,
    turns: Turns,
    outgoing: Outgoing,
    /// Records as they are heard; kept for its memory.
    records: Vec<u8>,
    /// Plaintext as the application hears it; kept for its memory.
    plain: Vec<u8>,
}

impl<A> Terminator<A> {
    /// Speaks TLS with connections of `listener`, and of those that were opened after it.
    pub fn new(app: A, listener: ListenerId, shared: Arc<Shared>, now: Instant) -> Self {
        Self {
            app,
            listener,
            shared,
            servers: Arc::default(),
            links: Links::default(),
            splices: Splices::default(),
            turns: Turns::new(now),
            outgoing: Outgoing::default(),
            records: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Opens protected connections to these servers.
    #[must_use]
    pub fn with_servers(self, servers: Arc<Servers>) -> Self {
        Self { servers, ..self }
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// The application, to be prepared by a test.
    #[cfg(test)]
    pub(super) fn app_mut(&mut self) -> &mut A {
        &mut self.app
    }

    /// The things that all terminators of one proxy have in common.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The servers that it opens connections to.
    #[cfg(test)]
    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Gives the application back.
    pub fn into_app(self) -> A {
        self.app
    }
}

impl<A> fmt::Debug for Terminator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminator").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl<A: App> Terminator<A> {
    /// Bytes of a connection that the application has.
    fn hear_open(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(link) = self.links.get(conn).filter(|link| !link.ended) else { return };
        let Stage::Open(session) = &mut link.stage else { return };
        let (mut plain, mut out) = (mem::take(&mut self.plain), Vec::new());
        let heard = session.receive(input, cx.clock().wall, &mut self.records, &mut plain, &mut out);
        self.outgoing.send(conn, out);
        self.deliver(cx, conn, &plain, heard);
        plain.clear();
        self.plain = plain;
        crate::buf::relax(&mut self.plain);
        crate::buf::relax(&mut self.records);
    }

    /// Tells the application what was decrypted, and what came of the connection.
    fn deliver(&mut self, cx: &mut Cx, conn: ConnId, plain: &[u8], heard: Heard) {
        if !plain.is_empty() {
            cx.hear(plain);
            self.pass_input(cx, conn, plain, Input::of_ours(plain));
            cx.hear(&[]);
        }
        let Some(link) = self.links.get(conn) else { return };
        if let Some(failure) = heard.failure {
            return self.break_off(cx, conn, failure, io::ErrorKind::InvalidData);
        }
        if heard.ended && !mem::replace(&mut link.ended, true) {
            self.splices.end(conn);
            self.tell(cx, Input::NONE, |app, cx| app.ended(cx, conn));
        }
    }

    /// Tells the application bytes of any connection: to be heard, or as spliced.
    fn pass_input(&mut self, cx: &mut Cx, conn: ConnId, bytes: &[u8], input: Input<'_>) {
        let mut rest = bytes;
        if let Some(splice) = self.splices.of(conn) {
            if cx.is_open(splice.to) {
                let len = usize::try_from(splice.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let (passed, after) = bytes.split_at(len);
                self.splices.passed(conn, len as u64);
                if self.links.has(splice.to) {
                    self.outgoing.put(&mut self.links, splice.to, Piece::Lent(passed), cx.now());
                } else {
                    self.outgoing.pass(Action::Send(splice.to, bytes::Bytes::copy_from_slice(passed)));
                }
                self.tell(cx, input, |app, cx| app.spliced(cx, conn, len as u64));
                rest = after;
            } else {
                self.splices.end(conn);
            }
        }
        if !rest.is_empty() && cx.is_open(conn) {
            self.tell(cx, input, |app, cx| app.received(cx, conn, rest));
        }
    }

    fn counters_of(&self, link: &Link) -> &Counters {
        if link.is_to_server() { &self.servers.counters } else { &self.shared.counters }
    }

    /// A connection that the application has is not to be relied on any more.
    fn break_off(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure, kind: io::ErrorKind) {
        let Some(link) = self.links.remove(conn) else { return };
        self.splices.end(conn);
        self.counters_of(&link).failed(failure);
        let (End::Client(Origin { peer, .. }) | End::Server(_, peer)) = link.end;
        tracing::debug!(%peer, failure = failure.as_str(), "protected connection broken");
        self.tell(cx, Input::NONE, |app, cx| match failure {
            // An end is an end, whether somebody on the way made it or not.
            Failure::Truncated => app.failed(cx, conn, kind),
            _ if link.is_to_server() => app.insecure(cx, conn, failure.insecure()),
            _ => app.failed(cx, conn, kind),
        });
        if cx.release(conn) {
            self.outgoing.pass(Action::Close(conn));
        }
    }
}

impl<A: App> App for Terminator<A> {
    fn started(&mut self, cx: &mut Cx) {
        self.tell(cx, Input::NONE, App::started);
        self.flush(cx);
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        if origin.listener >= self.listener {
            self.begin_handshake(cx, conn, origin);
        } else {
            self.tell(cx, Input::NONE, |app, cx| app.accepted(cx, conn, origin));
        }
        self.flush(cx);
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        if self.links.has(conn) {
            self.begin_with_server(cx, conn);
        } else {
            self.tell(cx, Input::NONE, |app, cx| app.connected(cx, conn));
        }
        self.flush(cx);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        match self.links.get(conn).map(|link| link.is_shaking()) {
            None => self.pass_input(cx, conn, input, Input::of_driver(input)),
            Some(true) => self.hear_handshake(cx, conn, input),
            Some(false) => self.hear_open(cx, conn, input),
        }
        self.flush(cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        if self.links.has(conn) {
            self.took(cx, conn, unsent);
        } else {
            self.tell(cx, Input::NONE, |app, cx| app.sent(cx, conn, unsent));
        }
        self.flush(cx);
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, mut progress: Progress) {
        if let Some(link) = self.links.get(conn) {
            progress.outstanding += link.held.len() as u64;
        }
        self.tell(cx, Input::NONE, |app, cx| app.progressed(cx, conn, progress));
        self.flush(cx);
    }

    fn spliced(&mut self, cx: &mut Cx, from: ConnId, moved: u64) {
        self.tell(cx, Input::NONE, |app, cx| app.spliced(cx, from, moved));
        self.flush(cx);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        match self.links.get(conn) {
            None => {
                self.splices.end(conn);
                self.tell(cx, Input::NONE, |app, cx| app.ended(cx, conn));
            }
            Some(link) if link.is_unknown() => self.refuse(cx, conn, Failure::Gone, Vec::new()),
            Some(link) if link.is_shaking() => self.end_with_server(cx, conn),
            // It has said so already.
            Some(Link { ended: true, .. }) => {}
            Some(_) => self.break_off(cx, conn, Failure::Truncated, io::ErrorKind::UnexpectedEof),
        }
        self.flush(cx);
    }

    fn peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        let has_part = self.links.get(conn).and_then(Link::session).is_some_and(|session| session.has_part());
        self.tell(cx, Input::NONE, |app, cx| app.peeked(cx, conn, quiet && !has_part));
        self.flush(cx);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        self.splices.end(conn);
        match self.links.get(conn) {
            Some(link) if link.is_unknown() => self.refuse(cx, conn, Failure::Gone, Vec::new()),
            Some(link) if link.is_to_server() && link.has_begun() => {
                self.without_server(cx, conn, Failure::ServerGone, Vec::new());
            }
            _ => {
                self.links.remove(conn);
                self.tell(cx, Input::NONE, |app, cx| app.failed(cx, conn, error));
            }
        }
        self.flush(cx);
    }

    fn held_up(&mut self, cx: &mut Cx, conn: ConnId) {
        self.tell(cx, Input::NONE, |app, cx| app.held_up(cx, conn));
        self.flush(cx);
    }

    fn cut_short(&mut self, cx: &mut Cx, conn: ConnId, why: Unreadable) {
        self.links.remove(conn);
        self.splices.end(conn);
        self.tell(cx, Input::NONE, |app, cx| app.cut_short(cx, conn, why));
        self.flush(cx);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        match key {
            TimerKey::Conn(conn) if self.links.get(conn).is_some_and(|link| link.is_unknown()) => {
                self.handshake_late(cx, conn);
            }
            TimerKey::Conn(_) | TimerKey::App(_) => self.tell(cx, Input::NONE, |app, cx| app.expired(cx, key)),
        }
        self.flush(cx);
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.go_on_with_handshakes(cx);
        self.go_on_with_put_off(cx);
        self.tell(cx, Input::NONE, App::woken);
        self.flush(cx);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        let open = cx.open();
        self.tell(cx, Input::NONE, App::crowded);
        if cx.open() == open {
            self.give_way(cx);
        }
        self.flush(cx);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.let_silent_ones_go(cx);
        self.tell(cx, Input::NONE, App::drain);
        self.flush(cx);
    }

    fn cut_off(&mut self, cx: &mut Cx) {
        self.tell(cx, Input::NONE, App::cut_off);
        self.flush(cx);
    }
}
