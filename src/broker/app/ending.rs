//! The end of a connection. Its session has let go of it by then; its last answers may still wait for the disk.
//!
//! ```text
//!   DISCONNECT, end of input, broken rule, take-over ──▶ Core: End ──▶ nothing waits ───────────────────────▶ closed
//!                                                                  ╰─▶ Leaving ── stored ──▶ last answers ──╯
//!                                                                            ╰── failed, or too late ───────╯
//! ```
//!
//! A client may say everything that it has to say in one go, with its goodbye. The answers are owed to it even so.

use super::{Broker, Client, Phase};
use crate::{
    app::{ConnId, Cx, TimerKey},
    broker::core::End,
    mqtt::Error,
};
use std::{mem, time::Duration};

/// The time for the last answers to a client: that the disk has for them, and that a client has to take what is before them. After it they are
/// given up with the connection, so that a disk or a client which takes nothing does not keep places from others.
const LEAVE: Duration = Duration::from_secs(10);

impl Broker {
    /// Ends a connection whose client broke a rule.
    pub(super) fn end(&mut self, cx: &mut Cx, conn: ConnId, error: Error) {
        let Some(client) = self.client(conn) else { return };
        let (key, peer) = (client.key(), client.peer);
        tracing::debug!(%peer, "connection ended: {error}");
        self.bridge_ended(conn, || format!("it broke a rule: {error}"));
        if let Some(key) = key {
            self.core.refuse(key, error, cx.clock());
            self.part(cx);
        } else {
            self.forget(conn);
            cx.close(conn);
        }
    }

    /// A client that sends nothing more is heard to the end, if it takes what was sent to it. It has not for ever to do so. Then its answers
    /// are all that is left to do.
    pub(super) fn end_if_heard_out(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.client(conn).filter(|client| client.has_ended) else { return };
        match client.phase {
            Phase::New | Phase::Greeting => {
                self.forget(conn);
                cx.hang_up(conn);
            }
            // Its packets are heard when its password is known; its answers leave when they may.
            Phase::Checking(_) | Phase::Leaving(_) => {}
            Phase::Open { .. } if client.is_paused => cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + LEAVE)),
            Phase::Open { key, .. } => {
                self.core.heard_out(key, cx.clock());
                self.part(cx);
            }
        }
    }

    /// Connections end that have no session any more, as soon as nothing for them waits.
    pub(super) fn part(&mut self, cx: &mut Cx) {
        while let Some(mut end) = self.core.take_end() {
            let conn = end.conn;
            tracing::debug!("connection ended: {}", end.why);
            self.send(cx, conn, end.out.take());
            // A bridge sends again what was not answered.
            if end.out.waiting() == 0 || self.is_bridge(conn) {
                self.shut(cx, &end);
            } else if let Some(client) = self.client(conn) {
                (client.phase, client.tail) = (Phase::Leaving(Box::new(end)), Vec::new());
                self.leaving.push(conn);
                cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + LEAVE));
            }
        }
    }

    /// Records are stored, so many by now: the last answers leave that have waited for them.
    pub(super) fn leave(&mut self, cx: &mut Cx, stored: u64) {
        for conn in mem::take(&mut self.leaving) {
            let Some(Client { phase: Phase::Leaving(end), .. }) = self.client(conn) else { continue };
            end.out.stored(stored);
            let (output, waits) = (end.out.take(), end.out.waiting() > 0);
            self.send(cx, conn, output);
            if waits {
                self.leaving.push(conn);
            } else {
                self.give_up(cx, conn);
            }
        }
    }

    /// Closes a connection, whatever waits for it.
    pub(super) fn give_up(&mut self, cx: &mut Cx, conn: ConnId) {
        let Some(client) = self.client(conn) else { return };
        if let Phase::Leaving(end) = mem::replace(&mut client.phase, Phase::New) {
            self.shut(cx, &end);
        }
    }

    fn shut(&mut self, cx: &mut Cx, end: &End) {
        self.forget(end.conn);
        if end.is_heard_out {
            cx.hang_up(end.conn);
        } else {
            cx.close(end.conn);
        }
    }
}
