//! Active health checks: ordinary exchanges of worker 0 with each backend, judged by `health`.

use super::{parts::Parts, table::Role};
use crate::{
    app::{ConnId, Cx, TimerKey},
    backend::BackendId,
    health::ProbeFailure,
    http::{Method, ResponseEvent, ResponseReader},
};
use std::{io, time::Duration};

/// By when every backend has been probed once, unless the interval is shorter: until then a dead one is believed to live.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// A health check under way.
#[derive(Debug)]
pub(super) struct Probe {
    conn: ConnId,
    backend: BackendId,
    reader: ResponseReader,
}

impl Probe {
    /// Its connection.
    pub(super) fn conn(&self) -> ConnId {
        self.conn
    }
}

/// The timer that starts a backend's next probe. Even numbers are the exchanges'.
pub(super) fn timer(backend: BackendId) -> TimerKey {
    TimerKey::App(u32::from(backend.0) * 2 + 1)
}

/// The backend whose probe `key` starts, if it is such a key.
pub(super) fn due(key: u32) -> Option<BackendId> {
    (key % 2 == 1).then(|| BackendId(u16::try_from(key / 2).unwrap_or(u16::MAX)))
}

impl Parts {
    /// Probes every backend for the first time: the first at once, the others spread over [`FIRST_ROUND`], so that a
    /// hundred backends are not a hundred connections at the same moment, now and an interval later.
    pub(super) fn start_probing(&mut self, cx: &mut Cx) {
        if self.worker != 0 || !self.shared.health.config().active {
            return;
        }
        let backends: Vec<BackendId> = self.shared.backends.iter().map(|backend| backend.id).collect();
        let step =
            self.shared.health.config().interval.min(FIRST_ROUND) / u32::try_from(backends.len()).unwrap_or(u32::MAX);
        for (number, backend) in (0..).zip(backends) {
            if number == 0 {
                self.start_probe(backend, cx);
            } else {
                let at = cx.now() + step * number + step.mul_f64(self.random());
                cx.set_deadline(timer(backend), Some(at));
            }
        }
    }

    /// Opens a connection to see whether somebody is there.
    pub(super) fn start_probe(&mut self, backend: BackendId, cx: &mut Cx) {
        if self.draining {
            return;
        }
        let conn = cx.connect(self.shared.backends[backend.index()].address);
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.shared.health.config().timeout));
        self.table.insert(conn, Role::Probe(Box::new(Probe { conn, backend, reader: ResponseReader::new() })));
    }

    /// Shutting down: what is being asked is not waited for.
    pub(super) fn stop_probing(&mut self, cx: &mut Cx) {
        for conn in self.table.probes() {
            self.table.remove(conn);
            cx.abort(conn);
        }
    }

    /// Connected: that is the answer, unless a path is to be asked for.
    pub(super) fn probe_connected(&mut self, conn: ConnId, cx: &mut Cx) {
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        let Some(path) = &self.shared.health.config().path else {
            return self.probe_done(conn, Ok(()), cx);
        };
        probe.reader.expect(&Method::Get);
        let host = &self.shared.backends[probe.backend.index()].name;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {}-health\r\nConnection: close\r\n\r\n",
            self.shared.config.forwarding.pseudonym
        );
        cx.send(conn, request.into_bytes());
    }

    /// The answer, as far as it has come: its head decides.
    pub(super) fn probe_heard(&mut self, conn: ConnId, mut input: &[u8], cx: &mut Cx) {
        let limits = self.shared.config.response_limits();
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        loop {
            match probe.reader.next(&mut input, &limits) {
                Ok(None) => return,
                Ok(Some(ResponseEvent::Interim(_))) => {}
                Ok(Some(ResponseEvent::Head(head, _) | ResponseEvent::Switched(head))) => {
                    let status = head.status.code();
                    let expected = self.shared.health.config().expected.contains(status);
                    let result = if expected { Ok(()) } else { Err(ProbeFailure::Status(status)) };
                    return self.probe_done(conn, result, cx);
                }
                Ok(Some(ResponseEvent::Data(_) | ResponseEvent::End(_))) => return,
                Err(_) => return self.probe_done(conn, Err(ProbeFailure::Malformed), cx),
            }
        }
    }

    /// The connection failed instead.
    pub(super) fn probe_failed(&mut self, conn: ConnId, error: io::ErrorKind, cx: &mut Cx) {
        let failure = match error {
            io::ErrorKind::TimedOut => ProbeFailure::Timeout,
            io::ErrorKind::UnexpectedEof => ProbeFailure::CutOff,
            error => ProbeFailure::Connection(error),
        };
        self.probe_done(conn, Err(failure), cx);
    }

    /// Tells health, and plans the next one.
    pub(super) fn probe_done(&mut self, conn: ConnId, result: Result<(), ProbeFailure>, cx: &mut Cx) {
        let Role::Probe(probe) = self.table.remove(conn) else { return };
        cx.hang_up(conn);
        let (backend, now) = (probe.backend, cx.now());
        tracing::debug!(backend = backend.0, ?result, "probe");
        if let Some(change) = self.shared.health.probed(backend, result, now) {
            self.announce(&change);
        }
        let jitter = self.random();
        cx.set_deadline(timer(backend), Some(self.shared.health.next_probe(backend, now, jitter)));
    }
}
