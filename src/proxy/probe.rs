//! Active health checks: ordinary exchanges of worker 0 with each backend, judged by `health`.
//!
//! A verdict is only what the backend did, or did not do while we were looking. A worker that is busy hears of an answer
//! late, and finds every deadline passed. So a probe's time is counted in [`LOOKS`]: a part of it that begins when the one
//! before is over, however late that is noticed. And a probe that fails for want of a descriptor or a port on this side is
//! no verdict at all.

use super::{
    proxy_protocol::written,
    shared::Shared,
    table::Role,
    upstream::{Unconnected, connect},
    worker::Worker,
};
use crate::{
    app::{ConnId, Cx, Insecure, TimerKey},
    backend::BackendId,
    health::{Order, ProbeFailure},
    http::{Method, ResponseEvent, ResponseReader},
    resilience::{DeadlineBudget, Dial, is_our_shortage},
    time::Instant,
};
use bytes::Bytes;
use std::{collections::HashSet, fmt, io, time::Duration};

/// By when every backend has been probed once, unless the interval is shorter: until then a dead one is believed to live.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// A backend is late when it has let so many parts of the time pass. After each of them the driver has asked the kernel once
/// more, so that a connection and an answer are heard of in between even if each turn takes as long as the whole probe may.
const LOOKS: u32 = 4;

/// Bytes of an answer that the log shows if the probe fails: a status line, and the first fields.
const SHOWN: usize = 120;

/// A health check under way.
#[derive(Debug)]
pub(super) struct Probe {
    conn: Option<ConnId>,
    backend: BackendId,
    began: Instant,
    reader: ResponseReader,
    /// The addresses of the backend that are left, until one of them has accepted.
    dial: Dial,
    /// Why it is not protected at an address, if that says more than what the others did.
    insecure: Option<Insecure>,
    open: bool,
    patience: Patience,
    /// The beginning of the answer.
    said: Vec<u8>,
}

/// How long a backend has been waited for, without the time in which the worker did not look.
#[derive(Debug)]
struct Patience {
    began: Instant,
    /// The time that it has been waited for, until the last look.
    waited: Duration,
    looked: Instant,
    /// The time for the present step, an address or the answer: the number of parts of it that are left, and their
    /// length.
    left: u32,
    part: Duration,
}

impl Patience {
    fn new(now: Instant) -> Self {
        Self { began: now, waited: Duration::ZERO, looked: now, left: 0, part: Duration::ZERO }
    }

    /// The time as it would be if we had always been looking.
    fn now(&mut self, now: Instant) -> Instant {
        self.waited += now.saturating_duration_since(self.looked).min(self.part);
        self.looked = now;
        self.began + self.waited
    }

    /// Waits for another thing. When to look for the first time.
    fn begin(&mut self, within: Duration, now: Instant) -> Instant {
        (self.looked, self.left, self.part) = (now, LOOKS, within / LOOKS);
        now + self.part
    }

    /// A part has passed, at least. When to look again; `None`: it was the last one.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return None;
        }
        self.now(now);
        Some(now + self.part)
    }
}

impl Probe {
    /// The backend that is asked.
    pub(super) fn backend(&self) -> BackendId {
        self.backend
    }

