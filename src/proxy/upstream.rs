//! A connection to a backend: idle in the pool, or carrying one exchange.

use super::config::Deadlines;
use crate::{
    app::{ConnId, Cx, TimerKey},
    backend::BackendId,
    http::ResponseReader,
    pool::Lease,
};
use std::time::Instant;

/// One connection to a backend.
#[derive(Debug)]
pub(super) struct Upstream {
    conn: ConnId,
    /// Whose it is.
    pub(super) backend: BackendId,
    /// Where in the byte stream of responses we are.
    pub(super) reader: ResponseReader,
    /// The exchange it carries; `None` while it idles.
    pub(super) exchange: Option<u32>,
    /// Its place in the pool's count, while it is busy.
    pub(super) lease: Option<Lease>,
    /// When what we wait for must have come: the connection, the head, more of the body.
    wait_by: Option<Instant>,
    /// When the backend must have taken something of what waits for it.
    write_by: Option<Instant>,
    /// The client takes no more of the response now, so nothing is expected to come.
    congested: bool,
    bulk: bool,
}

impl Upstream {
    /// A connection just asked for.
    pub(super) fn new(conn: ConnId, backend: BackendId) -> Self {
        Self {
            conn,
            backend,
            reader: ResponseReader::new(),
            exchange: None,
            lease: None,
            wait_by: None,
            write_by: None,
            congested: false,
            bulk: false,
        }
    }

    /// Expects the next step (connection, head, body) by `at`; `None`: nothing.
    pub(super) fn expect(&mut self, cx: &mut Cx, at: Option<Instant>) {
        self.wait_by = at;
        self.arm(cx);
    }

    /// `unsent` bytes wait for the backend: it has to take some of them in time.
    pub(super) fn unsent(&mut self, cx: &mut Cx, unsent: usize, deadlines: &Deadlines) {
        self.write_by = (unsent > 0).then(|| cx.now() + deadlines.write);
        self.arm(cx);
    }

    /// Whether it is the backend that does not read, rather than not answer.
    pub(super) fn write_late(&self, now: Instant) -> bool {
        self.write_by.is_some_and(|at| at <= now)
    }

    /// Whether an answer is overdue. While the client is slow, the backend is not.
    pub(super) fn answer_late(&self, now: Instant) -> bool {
        !self.congested && self.wait_by.is_some_and(|at| at <= now)
    }

    /// Tells the driver the earlier of the two deadlines.
    pub(super) fn arm(&self, cx: &mut Cx) {
        let wait_by = if self.congested { None } else { self.wait_by };
        let earliest = [wait_by, self.write_by].into_iter().flatten().min();
        cx.set_deadline(TimerKey::Conn(self.conn), earliest);
    }

    /// Whether the client takes more of the response.
    pub(super) fn set_congested(&mut self, cx: &mut Cx, congested: bool, deadlines: &Deadlines) {
        if self.congested == congested {
            return;
        }
        self.congested = congested;
        cx.set_reading(self.conn, !congested);
        if !congested && self.wait_by.is_some() {
            // The time the client took is not the backend's.
            self.wait_by = Some(cx.now() + deadlines.response);
        }
        self.arm(cx);
    }

    /// Reads in large pieces from now on: a long body flows.
    pub(super) fn set_bulk(&mut self, cx: &mut Cx) {
        if !self.bulk {
            self.bulk = true;
            cx.set_bulk(self.conn, true);
        }
    }
}
