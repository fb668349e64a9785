//! Connections with TLS: the handshake before anything is asked, and what is sealed and opened after it.

use super::{Clients, Phase, ends::Farewell};
use crate::{
    app::{ConnId, Cx},
    load::Kind,
    time::Instant,
    tls::{Call, Callee, Refusal},
};
use std::{mem, sync::Arc};

impl Clients {
    /// There is a connection: its handshake begins.
    pub(super) fn shake(&mut self, cx: &mut Cx, index: usize, callee: &Arc<Callee>, now: Instant) {
        let mut out = Vec::new();
        let client = &mut self.clients[index];
        client.phase = Phase::Shaking;
        client.shaking_since = now;
        match Call::new(callee, cx.clock().wall, &mut out) {
            Ok(call) => client.call = Some(Box::new(call)),
            Err(refusal) => return self.lose(cx, index, Kind::Tls(refusal), Farewell::Abort, now),
        }
        if let Some(conn) = client.conn {
            cx.send(conn, out);
        }
    }

    /// Hears records, and what is in them.
    pub(super) fn hear_sealed(&mut self, cx: &mut Cx, index: usize, conn: ConnId, input: &[u8], now: Instant) {
        let mut plain = mem::take(&mut self.plain);
        let mut out = Vec::new();
        let client = &mut self.clients[index];
        let Some(call) = &mut client.call else { return };
        let heard = call.receive(input, cx.clock().wall, &mut self.records, &mut plain, &mut out);
        let is_done = client.phase == Phase::Shaking && !call.is_handshaking();
        client.closed |= heard.ended;
        cx.send(conn, out);
        if is_done {
            self.shaken(cx, index, now);
        }
        if !plain.is_empty() && self.is_still(index, conn) {
            self.hear(cx, index, &plain, now);
        }
        plain.clear();
        self.plain = plain;
        crate::buf::relax(&mut self.plain);
        crate::buf::relax(&mut self.records);
        match heard.refusal {
            _ if !self.is_still(index, conn) => {}
            // The alert that says why is on its way.
            Some(refusal) => self.lose(cx, index, Kind::Tls(refusal), Farewell::Close, now),
            None if heard.ended => self.ended_by_server(cx, index, now),
            None => {}
        }
    }

    /// Whether nothing has ended this connection of a client meanwhile.
    fn is_still(&self, index: usize, conn: ConnId) -> bool {
        self.clients[index].conn == Some(conn)
    }

    /// The handshake is over.
    fn shaken(&mut self, cx: &mut Cx, index: usize, now: Instant) {
        let client = &mut self.clients[index];
        let Some((facts, protocol)) = client.call.as_deref().and_then(|call| Some((call.facts()?, call.protocol())))
        else {
            return;
        };
        let counts = self.line.is_some_and(|line| line.covers(now));
        self.record.shake(facts, now.saturating_duration_since(client.shaking_since), counts);
        if self.orders.script.has_streams() && protocol != Some(b"h2") {
            return self.lose(cx, index, Kind::NoHttp2, Farewell::Close, now);
        }
        self.begin_talk(cx, index, now);
    }

    /// Before we close: a server that hears nothing of it could not tell the end from a cut.
    pub(super) fn say_last(&mut self, cx: &mut Cx, index: usize) {
        let client = &mut self.clients[index];
        if let (Some(call), Some(conn)) = (&mut client.call, client.conn) {
            let mut out = Vec::new();
            // It fails when the connection has, and then there is nothing to say.
            if call.close_notify(&mut out).is_ok() {
                cx.send(conn, out);
            }
        }
    }

    /// The connection has ended without a word that it would: somebody on the way may have cut it off.
    pub(super) fn cut(&self, index: usize) -> Option<Kind> {
        let client = &self.clients[index];
        let why = match client.phase {
            _ if client.call.is_none() || client.closed => return None,
            Phase::Shaking => "closed in the handshake",
            Phase::Down | Phase::Connecting | Phase::Greeting | Phase::Up | Phase::Leaving => {
                "ended without close_notify"
            }
        };
        Some(Kind::Tls(Refusal::Protocol(why)))
    }
}
