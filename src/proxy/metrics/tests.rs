use super::{
    families::{Number, OfServer, PROXY, SERVER},
    wants_open_metrics,
};
use crate::{
    http::{Method, RequestHead},
    proxy::tests::{SECOND, World},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Numbers of `/stats` that are no metric, each with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("/pool/closed", "the sum of those by reason"),
    ("/backends/0/health/id", "a name, and no number of something"),
    ("/backends/0/health/failures_that_count", "a part of the failed requests, for people who look for a cause"),
];

/// The places of all numbers in `value`.
fn numbers(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Number(_) | Value::Bool(_) => drop(found.insert(at.to_owned())),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| numbers(value, &format!("{at}/{name}"), found))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| numbers(value, &format!("{at}/{index}"), found));
        }
        Value::Null | Value::String(_) => {}
    }
}

fn covers(number: &Number, at: &str) -> bool {
    let rest = at.strip_prefix(number.at);
    rest.is_some_and(|rest| if number.by.is_some() { rest.starts_with('/') } else { rest.is_empty() })
}

#[test]
fn each_number_of_the_statistics_is_a_metric() {
    let world = World::speaking_http2(&["--admin", "127.0.0.1:9090"]);
    let shared = &world.proxy.worker.shared;
    let now = world.cx.now();
    let mut found = BTreeSet::new();
    numbers(&shared.stats(now), "", &mut found);
    assert!(found.len() > 60, "{found:?}");
    for at in &found {
        let of_proxy = PROXY.iter().flat_map(|family| family.numbers).filter(|number| covers(number, at)).count();
        let of_server = |family: &&OfServer| at.strip_prefix("/backends/0") == Some(family.at);
        let covered = of_proxy + SERVER.iter().filter(of_server).count();
        let left_out = LEFT_OUT.iter().filter(|(left, _)| left == at).count();
        assert_eq!(covered + left_out, 1, "{at} has to be in families.rs once, or to be left out for a reason");
    }
    let (_, page) = shared.metrics(false, now);
    for line in [
        "proxy_connections_open 0",
        "proxy_cache_forwarded_total{reason=\"uri-miss\"} 0",
        "proxy_server_up{upstream=\"-\",server=\"b:3000\"} 1",
        "proxy_server_weight_ratio{upstream=\"-\",server=\"b:3000\"} 1",
        "proxy_server_breaker_open{upstream=\"-\",server=\"b:3000\"} 0",
        "proxy_request_duration_seconds_count{site=\"-\"} 0",
        "proxy_upstream_request_duration_seconds_sum{upstream=\"-\"} 0",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\n{page}");
    }
}

/// The numbers of a server are read apart from `/stats`, and are the same.
#[test]
fn each_number_of_a_server_is_that_of_the_statistics() {
    let mut world = World::new(&[]);
    let (_, first) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    world.say(first, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let (_, second) = world.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    world.fail(second);
    world.pass(SECOND);
    let shared = &world.proxy.worker.shared;
    let (stats, (_, page)) = (shared.stats(world.cx.now()), shared.metrics(false, world.cx.now()));
    let row = &stats["backends"][0];
    assert!(row["requests"].as_u64() > Some(0) && row["health"]["failed_requests"].as_u64() > Some(0), "{row}");
    for family in SERVER {
        let start = format!("{}{{upstream=\"-\",server=\"b:3000\"}} ", family.name);
        let shown = page.lines().find_map(|line| line.strip_prefix(&start)).map(|shown| shown.parse::<f64>().unwrap());
        let number = match row.pointer(family.at).unwrap() {
            Value::String(word) => {
                let yes = match family.name {
                    "proxy_server_up" => word != "down" && word != "draining",
                    _ => word != "closed",
                };
                Some(f64::from(u8::from(yes)))
            }
            Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
            value if family.at.ends_with("percent") => value.as_f64().map(|percent| percent / 100.0),
            value => value.as_f64(),
        };
        assert_eq!(shown, number, "{}", family.name);
    }
}

#[test]
fn no_family_is_there_twice_and_each_is_called_as_the_conventions_say() {
    let mut known = BTreeSet::new();
    let of_proxy = PROXY.iter().map(|family| (family.name, family.kind, family.help));
    for (name, kind, help) in of_proxy.chain(SERVER.iter().map(|family| (family.name, family.kind, family.help))) {
        assert!(known.insert(name), "{name}");
        assert!(
            name.starts_with("proxy_")
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'2'),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), kind == super::Kind::Counter, "{name}");
        assert!(help.ends_with('.') && !help.contains(['\\', '\n']), "{name}");
    }
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    for (accept, open) in [
        (None, false),
        (Some("*/*"), false),
        (Some("text/plain"), false),
        (Some("application/openmetrics-text; version=1.0.0"), true),
        (Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4"), true),
        (Some("text/plain, Application/OpenMetrics-Text"), true),
        (Some("application/openmetrics-text;q=0"), false),
    ] {
        let mut head = RequestHead::new(Method::Get, "/metrics").unwrap();
        head.fields = accept.iter().map(|accept| ("Accept", accept)).collect();
        assert_eq!(wants_open_metrics(&head), open, "{accept:?}");
    }
}
