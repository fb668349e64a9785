//! `/metrics`: the numbers of `/stats` for Prometheus, and what only programs look at: durations in buckets.
//!
//! | file | question |
//! |---|---|
//! | `families.rs` | which number has which name, and what does it mean |
//! | `page.rs` | how is it written |
//!
//! No worker is asked: each has counters that only it writes, and the admin listener's thread reads them.

mod families;
mod page;
#[cfg(test)]
mod tests;

use super::{measures::Series, shared::Shared};
use crate::{
    http::RequestHead,
    net::process::{Usage, usage},
};
use families::{Family, Number, PROXY, SERVER};
use page::{Kind, Page};
use serde_json::{Map, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

/// Whether the answer is to be in the format of OpenMetrics: it is named, and not refused. Prometheus names it first.
pub(super) fn wants_open_metrics(head: &RequestHead) -> bool {
    let ranges = head.fields.get_all("accept").flat_map(|line| line.split(|byte| *byte == b','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/openmetrics-text"));
        named && !parts.any(|part| matches!(part, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"))
    })
}

impl Shared {
    /// The type of the page, and the page.
    pub(super) fn metrics(&self, open_metrics: bool, now: Instant) -> (&'static str, String) {
        let stats = self.stats(now);
        let mut page = Page::new(open_metrics);
        page.family("proxy_build_info", Kind::Gauge, "The version that runs.");
        page.number("proxy_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        process(&mut page, &usage());
        PROXY.iter().for_each(|family| of_proxy(&mut page, family, &stats));
        certificates(&mut page, &stats);
        let servers = stats["backends"].as_array().map(Vec::as_slice).unwrap_or_default();
        of_servers(&mut page, servers);
        if let Some(measures) = &self.measures {
            let about = "From the end of a request's head to the end of its exchange, of all requests, by site.";
            histograms(&mut page, "proxy_request_duration_seconds", about, "site", &measures.sites());
            let about = "The same, of requests that a server of the upstream was asked for.";
            histograms(&mut page, "proxy_upstream_request_duration_seconds", about, "upstream", &measures.upstreams());
        }
        page.end()
    }
}

/// A number as it is written, if it is one. 1 stands for yes.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(u8::from(*yes).to_string()),
        _ => None,
    }
}

fn of_proxy(page: &mut Page, family: &Family, stats: &Value) {
    let found: Vec<(&Number, &Value)> =
        family.numbers.iter().filter_map(|number| Some((number, stats.pointer(number.at)?))).collect();
    if found.iter().all(|(_, value)| value.is_null()) {
        return;
    }
    page.family(family.name, family.kind, family.help);
    for (Number { labels, by, .. }, value) in found {
        match by {
            None => number(value).into_iter().for_each(|value| page.number(family.name, labels, value)),
            Some(by) => {
                for (word, value) in value.as_object().into_iter().flat_map(Map::iter) {
                    let labels: Vec<_> = labels.iter().copied().chain([(*by, word.as_str())]).collect();
                    number(value).into_iter().for_each(|value| page.number(family.name, &labels, value));
                }
            }
        }
    }
}

/// Numbers of the process, under the names that all programs have them by.
fn process(page: &mut Page, usage: &Usage) {
    let mut add = |name: &str, kind, help: &str, number: Option<String>| {
        if let Some(number) = number {
            page.family(name, kind, help);
            page.number(name, &[], number);
        }
    };
    let seconds = |time: Duration| format!("{:?}", time.as_secs_f64());
    let whole = |number: Option<u64>| number.map(|number| number.to_string());
    let started = usage.started.and_then(|started| started.duration_since(UNIX_EPOCH).ok());
    add(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Time of processors, here and in the kernel.",
        usage.cpu.map(seconds),
    );
    add("process_resident_memory_bytes", Kind::Gauge, "Memory that is in use.", whole(usage.resident));
    add("process_open_fds", Kind::Gauge, "Descriptors that are open.", whole(usage.open));
    add("process_max_fds", Kind::Gauge, "Most descriptors that may be.", whole(usage.max));
    add("process_start_time_seconds", Kind::Gauge, "When it began, in seconds since 1970.", started.map(seconds));
}

/// The ends of the certificates: an alert looks at these.
fn certificates(page: &mut Page, stats: &Value) {
    const NAME: &str = "proxy_tls_certificate_expiry_timestamp_seconds";
    let Some(certificates) = stats.pointer("/tls/certificates").and_then(Value::as_array) else { return };
    page.family(NAME, Kind::Gauge, "When a certificate ends, in seconds since 1970.");
    for (at, certificate) in certificates.iter().enumerate() {
        let (names, ends) = (certificate["names"].as_str(), certificate["ends"].as_str());
        let ends = ends.and_then(|ends| humantime::parse_rfc3339(ends).ok());
        let seconds = ends.and_then(|ends| ends.duration_since(UNIX_EPOCH).ok());
        if let (Some(names), Some(seconds)) = (names, seconds) {
            // Two may be for the same names.
            page.number(NAME, &[("number", &at.to_string()), ("names", names)], seconds.as_secs());
        }
    }
}

/// Numbers of each server. One that is in several upstreams has a row for each.
fn of_servers(page: &mut Page, servers: &[Value]) {
    if servers.is_empty() {
        return;
    }
    let text = |server: &'_ Value, name: &str| server[name].as_str().unwrap_or(super::measures::NONE).to_owned();
    let named: Vec<_> = servers.iter().map(|row| (text(row, "upstream"), text(row, "name"), row)).collect();
    let all = |page: &mut Page, family: &str, value: &dyn Fn(&Value) -> Option<String>| {
        for (upstream, server, row) in &named {
            let labels = [("upstream", upstream.as_str()), ("server", server.as_str())];
            value(row).into_iter().for_each(|value| page.number(family, &labels, value));
        }
    };
    for Family { name, kind, help, numbers } in SERVER {
        page.family(name, *kind, help);
        all(page, name, &|row| numbers.iter().find_map(|at| number(row.pointer(at.at)?)));
    }
    page.family(
        "proxy_server_weight_ratio",
        Kind::Gauge,
        "The part of its share that counts; 0 if it gets no requests.",
    );
    all(page, "proxy_server_weight_ratio", &|row| {
        row.pointer("/health/weight_percent")?.as_f64().map(|percent| (percent / 100.0).to_string())
    });
    page.family("proxy_server_up", Kind::Gauge, "1 if the server gets requests, all or some.");
    all(page, "proxy_server_up", &|row| {
        let state = row.pointer("/health/state")?.as_str()?;
        Some(u8::from(!["down", "draining"].contains(&state)).to_string())
    });
    page.family("proxy_server_breaker_open", Kind::Gauge, "1 if its breaker holds requests back, all or some.");
    all(page, "proxy_server_breaker_open", &|row| {
        let closed = row.pointer("/health/breaker").and_then(Value::as_str) == Some("closed");
        Some(u8::from(!closed).to_string())
    });
}

fn histograms(page: &mut Page, name: &str, help: &str, label: &str, all: &[Arc<Series>]) {
    if all.is_empty() {
        return;
    }
    page.histograms(name, help);
    all.iter().for_each(|series| page.histogram(name, (label, &series.name), &series.read()));
}
