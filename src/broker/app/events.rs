//! The events of the event loop.

use super::{Broker, Client, DUE, METRICS, Phase, bridge::BRIDGE};
use crate::{
    app::{App, ConnId, Cx, Origin, TimerKey},
    broker::metrics,
    mqtt::{Error, Reason},
};
use std::io;

impl App for Broker {
    fn started(&mut self, cx: &mut Cx) {
        self.started = Some(cx.now());
        self.metrics(cx);
        self.bridge_due(cx);
        self.settle(cx);
    }

    fn accepted(&mut self, cx: &mut Cx, conn: ConnId, origin: Origin) {
        self.enter(cx, Client::new(conn, origin.peer.ip(), cx.now()));
    }

    fn connected(&mut self, cx: &mut Cx, conn: ConnId) {
        self.greet(cx, conn);
    }

    fn received(&mut self, cx: &mut Cx, conn: ConnId, input: &[u8]) {
        self.received += input.len() as u64;
        let now = cx.now();
        if let Some(client) = self.client(conn) {
            client.heard = now;
        }
        self.hear(cx, conn, input);
        self.settle(cx);
    }

    fn sent(&mut self, cx: &mut Cx, conn: ConnId, unsent: usize) {
        if let Some(key) = self.client(conn).and_then(|client| client.key()) {
            self.core.unsent(key, unsent, cx.clock());
            self.settle(cx);
        }
    }

    fn ended(&mut self, cx: &mut Cx, conn: ConnId) {
        // Packets that have come may still have to wait.
        self.client(conn).into_iter().for_each(|client| client.has_ended = true);
        self.end_if_heard_out(cx, conn);
        self.settle(cx);
    }

    fn failed(&mut self, cx: &mut Cx, conn: ConnId, error: io::ErrorKind) {
        let Some(client) = self.client(conn) else { return };
        tracing::debug!(peer = %client.peer, %error, "connection failed");
        let key = client.key();
        self.bridge_ended(conn, || error.to_string());
        self.forget(conn);
        key.into_iter().for_each(|key| self.core.lost(key, cx.clock()));
        self.settle(cx);
    }

    fn expired(&mut self, cx: &mut Cx, key: TimerKey) {
        match key {
            DUE => self.core.tick(cx.clock()),
            METRICS => self.metrics(cx),
            BRIDGE => self.bridge_due(cx),
            TimerKey::Conn(conn) => self.late(cx, conn),
            TimerKey::App(_) => {}
        }
        self.settle(cx);
    }

    fn woken(&mut self, cx: &mut Cx) {
        let news = self.shared.news();
        self.fails = news.fails;
        self.core.stored(news.stored, cx.clock());
        self.leave(cx, news.stored);
        self.core.turn(cx.clock());
        for (conn, verdict) in news.verdicts {
            self.judged(cx, conn, verdict);
            self.end_if_heard_out(cx, conn);
        }
        if news.report {
            self.report();
        }
        self.settle(cx);
    }

    fn drain(&mut self, cx: &mut Cx) {
        self.draining = true;
        self.leave_bridge(cx);
        let error = Error { reason: Reason::SERVER_SHUTTING_DOWN, rule: "the server is stopping" };
        let stays = |client: &&Client| !matches!(client.phase, Phase::Leaving(_));
        let conns: Vec<ConnId> = self.clients.iter().flatten().filter(stays).map(|client| client.conn).collect();
        conns.into_iter().for_each(|conn| self.end(cx, conn, error));
        self.settle(cx);
        self.report();
    }
}

impl Broker {
    /// A connection's deadline has passed. It may have been heard since it was set.
    fn late(&mut self, cx: &mut Cx, conn: ConnId) {
        let now = cx.now();
        let Some(client) = self.client(conn) else { return };
        match client.phase {
            Phase::New | Phase::Greeting => {
                self.forget(conn);
                cx.abort(conn);
            }
            // It waits for us.
            Phase::Checking(_) => {}
            Phase::Leaving(_) => self.give_up(cx, conn),
            Phase::Open { key, .. } if client.has_ended => {
                tracing::debug!(peer = %client.peer, "connection ended: its client has said all, and takes no answers");
                self.forget(conn);
                self.core.lost(key, cx.clock());
                cx.abort(conn);
            }
            Phase::Open { patience, .. } => {
                let Some(at) = patience.map(|patience| client.heard + patience) else { return };
                if at > now {
                    cx.set_deadline(TimerKey::Conn(conn), Some(at));
                } else {
                    let rule = "nothing was heard for longer than the keep-alive";
                    self.end(cx, conn, Error { reason: Reason::KEEP_ALIVE_TIMEOUT, rule });
                }
            }
        }
    }

    /// Publishes the broker's own numbers.
    fn metrics(&mut self, cx: &mut Cx) {
        if self.config.metrics.is_zero() {
            return;
        }
        let up = self.started.map_or(0, |started| cx.now().saturating_duration_since(started).as_secs());
        let bytes = metrics::Bytes { received: self.received, sent: self.sent };
        for (topic, value) in metrics::topics(&self.core.numbers(), up, bytes) {
            self.core.publish_own(topic, &value, cx.clock());
        }
        cx.set_deadline(METRICS, Some(cx.now() + self.config.metrics));
    }

    fn report(&self) {
        tracing::info!("{}", metrics::line(&self.core.numbers(), self.received, self.sent));
    }
}
