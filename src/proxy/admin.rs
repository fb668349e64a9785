//! The admin listener: `/healthz` for a supervisor, `/stats` for an operator who looks for a cause, `/metrics` for Prometheus,
//! `/purge` for an operator who knows better than the cache.
//!
//! Off unless asked for, on loopback unless insisted upon: what it tells is for the operator, not for clients.
//!
//! Nor is it for web pages. A page from `evil.example` whose name is made to mean 127.0.0.1 after it was loaded (DNS
//! rebinding) is of the same origin as this listener for its browser, and could read everything. But its requests still
//! name `evil.example` in `Host`. So only requests are answered that name an address, `localhost`, or what the operator
//! has named with `--admin-host`.

use super::{
    access::Gate, admin_purge, counter::Counter, desk::Desk, groups::Group, leaving::LetGo,
    metrics::wants_open_metrics, shared::Shared, stats::CacheCounters, streams::http2_stats,
};
use crate::{
    app::{ConnId, Cx, Names, TimerKey},
    backend::BackendId,
    cache::{Forward, purge::Sweep},
    cli,
    health::Availability,
    http::{self, Authority, Method, ReadPhase, RequestEvent, RequestHead, RequestReader, Status},
    pool::CloseReason,
    tls::Handshakes,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::atomic::Ordering::Relaxed,
    time::{Instant, SystemTime},
};

/// Bytes of answers that may wait for a client of the admin listener, beside its longest one: that is as long as the configuration
/// makes it. There are few such clients.
const UNREAD_MAX: usize = 128 * 1024;

/// A client of the admin listener.
#[derive(Debug)]
pub(super) struct Admin {
    reader: RequestReader,
    /// When it said something last, or came.
    heard: Instant,
    /// Bytes of its longest answer.
    longest: usize,
    /// A purge that it waits for: nothing else is read until that is over.
    purging: Option<Purging>,
    /// It waits for another thread.
    pub(super) waits: bool,
}

/// A purge for one client.
#[derive(Debug)]
struct Purging {
    sweep: Sweep,
    /// Without a body: `HEAD`.
    brief: bool,
}

impl Desk {
    pub(super) fn accept_admin(&mut self, conn: ConnId, cx: &mut Cx) {
        self.visitors.insert(
            conn,
            Admin { reader: RequestReader::new(), heard: cx.now(), longest: 0, purging: None, waits: false },
        );
        self.admin_deadline(conn, cx);
    }

    fn admin_deadline(&self, conn: ConnId, cx: &mut Cx) {
        cx.set_deadline(TimerKey::Conn(conn), Some(cx.now() + self.shared.config.deadlines.idle));
    }

    /// Answers every request in the input.
    pub(super) fn admin_heard(&mut self, conn: ConnId, mut input: &[u8], cx: &mut Cx) {
        loop {
            let Some(admin) = self.visitors.get_mut(&conn) else { return };
            admin.heard = cx.now();
            match admin.reader.next(&mut input, &self.shared.config.limits) {
                Ok(None) => return self.admin_deadline(conn, cx),
                Ok(Some(RequestEvent::Head(head, _))) => {
                    if !names_us(&head, &self.shared.config.admin_hosts) {
                        let why = "this listener answers to addresses, localhost and what --admin-host names\n";
                        let answer = message(Status::MISDIRECTED_REQUEST, "text/plain", "", why, false);
                        cx.send(conn, answer);
                        return self.admin_close(conn, cx);
                    }
                    if path_of(&head) == "/purge" {
                        return self.begin_purge(conn, &head, cx);
                    }
                    if path_of(&head) == "/reload" {
                        return self.begin_reload(conn, &head, cx);
                    }
                    let persist = http::persistent(head.version, &head.fields).is_ok() && !self.is_draining();
                    let answer = self.admin_answer(&head, persist, cx.now());
                    if let Some(admin) = self.visitors.get_mut(&conn) {
                        admin.longest = admin.longest.max(answer.len());
                    }
                    cx.send(conn, answer);
                    if !persist {
                        return self.admin_close(conn, cx);
                    }
                }
                Ok(Some(RequestEvent::Data(_) | RequestEvent::End(_))) => {}
                Err(error) => {
                    cx.send(conn, message(error.status(), "text/plain", "", &format!("{}\n", error.as_str()), false));
                    return self.admin_close(conn, cx);
                }
            }
        }
    }