    /// Its connection.
    pub(super) fn conn(&self) -> Option<ConnId> {
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

impl Shared {
    /// The backends that are probed.
    fn probed(&self) -> impl Iterator<Item = BackendId> {
        self.groups.members().filter(|(group, _)| group.health.config().active).map(|(_, id)| id)
    }
}

impl Worker {
    /// Probes every backend for the first time: the first at once, the others spread over [`FIRST_ROUND`], so that a
    /// hundred backends are not a hundred connections at the same moment, now and an interval later.
    pub(super) fn start_probing(&mut self, cx: &mut Cx) {
        if self.number != 0 {
            return;
        }
        let shared = self.shared.clone();
        let backends: Vec<BackendId> = shared.probed().collect();
        self.spread_probes(backends, cx);
    }

    /// Another configuration: backends that are new are probed, and those that are gone are not.
    pub(super) fn follow_probes(&mut self, old: &Shared, cx: &mut Cx) {
        if self.number != 0 || self.draining {
            return;
        }
        let shared = self.shared.clone();
        let (before, now): (HashSet<_>, HashSet<_>) = (old.probed().collect(), shared.probed().collect());
        for backend in before.difference(&now) {
            cx.set_deadline(timer(*backend), None);
            for conn in self.table.probes_of(*backend) {
                self.table.remove(conn);
                cx.abort(conn);
            }
        }
        let mut new: Vec<BackendId> = now.difference(&before).copied().collect();
        new.sort_unstable();
        self.spread_probes(new, cx);
    }

    /// Probes these for the first time.
    fn spread_probes(&mut self, backends: Vec<BackendId>, cx: &mut Cx) {
        let all = u32::try_from(backends.len()).unwrap_or(u32::MAX);
        for (number, backend) in (0..).zip(backends) {
            let Some(health) = self.shared.groups.health_of(backend) else { continue };
            let step = health.config().interval.min(FIRST_ROUND) / all;
            if number == 0 {
                self.start_probe(backend, cx);
            } else {
                let at = cx.now() + step * number + step.mul_f64(self.random());
                cx.set_deadline(timer(backend), Some(at));
            }
        }
    }

    /// Opens a connection to see whether the backend is there.
    pub(super) fn start_probe(&mut self, backend: BackendId, cx: &mut Cx) {
        if self.draining {
            return;
        }
        let now = cx.now();
        let Some(health) = self.shared.groups.health_of(backend) else { return };
        if health.order(backend) == Order::Down {
            return self.plan_probe(backend, cx);
        }
        let budget = DeadlineBudget::new(health.config().timeout, now);
        let probe = Probe {
            conn: None,
            backend,
            began: now,
            reader: ResponseReader::new(),
            dial: Dial::new(&self.shared.backends[backend.index()].addresses, budget),
            insecure: None,
            open: false,
            patience: Patience::new(now),
            said: Vec::new(),
        };
        if let Err(probe) = self.dial_probe(Box::new(probe), cx) {
            self.plan_probe(probe.backend, cx);
        }
    }

    /// Tries the next address of the backend. `Err`: there is none, or no time.
    fn dial_probe(&mut self, mut probe: Box<Probe>, cx: &mut Cx) -> Result<(), Box<Probe>> {
        let at = probe.patience.now(cx.now());
        let Some((address, share)) = probe.dial.next(at) else { return Err(probe) };
        let look = probe.patience.begin(share, cx.now());
        let first = self.announcement(probe.backend);
        let conn = connect(cx, &self.shared.backends[probe.backend.index()], address, &first);
        cx.set_deadline(TimerKey::Conn(conn), Some(look));
        probe.conn = Some(conn);
        self.table.insert(conn, Role::Probe(probe));
        Ok(())
    }

    /// Shutting down: what is being asked is not waited for.
    pub(super) fn stop_probing(&mut self, cx: &mut Cx) {
        for conn in self.table.probes() {
            self.table.remove(conn);
            cx.abort(conn);
        }
    }

    /// The bytes that a backend hears first, if it is told whose connections it gets: this one is the proxy's own.
    fn announcement(&self, backend: BackendId) -> Bytes {
        let version = self.shared.groups.announces(backend);
        version.map(|version| written(version, None).into()).unwrap_or_default()
    }

    /// Connected: that is the answer, unless a path is to be asked for.
    pub(super) fn probe_connected(&mut self, conn: ConnId, cx: &mut Cx) {
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        let backend = probe.backend;
        if self.shared.backends[backend.index()].secured.is_none() {
            cx.send(conn, self.announcement(backend));
        }
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        probe.dial.connected();
        probe.open = true;
        let Some(health) = self.shared.groups.health_of(probe.backend) else { return };
        let config = health.config();
        let Some(path) = &config.path else {
            return self.probe_done(conn, Ok(()), cx);
        };
        probe.reader.expect(&Method::Get);
        let left = (probe.began + config.timeout).saturating_duration_since(probe.patience.now(cx.now()));
        cx.set_deadline(TimerKey::Conn(conn), Some(probe.patience.begin(left, cx.now())));
        let host = config.host.as_deref().unwrap_or(self.shared.backends[probe.backend.index()].authority());
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in &config.fields {
            request += &format!("{name}: {value}\r\n");
        }
        if !config.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            request += &format!("User-Agent: {}-health\r\n", self.shared.config.forwarding.pseudonym);
        }
        cx.send(conn, (request + "Connection: close\r\n\r\n").into_bytes());
    }

    /// The answer, as far as it has come: its head decides.
    pub(super) fn probe_heard(&mut self, conn: ConnId, mut input: &[u8], cx: &mut Cx) {
        let limits = self.shared.config.response_limits();
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        let Some(health) = self.shared.groups.health_of(probe.backend) else { return };
        let room = SHOWN.saturating_sub(probe.said.len());
        probe.said.extend(&input[..input.len().min(room)]);
        loop {
            match probe.reader.next(&mut input, &limits) {
                Ok(None) => return,
                Ok(Some(ResponseEvent::Interim(_))) => {}
                Ok(Some(ResponseEvent::Head(head, _) | ResponseEvent::Switched(head))) => {
                    let status = head.status.code();
                    let expected = health.config().expected.contains(status);
                    let result = if expected { Ok(()) } else { Err(ProbeFailure::Status(status)) };
                    return self.probe_done(conn, result, cx);
                }
                Ok(Some(ResponseEvent::Data(_) | ResponseEvent::End(_))) => return,
                Err(_) => return self.probe_done(conn, Err(ProbeFailure::Malformed), cx),
            }
        }
    }

    /// A part of the time has passed.
    pub(super) fn probe_late(&mut self, conn: ConnId, cx: &mut Cx) {
        let Some(Role::Probe(probe)) = self.table.get(conn) else { return };
        match probe.patience.look(cx.now()) {
            Some(next) => cx.set_deadline(TimerKey::Conn(conn), Some(next)),
            None => self.probe_failed(conn, io::ErrorKind::TimedOut, cx),
        }
    }

    /// The connection failed instead, or said nothing in its time.
    pub(super) fn probe_failed(&mut self, conn: ConnId, error: io::ErrorKind, cx: &mut Cx) {
        self.probe_lost(conn, Unconnected::Failed(error), cx);
    }

    /// The connection is not protected.
    pub(super) fn probe_insecure(&mut self, conn: ConnId, why: Insecure, cx: &mut Cx) {
        self.probe_lost(conn, Unconnected::Insecure(why), cx);
    }

    fn probe_lost(&mut self, conn: ConnId, why: Unconnected, cx: &mut Cx) {
        let Role::Probe(mut probe) = self.table.remove(conn) else { return };
        cx.abort(conn);
        let mut why = why;
        if !probe.open {
            if probe.dial.failed(why.kind()) {
                probe.insecure = if let Unconnected::Insecure(why) = why { Some(why) } else { None };
            }
            match self.dial_probe(probe, cx) {
                Ok(()) => return,
                Err(returned) => probe = returned,
            }
            why = probe.insecure.map_or(Unconnected::Failed(probe.dial.verdict()), Unconnected::Insecure);
        }
        let error = match why {
            Unconnected::Failed(error) => error,
            Unconnected::Insecure(why) => {
                return self.judge_probe(&probe, Err(ProbeFailure::Handshake(why.as_str())), cx);
            }
        };
        if is_our_shortage(error) {
            tracing::warn!(backend = probe.backend.0, %error, "a probe could not be sent, which says nothing about the backend");
            return self.plan_probe(probe.backend, cx);
        }
        let failure = match error {
            io::ErrorKind::TimedOut => ProbeFailure::Timeout,
            io::ErrorKind::UnexpectedEof => ProbeFailure::CutOff,
            error => ProbeFailure::Connection(error),
        };
        self.judge_probe(&probe, Err(failure), cx);
    }

    /// The answer decides.
    fn probe_done(&mut self, conn: ConnId, result: Result<(), ProbeFailure>, cx: &mut Cx) {
        let Role::Probe(probe) = self.table.remove(conn) else { return };
        cx.hang_up(conn);
        self.judge_probe(&probe, result, cx);
    }

    /// Tells health, and plans the next one.
    fn judge_probe(&mut self, probe: &Probe, result: Result<(), ProbeFailure>, cx: &mut Cx) {
        let backend = probe.backend;
        let Some(health) = self.shared.groups.health_of(backend) else { return };
        if let Err(failure) = result {
            let line = Failed { name: &self.shared.backends[backend.index()].name, probe, failure };
            // One line for each thing that is wrong, not one for each probe.
            let line = self.shared.groups.told(backend, &line);
            if health.last_probe_failure(backend) == Some(failure) {
                tracing::debug!("{line}");
            } else {
                tracing::warn!("{line}");
            }
        }
        if let Some(change) = health.probed(backend, probe.began, result, cx.now()) {
            self.announce(&change);
        }
        self.plan_probe(backend, cx);
    }

    fn plan_probe(&mut self, backend: BackendId, cx: &mut Cx) {
        let jitter = self.random();
        let Some(health) = self.shared.groups.health_of(backend) else { return };
        cx.set_deadline(timer(backend), Some(health.next_probe(backend, cx.now(), jitter)));
    }
}

/// `probe of backend 1 (localhost:3002) failed: unexpected status 400, it answered "HTTP/1.1 400 Bad Request\r\nServer: …"`.
struct Failed<'a> {
    name: &'a str,
    probe: &'a Probe,
    failure: ProbeFailure,
}

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "probe of backend {} ({}) failed: {}", self.probe.backend.0, self.name, self.failure)?;
        let said = &self.probe.said;
        match said.len() {
            0 => Ok(()),
            SHOWN => write!(f, ", it answered \"{}…\"", said.escape_ascii()),
            _ => write!(f, ", it answered \"{}\"", said.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        // Any instant will do: nothing here reads the clock again.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// When it is over, if the worker gets to each look so much later than it wanted to.
    fn over(late: Duration) -> Duration {
        let (start, mut looks) = (start(), 0);
        let mut patience = Patience::new(start);
        let mut now = patience.begin(SECOND, start) + late;
        while let Some(next) = patience.look(now) {
            now = next + late;
            looks += 1;
        }
        assert_eq!(looks, LOOKS - 1);
        assert_eq!(patience.now(now), start + SECOND, "all of it was waited for, and no more");
        now - start
    }

    #[test]
    fn the_time_in_which_nobody_looked_is_not_the_backends() {
        assert_eq!(over(Duration::ZERO), SECOND);
        assert_eq!(over(3 * SECOND), SECOND + LOOKS * 3 * SECOND);
    }

    #[test]
    fn time_in_which_the_worker_was_busy_does_not_count() {
        let start = start();
        let mut patience = Patience::new(start);
        patience.begin(SECOND, start);
        assert_eq!(patience.now(start + SECOND / 8), start + SECOND / 8);
        // The worker was busy: of two seconds, one part counts.
        assert_eq!(patience.now(start + 2 * SECOND), start + SECOND / 8 + SECOND / 4);
    }
}
