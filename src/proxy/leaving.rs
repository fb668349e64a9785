//! Clients that are let go, and why: idle for too long, to make room for others, because the proxy ends.
//!
//! ```text
//!   SIGTERM ──▶ listeners close ──▶ requests are answered with `Connection: close` ──▶ no client is left: the end
//!                                   idle clients have `--drain-grace` to ask once more
//!                                   `--drain-timeout`: what still runs is cut off, with a line in the log for each
//! ```
//!
//! HTTP/1.1 has no way to say "no more requests" on an idle connection: a request and the end may cross. A client that has asked
//! before the end reached it cannot know whether it was heard, and must not repeat a POST by itself (RFC 9112 §9.3.1). So an
//! idle connection is looked at before it is closed: a client that has just said something is heard instead.

use super::{Proxy, exchange::Event, failure::Failure, idle::Past};
use crate::{
    app::{ConnId, Cx, PeekBy},
    http::ReadPhase,
    time::Instant,
};
use std::{net::SocketAddr, time::Duration};

/// How often it is said that clients are closed to make room. Each one would be a line for each connection under a flood.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Why an idle client is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It was idle for `--idle-timeout`, or never asked for anything within `--head-timeout`.
    Idle,
    /// Another one waits to be accepted, and there is no place or no descriptor for it.
    Room,
    /// The proxy ends, and it was idle for `--drain-grace`.
    Drain,
}

impl LetGo {
    pub(super) const ALL: [Self; 3] = [Self::Idle, Self::Room, Self::Drain];

    /// For logs and counters.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle timeout",
            Self::Room => "room for others",
            Self::Drain => "draining",
        }
    }
}

/// The complaints about the limit of client connections.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    told: Option<Instant>,
    /// Clients that were closed since then.
    closed: u64,
}

impl Crowd {
    /// Whether it is time for a line again; with the number of clients that were closed since the last one.
    fn is_due(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|at| now < at + COMPLAINT_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.closed))
    }
}

impl Proxy {
    /// Notes whether a client has something to do: if not, it may have to go for another.
    pub(super) fn note_idle(&mut self, cx: &Cx, conn: ConnId) {
        let Some(client) = self.worker.table.downstream(conn) else { return };
        let past = if client.served == 0 { Past::Silent } else { Past::Served };
        if client.is_idle() {
            self.worker.idle.enter(conn, past, cx.now());
        } else {
            self.worker.idle.leave(conn);
        }
    }

    /// A connection waits, and there is no place for it: the client that has been idle for longest goes. A client in
    /// the middle of an exchange does not, so it may be that none does.
    pub(super) fn make_room(&mut self, cx: &mut Cx) {
        match self.worker.idle.longest(cx.now()) {
            Some(conn) => self.let_go(cx, conn, LetGo::Room),
            None => {
                if self.worker.crowd.is_due(cx.now()).is_some() {
                    tracing::warn!("no place for another client, and all that are here are busy: see max-connections");
                }
            }
        }
    }

    /// Closes an idle client, unless it turns out that it has just said something.
    pub(super) fn let_go(&mut self, cx: &mut Cx, conn: ConnId, why: LetGo) {
        if self.worker.table.streams(conn).is_some() {
            return self.let_streams_go(cx, conn, why);
        }
        self.worker.leaving.push((conn, why));
        cx.peek(conn, PeekBy::Report);
    }

    /// The result of the look that [`Proxy::let_go`] asked for.
    pub(super) fn client_peeked(&mut self, cx: &mut Cx, conn: ConnId, quiet: bool) {
        let Some(at) = self.worker.leaving.iter().position(|(leaving, _)| *leaving == conn) else { return };
        let (_, why) = self.worker.leaving.swap_remove(at);
        let head = self.worker.shared.config.deadlines.head;
        let Some(client) = self.worker.table.downstream(conn).filter(|client| client.is_idle()) else { return };
        if !quiet {
            // Its words are heard next.
            client.expect_input(cx, Some(head));
            return self.worker.idle.leave(conn);
        }
        let peer = client.peer;
        self.close_client(cx, conn);
        self.note_let_go(cx, peer, why);
    }

    /// Says in the counters and in the log that an idle client was closed.
    pub(super) fn note_let_go(&mut self, cx: &Cx, peer: SocketAddr, why: LetGo) {
        tracing::debug!(%peer, reason = why.as_str(), "idle client closed");
        self.worker.counters().let_go[why as usize].add(1);
        if why == LetGo::Room {
            self.worker.crowd.closed += 1;
            if let Some(closed) = self.worker.crowd.is_due(cx.now()) {
                tracing::warn!(
                    closed,
                    "no place for another client: the longest idle ones are closed, see max-connections"
                );
            }
        }
    }

    /// How long a client may be idle.
    pub(super) fn idle_limit(&self) -> Duration {
        let config = &self.worker.shared.config;
        if self.worker.draining { config.drain_grace.min(config.deadlines.idle) } else { config.deadlines.idle }
    }

    /// Shutting down: requests are answered, and the answers say that they are the last ones. An idle client may ask once more
    /// within the grace.
    pub(super) fn drain_clients(&mut self, cx: &mut Cx) {
        self.drain_streams(cx);
        let grace = self.idle_limit();
        for conn in self.worker.table.downstreams() {
            let Some(client) = self.worker.table.downstream(conn) else { continue };
            if client.exchange.is_none() && client.reader.phase() == ReadPhase::Idle {
                client.expect_input_sooner(cx, grace);
            }
        }
    }

    /// The time for the end is over. A request that still runs is answered if its response has not begun, else broken off, and
    /// has its line in the log.
    pub(super) fn cut_off_clients(&mut self, cx: &mut Cx) {
        self.cut_off_streams(cx);
        self.unpark_all(cx);
        for conn in self.worker.table.downstreams() {
            let Some(client) = self.worker.table.downstream(conn) else { continue };
            match client.exchange {
                Some(key) => {
                    self.cut_off += 1;
                    self.on(cx, key, Event::RequestBad(Failure::DrainTimeout));
                }
                None if client.reader.phase() == ReadPhase::Head => {
                    self.cut_off += 1;
                    self.refuse(cx, conn, Failure::DrainTimeout, &[]);
                }
                None => self.close_client(cx, conn),
            }
        }
    }
}
