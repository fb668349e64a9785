//! Tests that each outcome of a request is counted under its right name.

use crate::{
    BRIEF, background, load, load_once, number,
    support::{
        mortal::Mortal,
        process::{Process, start, wait_for, wait_until},
        raw::{Backend, Served},
    },
};
use std::time::Duration;

const SHORT: [&str; 4] = ["--duration", BRIEF, "--clients", "3"];

fn event_driven(service: &str) -> Process {
    start(env!("CARGO_BIN_EXE_event-driven"), &["--service", service, "--log-level", "warn"])
}

#[test]
fn good_answers_of_every_service_in_every_way() {
    for (service, path) in [("http", "/bytes/100"), ("http", "/bytes/100000"), ("echo", ""), ("command", "")] {
        let server = event_driven(service);
        let url = format!("{service}://{}{path}", server.address());
        let ways: [&[&str]; 5] = [
            &[],
            &["--no-keep-alive"],
            &["--pipeline", "4"],
            &["--rate", "100"],
            &["--threads", "2", "--warm-up", "50ms"],
        ];
        for way in ways {
            let report = load(&url, &[&SHORT, way].concat());
            let requests = &report["requests"];
            assert!(requests["answered"].as_u64() > Some(0), "{service} {way:?}: {report:#}");
            assert_eq!(report["errors"], serde_json::json!({}), "{service} {way:?}");
            let made = report["connections"]["made"].as_u64();
            if way == ["--no-keep-alive"] {
                assert_eq!(made, requests["started"].as_u64(), "{service} {way:?}");
            } else {
                assert_eq!(made, Some(3), "{service} {way:?}");
            }
            assert!(way == ["--rate", "100"] || report["connections"]["clients_served"] == 3, "{report:#}");
        }
    }
}

#[test]
fn the_requests_sent_are_the_requests_that_arrived() {
    let backend = Backend::saying("hello");
    let report = load_once(&format!("http://{}/", backend.name()), &["--duration", "1s", "--clients", "3"]);
    assert_eq!(report["requests"]["started"].as_u64(), Some(backend.requests().len() as u64));
    assert_eq!(backend.connections(), 4, "three clients, and one look whether somebody is there");
}

#[test]
fn a_request_is_what_the_flags_say() {
    let backend = Backend::saying("hello");
    let flags = ["--method", "POST", "--header", "X-Test: a b", "-H", "Host: other", "--body", "12345"];
    load(&format!("http://{}/path?x=1", backend.name()), &[&SHORT[..], &flags].concat());
    let request = &backend.requests()[0];
    assert_eq!(request.head.as_ref().unwrap().start, ["POST", "/path?x=1", "HTTP/1.1"]);
    assert_eq!(request.body, b"12345");
    for (name, value) in [("Host", "other"), ("X-Test", "a b"), ("Content-Length", "5")] {
        assert_eq!(request.field(name), Some(value), "{name}");
    }
}

#[test]
fn every_failure_has_its_kind() {
    let answering = |text: &'static str| Backend::answering(text);
    let ending = |text: &'static str| {
        Backend::start(move |mut served: Served| {
            if served.request().is_some() {
                served.conn.send(text);
            }
        })
    };
    let resetting = Backend::start(|mut served| {
        if served.request().is_some() {
            served.conn.reset();
        }
    });
    let silent = Backend::start(|mut served| while served.request().is_some() {});
    let cases = [
        (ending("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), "closed early"),
        (ending("HTTP/1.1 200 OK\r\nContent-"), "closed early"),
        (ending("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"), "closed early"),
        (ending(""), "closed early"),
        (resetting, "reset"),
        (answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), "status 5xx"),
        (answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "status 4xx"),
        (answering("SSH-2.0-OpenSSH_9.2\r\n"), "bad response"),
        (answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "bad response"),
        (silent, "timeout"),
    ];
    for (backend, kind) in &cases {
        let url = format!("http://{}/", backend.name());
        // A request fails before the end, or it is under way then.
        let flags = if *kind == "timeout" { ["-d1s", "-c3", "--timeout", "100ms"] } else { SHORT };
        let report = load(&url, &flags);
        let errors = report["errors"].as_object().unwrap();
        assert!(errors.len() == 1 && errors.contains_key(*kind), "{kind}: {errors:?}");
        assert_eq!(report["requests"]["answered"], 0, "{kind}");
        assert!(report["requests"]["failed"].as_u64() >= Some(3), "{kind}: {report:#}");
        assert_eq!(report["connections"]["clients_served"], 0, "{kind}");
        // Zero would be the best of all latencies.
        assert!(report["latency_us"].is_null() && report["service_time_us"].is_null(), "{kind}");
    }
}

