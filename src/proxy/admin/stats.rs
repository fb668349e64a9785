//! `/stats`: everything the proxy knows about itself, as JSON. `/metrics` shows the same numbers.

use crate::{
    app::Names,
    backend::BackendId,
    cache::Forward,
    cli,
    pool::NotKept,
    proxy::{
        access::Gate,
        counter::Counter,
        groups::Group,
        leaving::LetGo,
        outcomes::Outcomes,
        second_level::SecondLevel,
        shared::Shared,
        stats::{CacheCounters, Counters},
        streams::http2_stats,
    },
    time::Instant,
    tls::Handshakes,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::SystemTime};

impl Shared {
    /// Everything the proxy knows about itself, as JSON.
    pub(in crate::proxy) fn stats(&self, now: Instant) -> Value {
        let mut stats = self.numbers(now);
        stats["backends"] = json!(self.backend_stats(now));
        if let Some(tls) = stats["tls"].as_object_mut() {
            let certificate = |(names, end): (&Names, SystemTime)| json!({"names": names.to_string(), "ends": humantime::format_rfc3339_seconds(end).to_string()});
            let store = self.tls.as_ref().map(|tls| tls.store());
            let certificates: Vec<Value> = store.iter().flat_map(|store| store.ends().map(certificate)).collect();
            tls.insert("certificates".to_owned(), json!(certificates));
        }
        stats
    }

    /// The numbers of the proxy as a whole: as many as there are, however many sites and servers it has.
    pub(in crate::proxy) fn numbers(&self, now: Instant) -> Value {
        let sum = |read: fn(&Counters) -> u64| -> u64 { self.counters.iter().map(read).sum() };
        // Ends before beginnings: workers go on meanwhile, and no more may have ended than began.
        let closed = sum(|c| c.closed.read());
        let accepted = sum(|c| c.accepted.read());
        let mut reasons = BTreeMap::new();
        for counters in self.counters.iter() {
            counters.add_reasons(&mut reasons);
        }
        json!({
            "uptime_seconds": now.saturating_duration_since(self.started).as_secs_f64(),
            "workers": self.counters.len(),
            "draining": self.draining.load(Relaxed),
            "configuration": self.outcomes.as_deref().map(Outcomes::stats),
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
            "origins": self.origin_stats(),
        })
    }

    fn request_stats(&self) -> Value {
        let sum = |read: fn(&Counters) -> u64| -> u64 { self.counters.iter().map(read).sum() };
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
        json!({
            "handshakes": {"full": full, "resumed": resumed},
            "failures": failures,
            "reloads": {"done": reloaded, "failed": not_reloaded},
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
            "second_level": cache.second.as_deref().map(SecondLevel::stats),
        })
    }

    /// How many backend connections ended or were given up, by reason.
    fn closed(&self) -> BTreeMap<&'static str, u64> {
        let count = |reason: NotKept| self.counters.iter().map(|c| c.pool.closed[reason as usize].read()).sum();
        NotKept::ALL.into_iter().map(|reason| (reason.as_str(), count(reason))).collect()
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