    /// Its deadline has passed: the next step of a purge, or it was idle for too long.
    pub(super) fn admin_late(&mut self, conn: ConnId, cx: &mut Cx) {
        let shared = self.shared.clone();
        let Some(admin) = self.visitors.get_mut(&conn) else { return };
        let Some(Purging { sweep, brief }) = &mut admin.purging else { return self.admin_close(conn, cx) };
        match admin_purge::step(&shared, sweep) {
            None => cx.set_deadline(TimerKey::Conn(conn), Some(cx.now())),
            Some(answer) => {
                let brief = *brief;
                self.admin_conclude(conn, answer, brief, cx);
            }
        }
    }

    /// The client sends nothing more; one that waits for a purge still gets its answer.
    pub(super) fn admin_ended(&mut self, conn: ConnId, cx: &mut Cx) {
        if self.visitors.get(&conn).is_none_or(|admin| admin.purging.is_none() && !admin.waits) {
            self.admin_close(conn, cx);
        }
    }

    /// The answer to this ends the connection, so that nothing is to be kept that came behind it.
    fn begin_purge(&mut self, conn: ConnId, head: &RequestHead, cx: &mut Cx) {
        let brief = head.method == Method::Head;
        match admin_purge::begin(&self.shared, head) {
            Ok(sweep) => {
                if let Some(admin) = self.visitors.get_mut(&conn) {
                    admin.purging = Some(Purging { sweep, brief });
                }
                cx.set_reading(conn, false);
                self.admin_late(conn, cx);
            }
            Err(answer) => self.admin_conclude(conn, answer, brief, cx),
        }
    }

    pub(super) fn admin_conclude(&mut self, conn: ConnId, answer: admin_purge::Answer, brief: bool, cx: &mut Cx) {
        let (status, kind, extra, body) = answer;
        cx.send(conn, written(status, kind, extra, &body, false, brief));
        self.admin_close(conn, cx);
    }

    /// `unsent` bytes wait for the client. One that asks on and does not read is let go.
    pub(super) fn admin_took(&mut self, conn: ConnId, unsent: usize, cx: &mut Cx) {
        let longest = self.visitors.get(&conn).map_or(0, |admin| admin.longest);
        if unsent > UNREAD_MAX + longest {
            self.visitors.remove(&conn);
            cx.abort(conn);
        }
    }

    /// All places are taken: the visitor that has said nothing for the longest time goes, unless it waits for a purge.
    pub(super) fn make_room_for_admin(&mut self, cx: &mut Cx) {
        let idle = self.visitors.iter().filter(|(_, admin)| admin.purging.is_none() && !admin.waits);
        if let Some((conn, _)) = idle.min_by_key(|(_, admin)| admin.heard) {
            let conn = *conn;
            self.visitors.remove(&conn);
            cx.hang_up(conn);
        }
    }

    /// The process ends: it does not wait for admin connections without a request.
    pub(super) fn drain_admins(&mut self, cx: &mut Cx) {
        let idle = |(conn, admin): (&ConnId, &Admin)| (admin.reader.phase() == ReadPhase::Idle).then_some(*conn);
        let conns: Vec<ConnId> = self.visitors.iter().filter_map(idle).collect();
        for conn in conns {
            self.visitors.remove(&conn);
            cx.hang_up(conn);
        }
    }

    pub(super) fn admin_close(&mut self, conn: ConnId, cx: &mut Cx) {
        self.visitors.remove(&conn);
        cx.close(conn);
    }

    fn is_draining(&self) -> bool {
        self.closing || self.shared.draining.load(Relaxed)
    }

