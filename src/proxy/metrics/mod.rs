//! `/metrics`: the numbers of `/stats` for Prometheus, and what only programs look at: durations in buckets.
//!
//! | file | question |
//! |---|---|
//! | `families.rs` | which number has which name, and what does it mean |
//! | `servers.rs` | what are the numbers of each server |
//! | `page.rs` | how is it written |
//!
//! No worker is asked: each has counters that only it writes, and the admin listener's thread reads them. The numbers of the whole proxy, a
//! hundred or so, are those of the reading that `/stats` shows. The numbers of sites, upstreams and servers are written as they are read:
//! there may be fifty thousand of them.

mod families;
mod page;
mod servers;
#[cfg(test)]
mod tests;

use super::{measures::Series, shared::Shared};
use crate::{
    http::RequestHead,
    net::process::{Usage, usage},
    time::Instant,
    tls,
};
use families::{Family, Number, OfServer, PROXY, SERVER};
use page::{Kind, Page};
use serde_json::{Map, Value};
use servers::{Server, Shown};
use std::time::{Duration, UNIX_EPOCH};

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
        let stats = self.numbers(now);
        let mut page = Page::new(open_metrics);
        page.family("proxy_build_info", Kind::Gauge, "The version that runs.");
        page.number("proxy_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        process(&mut page, &usage());
        PROXY.iter().for_each(|family| of_proxy(&mut page, family, &stats));
        if let Some(tls) = &self.tls {
            certificates(&mut page, &tls.store());
        }
        of_servers(&mut page, &self.servers(now));
        if let Some(measures) = &self.measures {
            let about = "From the end of a request's head to the end of its exchange, of all requests, by site.";
            histograms(&mut page, "proxy_request_duration_seconds", about, "site", measures.sites());
            let about = "The same, of requests that a server of the upstream was asked for.";
            histograms(&mut page, "proxy_upstream_request_duration_seconds", about, "upstream", measures.upstreams());
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
    for (Number { labels, by, word, .. }, value) in found {
        match by {
            None if word.is_some() => page.number(family.name, labels, u8::from(value.as_str() == *word)),
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
fn certificates(page: &mut Page, store: &tls::Store) {
    const NAME: &str = "proxy_tls_certificate_expiry_timestamp_seconds";
    page.family(NAME, Kind::Gauge, "When a certificate ends, in seconds since 1970.");
    for (at, (names, end)) in store.ends().enumerate() {
        if let Ok(end) = end.duration_since(UNIX_EPOCH) {
            // Two may be for the same names.
            page.number(NAME, &[("number", &at.to_string()), ("names", &names.to_string())], end.as_secs());
        }
    }
}

fn of_servers(page: &mut Page, servers: &[Server<'_>]) {
    if servers.is_empty() {
        return;
    }
    for OfServer { name, kind, help, read, .. } in SERVER {
        page.family(name, *kind, help);
        for server in servers {
            match read(server) {
                Shown::Whole(number) => page.row(name, &server.labels, number),
                Shown::Part(number) => page.row(name, &server.labels, number),
                Shown::Nothing => {}
            }
        }
    }
}

fn histograms<'s>(page: &mut Page, name: &str, help: &str, label: &str, all: impl Iterator<Item = &'s Series>) {
    let mut all = all.peekable();
    if all.peek().is_none() {
        return;
    }
    let family = page.histograms(name, help);
    all.for_each(|series| page.histogram(&family, (label, &series.name), &series.read()));
}
