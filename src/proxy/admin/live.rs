//! The page for people, `GET /`, and the numbers that it asks for once a second, `/live.json`.
//!
//! The page is one file with its style and its script in it. It loads nothing from elsewhere, and its policy does not let it. The numbers
//! are those of `/stats`, with the durations in buckets, of which the page makes quantiles. Rates are differences of two answers: the
//! proxy remembers nothing for the page, and pays nothing while nobody looks.

use super::answer::Answer;
use crate::{
    http::{Status, page_policy},
    proxy::{
        measures::{BOUNDS, Measures, NONE, Reading},
        shared::Shared,
    },
    time::Instant,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::OnceLock};

const PAGE: &str = include_str!("live.html");

/// Servers of which the page tells. An answer of more would be work each second, and a list that nobody reads; those in trouble come
/// first.
const SHOWN: usize = 200;

/// The page.
pub(super) fn page() -> Answer {
    static FIELDS: OnceLock<String> = OnceLock::new();
    let extra = FIELDS.get_or_init(|| {
        let policy = page_policy(PAGE);
        format!(
            "Content-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"
        )
    });
    Answer { extra, ..Answer::new(Status::OK, "text/html; charset=utf-8", PAGE.to_owned()) }
}

/// The numbers, without white space.
pub(super) fn numbers(shared: &Shared, now: Instant) -> Answer {
    let mut live = shared.stats(now);
    live["version"] = json!(env!("CARGO_PKG_VERSION"));
    let left_out = live["backends"].as_array_mut().map_or(0, |servers| keep_some(servers, SHOWN));
    live["backends_left_out"] = json!(left_out);
    live["backends"].as_array_mut().into_iter().flatten().for_each(|server| add_order(shared, server));
    live["durations"] = json!(shared.measures.as_ref().map(|measures| durations(measures, &live["backends"])));
    if let Some(tls) = live["tls"].as_object_mut() {
        let certificates = tls.remove("certificates").unwrap_or_default();
        tls.insert("next_end".to_owned(), next_end(&certificates));
    }
    let extra = "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";
    Answer { extra, ..Answer::new(Status::OK, "application/json", live.to_string()) }
}

/// Keeps so many servers, those in trouble first, in the order that they had. How many it did not keep.
fn keep_some(servers: &mut Vec<Value>, most: usize) -> usize {
    let left_out = servers.len().saturating_sub(most);
    if left_out > 0 {
        let is_well = |server: &Value| server["health"]["state"] == "up";
        let mut order: Vec<usize> = (0..servers.len()).collect();
        order.sort_by_key(|at| is_well(&servers[*at]));
        let kept: BTreeSet<usize> = order.into_iter().take(most).collect();
        let mut at = 0..;
        servers.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    }
    left_out
}

/// Adds the word of an operator about a server, if there is one.
fn add_order(shared: &Shared, server: &mut Value) {
    let names = server["upstream"].as_str().zip(server["name"].as_str());
    let ordered = names.and_then(|(upstream, name)| shared.orders.of(upstream, name)).map(|ordered| ordered.state);
    if let Some(state) = ordered {
        server["ordered"] = json!(state);
    }
}

/// The first end of a certificate: they are written so that their order is that of time.
fn next_end(certificates: &Value) -> Value {
    let ends = certificates.as_array().into_iter().flatten().filter_map(|certificate| certificate["ends"].as_str());
    json!(ends.min())
}

/// The durations of all requests, and of those to each upstream that has a server among `servers`.
fn durations(measures: &Measures, servers: &Value) -> Value {
    let buckets = |reading: &Reading| json!({"up_to": reading.up_to, "count": reading.count});
    let all = measures.sites().map(|series| series.read()).fold(Reading::default(), Reading::and);
    let servers = servers.as_array().into_iter().flatten();
    let shown: BTreeSet<&str> = servers.map(|server| server["upstream"].as_str().unwrap_or(NONE)).collect();
    let upstreams = measures.upstreams().filter(|series| shown.contains(&*series.name));
    let upstreams: Vec<Value> = upstreams
        .map(|series| {
            let mut upstream = buckets(&series.read());
            upstream["name"] = json!(series.name);
            upstream
        })
        .collect();
    #[allow(clippy::cast_precision_loss)] // Half a minute is no large number.
    let bounds = BOUNDS.map(|micros| micros as f64 / 1e6);
    json!({"bounds": bounds, "all": buckets(&all), "upstreams": upstreams})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::page_faults, proxy::tests::World};

    #[test]
    fn the_page_is_one_script_and_one_style_and_makes_no_elements_of_text() {
        assert_eq!(page_faults(PAGE), Vec::<String>::new());
        let Answer { extra, .. } = page();
        assert!(extra.starts_with("Content-Security-Policy: default-src 'none'; script-src 'sha256-"), "{extra}");
    }

    #[test]
    fn servers_in_trouble_are_kept_before_others() {
        let servers = |states: &[&str]| -> Vec<Value> {
            let server = |(at, state): (usize, &&str)| json!({"name": at, "health": {"state": state}});
            states.iter().enumerate().map(server).collect()
        };
        for (states, most, kept) in [
            (&["up", "down", "up"][..], 3, &[0, 1, 2][..]),
            (&["up", "up", "up", "down"], 2, &[0, 3]),
            (&["draining", "up", "down", "down"], 2, &[0, 2]),
        ] {
            let mut list = servers(states);
            assert_eq!(keep_some(&mut list, most), states.len() - kept.len());
            let names: Vec<u64> = list.iter().filter_map(|server| server["name"].as_u64()).collect();
            assert!(names.iter().eq(kept), "{states:?}: {names:?}");
        }
    }

    #[test]
    fn the_certificate_that_ends_first_counts() {
        let certificates = json!([{"ends": "2031-01-01T00:00:00Z"}, {"ends": "2030-12-31T23:59:59Z"}]);
        assert_eq!(next_end(&certificates), "2030-12-31T23:59:59Z");
        assert_eq!(next_end(&json!([])), Value::Null);
    }

    #[test]
    fn the_numbers_have_durations_of_all_upstreams() {
        let world = World::speaking_http2(&["--admin", "127.0.0.1:9090"]);
        let answer = numbers(&world.proxy.worker.shared, world.cx.now());
        let live: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(live["durations"]["bounds"][0], 0.0005);
        assert_eq!(live["durations"]["all"]["count"], 0);
        assert_eq!(live["durations"]["upstreams"][0]["name"], "-");
        assert_eq!(live["backends_left_out"], 0);
    }
}
