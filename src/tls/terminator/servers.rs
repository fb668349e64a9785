//! Connections to servers: from the wish to one that the application may send on.
//!
//! ```text
//!   connect_secured ─▶ Connect ─▶ connected ─▶ ClientHello ─▶ … ─▶ verified: app.connected(conn)
//!                        │                                    ╰──▶ not verified, no TLS, closed: alert, then app.insecure(conn)
//!                        ╰─▶ app.failed(conn), as without us
//! ```
//!
//! The application's own deadline for the connection runs meanwhile: it is told when that passes, and gives the connection up.

use super::{
    Terminator,
    link::{End, Link, Stage},
    sending::Input,
};
use crate::{
    app::{Action, App, ConnId, Cx, ServerId},
    time::Instant,
    tls::{Failure, Servers, session::Session},
};
use bytes::Bytes;
use std::net::SocketAddr;

impl Servers {
    /// A connection ends before the server was verified.
    pub(super) fn count_given_up(&self, link: Option<Box<Link>>) {
        if link.is_some_and(|link| link.is_to_server() && link.has_begun()) {
            self.counters.failed(Failure::GivenUp);
        }
    }
}

impl<A: App> Terminator<A> {
    /// The application wants a connection to a server. One that is not known is spoken to by nobody.
    pub(super) fn dial(&mut self, conn: ConnId, to: SocketAddr, (id, first): (ServerId, Bytes), now: Instant) {
        match self.servers.get(id) {
            Some(server) => {
                let mut link = Link::new(conn, End::Server(server, to), now);
                if let Stage::Shaking(shaking) = &mut link.stage {
                    shaking.first = first;
                }
                self.links.insert(link);
                self.outgoing.pass(Action::Connect(conn, to));
            }
            None => self.outgoing.pass(Action::ConnectSecured(conn, to, id, first)),
        }
    }

    /// The server was reached: the handshake begins.
    pub(super) fn begin_with_server(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(Link { end: End::Server(server, _), stage: Stage::Shaking(shaking), .. }) = self.links.get(conn)
        else {
            return;
        };
        let first = std::mem::take(&mut shaking.first);
        match Session::to(server.clone()) {
            Ok(session) => {
                shaking.session = Some(session);
                if !first.is_empty() {
                    self.outgoing.pass(Action::Send(conn, first));
                }
                self.shake(cx, conn, &[]);
            }
            Err(failure) => self.without_server(cx, conn, failure, Vec::new()),
        }
    }

    /// The server has proved that it is the one that was meant.
    pub(super) fn open_to_server(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(link) = self.links.get(conn) else { return };
        let Stage::Shaking(shaking) = &mut link.stage else { return };
        let Some(session) = shaking.session.take() else { return };
        self.servers.counters.done(session.is_resumed());
        link.stage = Stage::Open(session);
        if !link.held.is_empty() {
            self.outgoing.put_off(link);
        }
        self.tell(cx, Input::NONE, |app, cx| app.connected(cx, conn));
    }

    /// The server sends nothing more. The last that it said may be why.
    pub(super) fn end_with_server(&mut self, cx: &mut Cx, conn: ConnId) {
        let waits = |link: &mut Link| matches!(&link.stage, Stage::Shaking(shaking) if !shaking.waiting.is_empty());
        if self.links.get(conn).is_some_and(waits) {
            self.shake(cx, conn, &[]);
        }
        match self.links.get(conn) {
            Some(link) if link.is_shaking() => self.without_server(cx, conn, Failure::ServerGone, Vec::new()),
            Some(link) if !link.ended => {
                self.break_off(cx, conn, Failure::Truncated, std::io::ErrorKind::UnexpectedEof);
            }
            Some(_) | None => {}
        }
    }

    /// There is no protected connection. `last`: an alert that tells the server.
    pub(super) fn without_server(&mut self, cx: &mut Cx, conn: ConnId, failure: Failure, last: Vec<u8>) {
        let Some(link) = self.links.remove(conn) else { return };
        let End::Server(server, peer) = &link.end else { return };
        self.servers.counters.failed(failure);
        let error = match &link.stage {
            Stage::Shaking(shaking) => shaking.session.as_ref().and_then(Session::error),
            Stage::Open(_) => None,
        };
        let detail = error.map(ToString::to_string).unwrap_or_default();
        tracing::info!(backend = %server, %peer, failure = failure.as_str(), detail, "handshake with a backend failed");
        // First of all: the application may ask for another connection, and that may get this one's place.
        if cx.release(conn) {
            let end = if last.is_empty() { Action::Abort(conn) } else { Action::HangUp(conn) };
            self.outgoing.send(conn, last);
            self.outgoing.pass(end);
        }
        self.tell(cx, Input::NONE, |app, cx| app.insecure(cx, conn, failure.insecure()));
    }
}
