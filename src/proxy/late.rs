//! A deadline of a connection has passed: decides whether the peer is late, or only seems to be.
//!
//! Some clocks begin when our kernel has taken what was sent, and the peer may have it much later. Then the driver is asked how
//! far the peer is ([`Cx::progress`]), and a peer that has taken some since it was asked last has more time.

use super::{
    Proxy, downstream::Late, exchange::Event, failure::Failure, leaving::LetGo, stall::Look, upstream::Unconnected,
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, Progress},
    http::ReadPhase,
    pool::NotKept,
};
use std::io;

/// A backend that has more than this of a request with content still to confirm is still being sent the request, so it need
/// not have answered. As much as the longest head.
const UNDER_WAY: u64 = 16 * 1024;

impl Proxy {
    /// A deadline of a client connection passed.
    pub(super) fn client_late(&mut self, cx: &mut Cx, conn: ConnId) {
        let idle = self.idle_limit();
        let Some(client) = self.worker.table.downstream(conn) else { return };
        match (client.late(cx.now()), client.exchange) {
            (Late::Write, _) => cx.progress(conn),
            // The deadlines of a request are its exchange's to know.
            (Late::Read, Some(_)) => self.park_if_silent(cx, conn),
            // Half a head deserves an answer; a connection that never asked is closed without a word.
            (Late::Read, None) if client.reader.phase() == ReadPhase::Head => {
                self.refuse(cx, conn, Failure::HeadTimeout, &[])
            }
            // It does not idle while it still reads the last answer. Whether it reads has a deadline of its own while it is in our
            // memory.
            (Late::Read, None) if client.unsent_now() > 0 => client.expect_input(cx, Some(idle)),
            (Late::Read, None) => cx.progress(conn),
        }
    }

    /// How far a client is that takes nothing from our kernel, or that asks for nothing more.
    pub(super) fn client_progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        let idle = self.idle_limit();
        let why = if self.worker.draining { LetGo::Drain } else { LetGo::Idle };
        let Worker { shared, table, .. } = &mut self.worker;
        let Some(client) = table.downstream(conn) else { return };
        let deadlines = &shared.config.deadlines;
        let write_due = client.write_due(cx.now());
        match (write_due, client.progressed(cx, progress, deadlines), client.exchange) {
            (true, Look::Late, Some(key)) => self.on(cx, key, Event::ClientLost(Failure::ClientStalled)),
            (true, Look::Late, None) => {
                self.worker.forget_client(conn);
                self.worker.counters().count_reason(Failure::ClientStalled);
                cx.abort(conn);
            }
            (true, Look::Reads | Look::Done, _) => {}
            (false, Look::Reads, _) => client.expect_input(cx, Some(idle)),
            (false, Look::Late | Look::Done, _) if client.is_idle() => self.let_go(cx, conn, why),
            (false, Look::Late | Look::Done, _) => self.close_client(cx, conn),
        }
    }

    /// A deadline of a backend connection passed.
    pub(super) fn backend_late(&mut self, cx: &mut Cx, conn: ConnId) {
        let first_byte = self.worker.shared.config.deadlines.first_byte;
        let Some(upstream) = self.worker.table.upstream(conn) else { return };
        let now = cx.now();
        match upstream.exchange {
            // Idle for as long as the pool allows.
            None => self.drop_idle(cx, conn, NotKept::IdleTooLong),
            Some(key) if upstream.is_opening() => {
                match self.redial(cx, conn, Unconnected::Failed(io::ErrorKind::TimedOut)) {
                    Ok(()) => cx.abort(conn),
                    Err(why) => self.on(cx, key, Event::of(why)),
                }
            }
            Some(_) if upstream.write_due(now) => cx.progress(conn),
            // It has not got the request yet. Whether it reads has a deadline of its own while that is in our memory.
            Some(key) if self.exchanges[key as usize].uploads() => match upstream.unsent_now() {
                0 => cx.progress(conn),
                _ => upstream.expect(cx, Some(now + first_byte)),
            },
            Some(key) => {
                debug_assert!(upstream.answer_late(now), "one of two deadlines has passed");
                self.on(cx, key, Event::UpstreamLate);
            }
        }
    }

    /// How far a backend is that takes nothing from our kernel, or that has not answered a request with content.
    pub(super) fn backend_progressed(&mut self, cx: &mut Cx, conn: ConnId, progress: Progress) {
        let Worker { shared, table, .. } = &mut self.worker;
        let deadlines = &shared.config.deadlines;
        let Some(upstream) = table.upstream(conn) else { return };
        let Some(key) = upstream.exchange else { return };
        let (write_due, known) = (upstream.write_due(cx.now()), upstream.was_looked_at());
        match (write_due, upstream.progressed(cx, progress, deadlines)) {
            (true, Look::Late) => self.on(cx, key, Event::UpstreamStalled),
            (true, Look::Reads | Look::Done) => {}
            // A head alone leaves at once: it is with the backend, or lost.
            (false, Look::Reads) if known || progress.outstanding > UNDER_WAY => {
                upstream.expect(cx, Some(cx.now() + deadlines.first_byte));
            }
            (false, Look::Reads | Look::Late | Look::Done) => self.on(cx, key, Event::UpstreamLate),
        }
    }
}
