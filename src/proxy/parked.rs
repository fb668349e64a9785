//! Tunnels in which nothing happens, by the thousand: a browser keeps one for each server that it may ask again, and each page with
//! a WebSocket has one.
//!
//! A tunnel has two connections and an exchange, each with buffers, readers and deadlines for what HTTP may do. As long as neither side
//! says anything, none of that is needed. So a silent tunnel is *parked*: all that it needs to go on, or to have its line in the log, is put
//! into one small struct, and the rest is given back.
//!
//! ```text
//!   it stands ──────────────▶ parked ◀── silent for a second, nothing waits to be sent
//!                               │                        ▲
//!                               ╰── any event ──▶ two connections and an exchange, as before
//! ```
//!
//! The deadline of the tunnel is that of its backend's connection, and runs on in the driver.

use super::{
    Proxy,
    downstream::Downstream,
    exchange::{Exchange, Rest},
    table::Role,
    upstream::Upstream,
};
use crate::{
    app::{ConnId, Cx, ListenerId, Origin, Reads},
    pool::Lease,
    time::Instant,
};
use std::time::Duration;

/// A tunnel that was silent for so long will probably be for longer. To park it and to go on costs about as much as to pass on
/// one more read, and that once a second is nothing.
const SILENCE: Duration = Duration::from_secs(1);

/// A silent tunnel.
#[derive(Debug)]
pub(super) struct Parked {
    rest: Rest,
    lease: Option<Lease>,
    /// How the backend is read.
    reads: Reads,
    /// When it will have been silent for too long.
    until: Option<Instant>,
    /// Requests that its client had begun.
    served: u32,
}

impl Parked {
    /// The client's connection.
    pub(super) fn conn(&self) -> ConnId {
        self.rest.conn
    }
}

impl Proxy {
    /// A second is over: parks the tunnel of a client if neither side has used it meanwhile.
    pub(super) fn park_if_silent(&mut self, cx: &mut Cx, conn: ConnId) {
        let tunnel = self.worker.shared.config.deadlines.tunnel;
        let Some(link) = self.tunnel_of(conn).and_then(Exchange::link) else { return };
        let until =
            self.worker.table.upstream(link.conn).and_then(|upstream| upstream.at_rest()).and_then(|(_, at)| at);
        // Each use of a tunnel moves its deadline.
        match until {
            Some(until) if until <= cx.now() + tunnel.saturating_sub(SILENCE) => self.park(cx, conn),
            _ => self.look_later(cx, conn),
        }
    }

    /// Parks the tunnel of a client, unless something of it is under way.
    pub(super) fn park(&mut self, cx: &mut Cx, conn: ConnId) {
        let version = self.worker.version;
        let Some(exchange) = self.tunnel_of(conn) else { return };
        let may_rest = exchange.may_rest() && exchange.core.version == version;
        let (key, Some(link)) = (exchange.core.key, exchange.link()) else { return };
        let table = &mut self.worker.table;
        let client_rests = table.downstream(conn).is_some_and(|client| client.is_at_rest());
        let backend_rests = table.upstream(link.conn).and_then(|upstream| upstream.at_rest());
        let (true, true, Some((reads, until))) = (may_rest, client_rests, backend_rests) else {
            return self.look_later(cx, conn);
        };
        if let Some(client) = table.downstream(conn) {
            client.expect_input(cx, None);
        }
        let Role::Downstream(client) = table.remove(conn) else { return };
        let Role::Upstream(upstream) = table.remove(link.conn) else { return };
        let mut exchange = self.exchanges.remove(key as usize);
        exchange.core.disarm(cx);
        let Some(rest) = exchange.rest() else { return };
        let parked = Parked { rest, lease: upstream.lease, reads, until, served: client.served };
        table.insert(conn, Role::Parked(Box::new(parked)));
        table.insert(link.conn, Role::ParkedWith(conn));
    }

    /// An event is there for one side of a parked tunnel: it goes on as it was before.
    pub(super) fn unpark(&mut self, cx: &mut Cx, conn: ConnId) {
        let table = &mut self.worker.table;
        let conn = if let Some(Role::ParkedWith(client)) = table.get(conn) { *client } else { conn };
        let Role::Parked(parked) = table.remove(conn) else { return };
        let Parked { rest, lease, reads, until, served } = *parked;
        let entry = self.exchanges.vacant_entry();
        let key = u32::try_from(entry.key()).expect("one exchange per connection, fewer than 2^31 connections");
        let (peer, local, secure) = rest.origin();
        let origin = Origin { listener: ListenerId(0), peer, local, secure };
        let mut client = Downstream::new(conn, origin);
        client.served = served;
        client.exchange = Some(key);
        client.expect_input(cx, Some(SILENCE));
        let link = rest.link;
        let mut upstream = Upstream::resumed(link.conn, link.backend, (reads, until));
        upstream.origin = rest.server();
        upstream.exchange = Some(key);
        upstream.lease = lease;
        table.insert(conn, Role::Downstream(Box::new(client)));
        table.insert(link.conn, Role::Upstream(Box::new(upstream)));
        entry.insert(Exchange::resumed(rest, key, self.worker.version));
    }

    /// All tunnels go on: something is about to happen to each.
    pub(super) fn unpark_all(&mut self, cx: &mut Cx) {
        for conn in self.worker.table.parked() {
            self.unpark(cx, conn);
        }
    }

    /// The exchange of a client, if it is a tunnel.
    fn tunnel_of(&mut self, conn: ConnId) -> Option<&Exchange> {
        let key = self.worker.table.downstream(conn)?.exchange?;
        self.exchanges.get(key as usize).filter(|exchange| exchange.is_tunnel())
    }

    fn look_later(&mut self, cx: &mut Cx, conn: ConnId) {
        if let Some(client) = self.worker.table.downstream(conn) {
            client.expect_input(cx, Some(SILENCE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_tunnel_is_small() {
        assert!(size_of::<Parked>() <= 304, "{}", size_of::<Parked>());
    }
}
