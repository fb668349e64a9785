//! An application around the others: it hears the header of each connection of some listeners, and tells them of the client that it
//! names. TLS, if there is any, comes behind it.
//!
//! ```text
//!   accepted(conn)      not trusted: closed. Else no call; the deadline runs
//!   received(conn, b)   the header: app.accepted(conn, the client), then app.received(what follows)
//!   everything else     passed through
//! ```

use super::header::{Ends, Look, look};
use crate::{
    app::{App, ConnId, Cx, Insecure, ListenerId, Origin, Progress, TimerKey},
    buf::Unreadable,
    proxy::network::Network,
};
use std::{
    collections::{HashMap, VecDeque},
    io, mem,
    time::Duration,
};

/// Hears headers for an application.
#[derive(Debug)]
pub(in crate::proxy) struct Recipient<A> {
    app: A,
    /// The listeners where they are expected.
    listeners: Vec<ListenerId>,
    /// The gateways that may send them.
    trusted: Vec<Network>,
    patience: Duration,
    waiting: HashMap<ConnId, Waiting>,
    /// In the order in which they came, with those that have gone on meanwhile.
    newcomers: VecDeque<ConnId>,
}

/// A connection of which the header has not come.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    /// The beginning of it.
    held: Vec<u8>,
}

impl<A> Recipient<A> {
    /// Expects headers on connections of these listeners, from these gateways, within that time.
    pub(in crate::proxy) fn new(app: A, listeners: Vec<ListenerId>, trusted: Vec<Network>, patience: Duration) -> Self {
        let (waiting, newcomers) = (HashMap::new(), VecDeque::new());
        Self { app, listeners, trusted, patience, waiting, newcomers }
    }

    /// Gives the application back.
    pub(in crate::proxy) fn into_app(self) -> A {
        self.app
    }
}

impl<A: App> Recipient<A> {
    fn expect(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        if !self.trusted.iter().any(|network| network.contains(origin.peer.ip())) {
            tracing::debug!(peer = %origin.peer, "closed: no trusted proxy");
            return cx.abort(conn);
        }
        while self.newcomers.front().is_some_and(|first| !self.waiting.contains_key(first)) {
            self.newcomers.pop_front();
        }
        self.newcomers.push_back(conn);
        self.waiting.insert(conn, Waiting { origin, held: Vec::new() });
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.patience));
    }

    /// More bytes of a connection of which the header has not come.
    fn hear(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        let before = waiting.held.len();
        waiting.held.extend_from_slice(input);
        match look(&waiting.held) {
            Look::More => {}
            Look::Malformed => self.drop_it(cx, conn, "no PROXY header"),
            Look::Header { length, client } => {
                let Some(Waiting { mut origin, .. }) = self.waiting.remove(&conn) else { return };
                cx.set_deadline(TimerKey::Conn(conn), None);
                if let Some(Ends { client, server }) = client {
                    (origin.peer, origin.local) = (client, origin.local.and(Some(server)));
                }
                self.app.accepted(cx, conn, origin);
                // Its end was not there before, so it is in this piece.
                let rest = &input[length - before..];
                if !rest.is_empty() && cx.is_open(conn) {
                    self.app.received(cx, conn, rest);
                }
            }
        }
    }

    fn drop_it(&mut self, cx: &mut Cx, conn: ConnId, why: &str) {
        if let Some(Waiting { origin, .. }) = self.waiting.remove(&conn) {
            tracing::debug!(peer = %origin.peer, "closed: {why}");
            cx.abort(conn);
        }
    }
}

impl<A: App> App for Recipient<A> {
    fn started(&mut self, cx: &mut Cx) {
        self.app.started(cx);
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        if self.listeners.contains(&origin.listener) {
            self.expect(cx, conn, origin);
        } else {
            self.app.accepted(cx, conn, origin);
        }
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        self.app.connected(cx, conn);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        if self.waiting.contains_key(&conn) {
            self.hear(cx, conn, input);
        } else {
            self.app.received(cx, conn, input);
        }
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        self.app.sent(cx, conn, unsent);
    }

    fn progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        self.app.progressed(cx, conn, progress);
    }

    fn held_up(&mut self, cx: &mut Cx, conn: ConnId) {
        self.app.held_up(cx, conn);
    }

    fn spliced(&mut self, cx: &mut Cx, from: ConnId, moved: u64) {
        self.app.spliced(cx, from, moved);
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        if self.waiting.contains_key(&conn) {
            self.drop_it(cx, conn, "ended before its PROXY header");
        } else {
            self.app.ended(cx, conn);
        }
    }

    fn peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        self.app.peeked(cx, conn, quiet);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        if self.waiting.remove(&conn).is_none() {
            self.app.failed(cx, conn, error);
        }
    }

    fn cut_short(&mut self, cx: &mut Cx, conn: ConnId, why: Unreadable) {
        self.app.cut_short(cx, conn, why);
    }

    fn insecure(&mut self, cx: &mut Cx, conn: ConnId, why: Insecure) {
        self.app.insecure(cx, conn, why);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        match key {
            TimerKey::Conn(conn) if self.waiting.contains_key(&conn) => self.drop_it(cx, conn, "PROXY header too late"),
            TimerKey::Conn(_) | TimerKey::App(_) => self.app.expired(cx, key),
        }
    }

    fn woken(&mut self, cx: &mut Cx) {
        self.app.woken(cx);
    }

    fn crowded(&mut self, cx: &mut Cx) {
        let open = cx.open();
        self.app.crowded(cx);
        while cx.open() == open
            && let Some(conn) = self.newcomers.pop_front()
        {
            self.drop_it(cx, conn, "room for others");
        }
    }

    fn drain(&mut self, cx: &mut Cx) {
        for conn in mem::take(&mut self.newcomers) {
            match self.waiting.get(&conn).map(|waiting| waiting.held.is_empty()) {
                Some(true) => self.drop_it(cx, conn, "draining"),
                Some(false) => self.newcomers.push_back(conn),
                None => {}
            }
        }
        self.app.drain(cx);
    }

    fn cut_off(&mut self, cx: &mut Cx) {
        self.app.cut_off(cx);
    }
}