    fn admin_answer(&self, head: &RequestHead, persist: bool, now: Instant) -> Vec<u8> {
        let path = path_of(head);
        let known = ["/healthz", "/metrics", "/stats"].contains(&path);
        let (status, kind, extra, body) = match (path, &head.method) {
            ("/healthz", Method::Get | Method::Head) => self.healthz(now),
            ("/stats", Method::Get | Method::Head) => {
                let mut body = serde_json::to_string_pretty(&self.shared.stats(now)).unwrap_or_default();
                body.push('\n');
                (Status::OK, "application/json", "", body)
            }
            ("/metrics", Method::Get | Method::Head) => {
                let (kind, body) = self.shared.metrics(wants_open_metrics(head), now);
                (Status::OK, kind, "", body)
            }
            _ if known => {
                (Status::METHOD_NOT_ALLOWED, "text/plain", "Allow: GET, HEAD\r\n", "GET or HEAD\n".to_owned())
            }
            _ => {
                let there = paths(self.shared.cache.is_some(), self.reloads.is_some());
                (Status::NOT_FOUND, "text/plain", "", format!("there are {there}\n"))
            }
        };
        written(status, kind, extra, &body, persist, head.method == Method::Head)
    }

    /// Ready if a request would find a backend; a forward proxy, until it drains.
    fn healthz(&self, now: Instant) -> (Status, &'static str, &'static str, String) {
        if self.shared.forward.is_some() {
            let (status, state) = match self.is_draining() {
                true => (Status::SERVICE_UNAVAILABLE, "draining\n"),
                false => (Status::OK, "ready\n"),
            };
            return (status, "text/plain", "", state.to_owned());
        }
        let members = || self.shared.groups.members();
        let up =
            |(group, id): &(&Group, BackendId)| matches!(group.health.available(*id, now), Availability::Up { .. });
        let living = members().filter(up).count();
        let draining = self.is_draining();
        let status = if living > 0 && !draining { Status::OK } else { Status::SERVICE_UNAVAILABLE };
        let state = if draining { "draining" } else { "backends up" };
        (status, "text/plain", "", format!("{state}: {living} of {}\n", members().count()))
    }
}

/// The paths that can be asked for, as the start line and a 404 name them.
pub(super) fn paths(caches: bool, reloads: bool) -> &'static str {
    match (caches, reloads) {
        (true, true) => "/stats, /metrics, /healthz, /purge and /reload",
        (true, false) => "/stats, /metrics, /healthz and /purge",
        (false, true) => "/stats, /metrics, /healthz and /reload",
        (false, false) => "/stats, /metrics and /healthz",
    }
}

/// Whether a request names this listener by one of its own names: a page in an operator's browser must not reach it
/// under a name of its own. No browser leaves `Host` out.
fn names_us(head: &RequestHead, hosts: &[String]) -> bool {
    let Some(authority) = head.authority() else { return true };
    let Ok(Authority { host, .. }) = Authority::parse(authority.as_bytes()) else { return false };
    let is = |name: &String| host.eq_ignore_ascii_case(name);
    host.starts_with('[')
        || host.parse::<Ipv4Addr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(is)
}

fn path_of(head: &RequestHead) -> &str {
    head.target().split('?').next().unwrap_or_default()
}

/// A message, without its body if that is not wanted.
fn written(status: Status, kind: &str, extra: &str, body: &str, persist: bool, brief: bool) -> Vec<u8> {
    let mut answer = message(status, kind, extra, body, persist);
    if brief {
        answer.truncate(answer.len() - body.len());
    }
    answer
}

fn message(status: Status, kind: &str, extra: &str, body: &str, persist: bool) -> Vec<u8> {
    let connection = if persist { "" } else { "Connection: close\r\n" };
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n{extra}{connection}\r\n{body}",
        status.code(),
        status.reason(),
        body.len()
    )
    .into_bytes()
}