#[test]
fn an_answer_after_the_end_is_in_no_number() {
    // The first client has the server for itself, and the others get it when the first has left: at the end.
    let server = start(env!("CARGO_BIN_EXE_iterative"), &["--service", "http", "--log-level", "warn"]);
    let url = format!("http://{}/bytes/10", server.address());
    let report = load(&url, &["--duration", "500ms", "--clients", "4"]);
    assert_eq!(report["connections"]["clients_served"], 1, "{report:#}");
    // The three, and what the first asked last, if that was not answered just before.
    assert!((3.0..=4.0).contains(&number(&report, "/requests/unfinished")), "{report:#}");
    // A connection that was not answered by then was not answered from the start.
    assert!(number(&report, "/requests/longest_unfinished_us") >= 250_000.0, "{report:#}");
    assert!(number(&report, "/latency_us/max") < 500_000.0, "{report:#}");
    let answers = number(&report, "/requests/answered");
    let busy = answers * number(&report, "/latency_us/mean") / 1e6;
    assert!(busy <= 0.5 * 1.05, "Little's law: one client was served, and that for {busy} s of half a second");

    // At a fixed rate likewise: what is due in the last 400 ms of the second is not answered in it.
    let slow = start(env!("CARGO_BIN_EXE_event-driven"), &["--service", "http", "--log-level", "warn"]);
    let url = format!("http://{}/delay/400", slow.address());
    let report = load(&url, &["--duration", "1s", "--clients", "100", "--rate", "20"]);
    assert!(number(&report, "/requests/unfinished") >= 8.0, "{report:#}");
    let said = crate::run(&[&url, "--duration", "300ms", "--clients", "2"]).code(3);
    said.stdout(predicates::str::contains("2 under way at the end"))
        .stdout(predicates::str::contains("note: 2 requests under way at the end, the oldest for "))
        .stderr("error: nothing was served: of 2 requests, 2 under way at the end\n");
}

#[test]
fn an_end_that_ends_the_body_is_a_good_one() {
    let backend = Backend::start(|mut served| {
        if served.request().is_some() {
            served.conn.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        }
    });
    let report = load(&format!("http://{}/", backend.name()), &SHORT);
    assert_eq!(report["errors"], serde_json::json!({}));
    assert!(report["requests"]["answered"].as_u64() >= Some(3));
}