impl Shared {
    /// Everything the proxy knows about itself, as JSON.
    pub(super) fn stats(&self, now: Instant) -> Value {
        let sum = |read: fn(&super::stats::Counters) -> u64| -> u64 { self.counters.iter().map(read).sum() };
        // Ends before beginnings: workers go on meanwhile, and no more may have ended than began.
        let closed = sum(|c| c.closed.read());
        let accepted = sum(|c| c.accepted.read());
        let mut reasons = BTreeMap::new();
        for counters in self.counters.iter() {
            counters.add_reasons(&mut reasons);
        }
        json!({
            "uptime_seconds": now.duration_since(self.started).as_secs_f64(),
            "workers": self.counters.len(),
            "draining": self.draining.load(Relaxed),
            "connections": {
                "accepted": accepted,
                "open": accepted.saturating_sub(closed),
                "closed": closed,
                "idle_closed": self.let_go(),
            },
            "requests": self.request_stats(),
            "body_bytes": {"received": sum(|c| c.received.read()), "sent": sum(|c| c.sent.read())},
            "errors": reasons,
            "pool": {
                "opened": sum(|c| c.pool.opened.read()),
                "reused": sum(|c| c.pool.reused.read()),
                "idle": sum(|c| c.pool.idle.read()),
                "busy": sum(|c| c.pool.busy.read()),
                "closed": sum(|c| c.pool.closed_total.read()),
                "waiting": sum(|c| c.pool.waiting.read()),
                "waited": sum(|c| c.pool.waited.read()),
                "queue_full": sum(|c| c.pool.refused.read()),
            },
            "tls": self.tls_stats(), "tls_to_backends": self.servers_stats(),
            "http2": self.config.http2.as_ref().map(|_| http2_stats(&self.counters)),
            "limits": self.gate.as_deref().map(Gate::stats),
            "cache": self.cache_stats(),
            "pool_closed": self.closed(),
            "log": {"lines_lost": cli::log_lines_lost()},
            "backends": self.backend_stats(now),
            "origins": self.origin_stats(),
        })
    }

    fn request_stats(&self) -> Value {
        let sum = |read: fn(&super::stats::Counters) -> u64| -> u64 { self.counters.iter().map(read).sum() };
        // Ends before beginnings, here too.
        let (responses, aborted) = (sum(|c| c.responses.read()), sum(|c| c.aborted.read()));
        let requests = sum(|c| c.requests.read());
        let classes: BTreeMap<String, u64> = (1..=5)
            .map(|class| (format!("{class}xx"), self.counters.iter().map(|c| c.classes[class].read()).sum()))
            .collect();
        json!({
            "total": requests,
            "running": requests.saturating_sub(responses + aborted),
            "responses": responses,
            "aborted": aborted,
            "refused": sum(|c| c.refused.read()),
            "retries": sum(|c| c.retries.read()),
            "tunnels": sum(|c| c.tunnels.read()),
            "asked_whether_client_listens": sum(|c| c.asked.read()),
            "status": classes,
        })
    }

    /// How many idle client connections were closed, by reason.
    fn let_go(&self) -> BTreeMap<&'static str, u64> {
        let count = |why: LetGo| self.counters.iter().map(|c| c.let_go[why as usize].read()).sum();
        LetGo::ALL.into_iter().map(|why| (why.as_str(), count(why))).collect()
    }

    /// `null` without a TLS listener.
    fn tls_stats(&self) -> Value {
        let Some(tls) = &self.tls else { return Value::Null };
        let Handshakes { full, resumed, failures, reloaded, not_reloaded } = tls.counters.read();
        let store = tls.store();
        let certificate = |(names, end): (&Names, SystemTime)| json!({"names": names.to_string(), "ends": humantime::format_rfc3339_seconds(end).to_string()});
        json!({
            "handshakes": {"full": full, "resumed": resumed},
            "failures": failures,
            "reloads": {"done": reloaded, "failed": not_reloaded},
            "certificates": store.ends().map(certificate).collect::<Vec<_>>(),
        })
    }

    /// `null` if no backend speaks TLS.
    fn servers_stats(&self) -> Value {
        if self.servers.is_empty() {
            return Value::Null;
        }
        let Handshakes { full, resumed, failures, .. } = self.servers.counters.read();
        json!({"handshakes": {"full": full, "resumed": resumed}, "failures": failures})
    }

    /// `null` without a cache.
    fn cache_stats(&self) -> Value {
        let Some(cache) = &self.cache else { return Value::Null };
        let sum = |read: fn(&CacheCounters) -> &Counter| -> u64 {
            self.counters.iter().map(|counters| read(&counters.cache).read()).sum()
        };
        let forwarded: BTreeMap<&str, u64> = Forward::ALL
            .iter()
            .enumerate()
            .map(|(at, why)| (why.as_str(), self.counters.iter().map(|c| c.cache.forwarded[at].read()).sum()))
            .collect();
        let store = cache.store.stats();
        json!({
            "hits": sum(|c| &c.hits),
            "forwarded": forwarded,
            "collapsed": sum(|c| &c.collapsed),
            "revalidated": sum(|c| &c.validated),
            "revalidations_in_background": sum(|c| &c.background),
            "stale_served": sum(|c| &c.stale),
            "stood_in": sum(|c| &c.stood_in),
            "stored": store.stored,
            "evicted": store.evicted,
            "expired": store.expired,
            "invalidated": cache.invalidated.load(Relaxed),
            "purged": cache.purged.load(Relaxed),
            "entries": store.entries,
            "bytes": store.bytes,
            "bytes_not_stored": store.unstored,
            "limit_bytes": cache.store.limits().bytes,
        })
    }

    /// How many backend connections ended or were given up, by reason.
    fn closed(&self) -> BTreeMap<&'static str, u64> {
        let count = |reason: CloseReason| self.counters.iter().map(|c| c.pool.closed[reason as usize].read()).sum();
        CloseReason::ALL.into_iter().map(|reason| (reason.as_str(), count(reason))).collect()
    }

    fn backend_stats(&self, now: Instant) -> Vec<Value> {
        let health = self.groups.iter().flat_map(|group| group.health.snapshot(now));
        let row = |((group, id), health): ((&Group, BackendId), crate::health::BackendHealth)| {
            let backend = &self.backends[id.index()];
            let mut row = json!({
                "name": backend.name,
                "addresses": backend.addresses.list().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "weight": backend.weight,
                "requests": self.counters.iter().map(|c| c.backends[backend.id.index()].read()).sum::<u64>(),
                "in_flight": self.load.of(backend.id),
                "connections": self.slots.open(backend.id),
                "health": health,
            });
            if let (Some(upstream), Value::Object(row)) = (&group.name, &mut row) {
                row.insert("upstream".to_owned(), json!(upstream));
            }
            row
        };
        self.groups.members().zip(health).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_which_names_it_answers() {
        let hosts = ["proxy-1.internal".to_owned()];
        for (host, answers) in [
            (None, true),
            (Some("127.0.0.1:9090"), true),
            (Some("192.0.2.7"), true),
            (Some("[::1]:9090"), true),
            (Some("localhost"), true),
            (Some("LocalHost:9090"), true),
            (Some("Proxy-1.internal:9090"), true),
            (Some("proxy-2.internal"), false),
            (Some("evil.example:9090"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("evil.localhost"), false),
            (Some("127.1"), false),
        ] {
            let mut head = RequestHead::new(Method::Get, "/stats").unwrap();
            head.fields = host.iter().map(|host| ("Host", host)).collect();
            assert_eq!(names_us(&head, &hosts), answers, "{host:?}");
        }
        // The target wins over Host.
        for (target, answers) in [("http://localhost/stats", true), ("http://evil.example/stats", false)] {
            let mut head = RequestHead::new(Method::Get, target).unwrap();
            head.fields.push("Host", if answers { "evil.example" } else { "localhost" });
            assert_eq!(names_us(&head, &hosts), answers, "{target}");
        }
    }
}