#[test]
fn a_new_connection_each_is_what_it_says_whatever_the_server_says() {
    // It ends its connections as it was asked to, and does not say so.
    let backend = Backend::start(|mut served| {
        if served.request().is_some() {
            served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let url = format!("http://{}/", backend.name());
    for way in [&["--no-keep-alive"][..], &["--header", "connection: Close"]] {
        let report = load(&url, &[&SHORT[..], way].concat());
        assert_eq!(report["errors"], serde_json::json!({}), "{way:?}");
        assert_eq!(report["connections"]["made"], report["requests"]["started"], "{way:?}: {report:#}");
    }
}

#[test]
fn answers_that_nobody_asked_for_are_noticed() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let report = load(&format!("http://{}/", Backend::answering(answer.repeat(2)).name()), &SHORT);
    assert!(report["connections"]["unasked"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn wrong_lines_and_refusals_are_counted() {
    let echo = |text: &'static str| {
        Backend::start(move |mut served: Served| {
            served.conn.send(text);
            // Until the client has gone.
            served.conn.read_to_end();
        })
    };
    for (scheme, backend, kind) in [
        ("echo", echo("Welcome!\nEcho #1: other\n"), "bad response"),
        ("echo", echo("Welcome!\nEcho #2: hello\n"), "bad response"),
        ("echo", echo("Busy: try again later.\n"), "busy"),
        ("echo", echo("HTTP/1.1 400 Bad Request\r\n\r\n"), "bad response"),
        ("command", echo("ERROR busy: try again later\n"), "busy"),
    ] {
        let report = load(&format!("{scheme}://{}", backend.name()), &[&SHORT[..], &["--timeout", "200ms"]].concat());
        let errors = report["errors"].as_object().unwrap();
        assert!(errors.contains_key(kind), "{scheme} {kind}: {report:#}");
        assert_eq!(report["requests"]["answered"], 0, "{scheme} {kind}");
    }
}

#[test]
fn a_server_that_dies_refuses_from_then_on() {
    let server = Mortal::saying("hello");
    let child =
        background(&[&format!("http://{}/", server.name()), "--duration", "1500ms", "--clients", "2", "--json", "-"]);
    wait_until("some requests", || server.requests() > 10);
    server.kill();
    let report = child.report();
    assert!(report["requests"]["answered"].as_u64() > Some(0), "{report:#}");
    assert!(report["errors"]["connect refused"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn a_fixed_rate_is_kept() {
    let server = event_driven("http");
    for threads in ["1", "3"] {
        let flags = ["--rate", "300", "--duration", "1s", "--clients", "20", "--threads", threads];
        let report = load(&format!("http://{}/", server.address()), &flags);
        let (started, left) = (number(&report, "/requests/started"), number(&report, "/requests/never_sent"));
        assert_eq!(started + left, 300.0, "{report:#}");
        // Requests that a loaded machine does not send are reported; most are sent.
        assert!(started >= 200.0, "{report:#}");
    }
}

#[test]
fn the_servers_cost_is_told_where_the_system_tells() {
    let server = event_driven("http");
    let pid = server.id().to_string();
    let report = load(&format!("http://{}/", server.address()), &[&SHORT[..], &["--server-pid", &pid]].concat());
    assert!(number(&report, "/cpu/own_us_per_request") > 0.0);
    if cfg!(target_os = "linux") {
        assert!(number(&report, "/cpu/server_us_per_request") > 0.0);
        assert!(number(&report, "/server/resident_bytes") > 1e5 && number(&report, "/server/processes") == 1.0);
    } else {
        assert!(report["cpu"]["server_us_per_request"].is_null() && report["server"].is_null());
    }
}

#[test]
fn interrupted_it_tells_what_it_has() {
    let backend = Backend::start(|mut served| {
        // One good answer, then silence.
        if served.request().is_some() {
            served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        while served.request().is_some() {}
    });
    let child =
        background(&[&format!("http://{}/", backend.name()), "--duration", "300s", "--clients", "2", "--json", "-"]);
    backend.wait_for_request(4);
    wait_for(Duration::from_millis(50));
    child.signal("INT");
    let report = child.report();
    assert_eq!(report["load"]["interrupted"], true);
    assert_eq!((&report["requests"]["answered"], &report["requests"]["unfinished"]), (&2.into(), &2.into()));
}

#[test]
fn a_request_not_yet_due_when_it_was_interrupted_was_not_missed() {
    let backend = Backend::saying("x");
    let url = format!("http://{}/", backend.name());
    let child = background(&[&url, "--rate", "50", "--duration", "300s", "--clients", "5", "--json", "-"]);
    backend.wait_for_request(3);
    child.signal("INT");
    let report = child.report();
    assert_eq!(report["load"]["interrupted"], true);
    // A loaded machine may leave a few undone, but not the five minutes that were still to come.
    assert!(number(&report, "/requests/never_sent") < 1000.0, "{report:#}");
}
