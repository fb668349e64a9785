//! Tests of the requests that are sent again, and of those that never are.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone2},
        process::now,
        raw::{Backend, Conn, refusing_address},
    },
};

from_milestone2! {
    over_http2 {
        a_request_that_reached_nobody_is_sent_elsewhere,
        an_idempotent_request_is_sent_again,
        a_request_that_is_not_idempotent_is_executed_once,
        a_body_that_is_gone_is_not_sent_again,
        a_slow_backend_is_not_asked_twice,
        the_number_of_retries_is_limited,
        retries_do_not_multiply_the_load,
        a_response_that_has_begun_is_not_asked_for_again,
    }
}

/// Reads a request and breaks off.
fn deadly() -> Backend {
    Backend::start(|mut served| {
        served.request();
    })
}

const STEADY: &[&str] = &["--workers", "1", "--breaker-failures", "0"];

fn a_request_that_reached_nobody_is_sent_elsewhere(milestone: &Milestone) {
    let good = Backend::saying("good");
    let (dead, name) = (refusing_address().to_string(), good.name());
    let proxy = milestone.start_before(&[&dead, &name], &[STEADY, &["--no-health"]].concat());
    let mut client = Conn::open(proxy.address());
    for n in 0..8 {
        // No backend has seen it: so any method and any body may be sent again.
        let request = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(client.ask(request).body, b"good", "request {n}");
        assert_eq!(client.ask(&get("/")).body, b"good", "request {n}");
    }
    let requests = good.requests();
    assert_eq!(requests.len(), 16);
    assert!(requests.iter().all(|request| request.body == b"hello" || request.body.is_empty()));
}

fn an_idempotent_request_is_sent_again(milestone: &Milestone) {
    let (bad, good) = (deadly(), Backend::saying("good"));
    let proxy = milestone.start(&[&bad, &good], STEADY);
    let mut client = Conn::open(proxy.address());
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "GET"] {
        let response = client.ask(&format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(response.status(), 200, "{method}");
    }
    assert!(!bad.requests().is_empty() && good.requests().len() == 6);
    // A new connection, and the whole request again.
    assert!(good.requests().iter().any(|request| request.head.as_ref().unwrap().method() == "DELETE"));
}

fn a_request_that_is_not_idempotent_is_executed_once(milestone: &Milestone) {
    for (method, length) in [("POST", 0), ("POST", 5), ("PATCH", 0), ("UNKNOWN", 0)] {
        let (one, two) = (deadly(), deadly());
        let proxy = milestone.start(&[&one, &two], STEADY);
        let request =
            format!("{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
        let response = Conn::open(proxy.address()).ask(&request);
        assert_eq!(response.status(), 502, "{method}");
        assert_eq!(one.requests().len() + two.requests().len(), 1, "{method} was executed more or less than once");
        proxy.wait_for_stderr(method);
        let log = proxy.stderr();
        let line = log.lines().find(|line| line.contains("status=502")).expect("a line in the log");
        assert!(line.contains("not_retried=\"method not idempotent\""), "{line}");
    }
}

fn a_body_that_is_gone_is_not_sent_again(milestone: &Milestone) {
    let (one, two) = (deadly(), deadly());
    let proxy = milestone.start(&[&one, &two], STEADY);
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask("PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello").status(), 502);
    assert_eq!(one.requests().len() + two.requests().len(), 1);
}

fn a_slow_backend_is_not_asked_twice(milestone: &Milestone) {
    let slow = || {
        Backend::start(|mut served| {
            served.request();
            let _ = served.conn.read_to_end();
        })
    };
    let (one, two) = (slow(), slow());
    let proxy = milestone.start(&[&one, &two], &[STEADY, &["--first-byte-timeout", "100ms"]].concat());
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).status(), 504);
    assert_eq!(one.requests().len() + two.requests().len(), 1);
}

fn the_number_of_retries_is_limited(milestone: &Milestone) {
    let quick = ["--retry-backoff", "1ms"];
    let five = ["--retries", "5", "--retry-backoff", "1ms"];
    for (flags, tries) in [(&quick[..], 3), (&["--retries", "0"], 1), (&five, 6)] {
        let backend = deadly();
        let proxy = milestone.start(&[&backend], &[STEADY, flags].concat());
        assert_eq!(Conn::open(proxy.address()).ask(&get("/")).status(), 502, "{flags:?}");
        assert_eq!(backend.requests().len(), tries, "{flags:?}");
    }
}

fn retries_do_not_multiply_the_load(milestone: &Milestone) {
    const REQUESTS: usize = 200;
    let backend = deadly();
    let proxy = milestone.start(&[&backend], &[STEADY, &["--retry-backoff", "0s"]].concat());
    let start = now();
    let mut client = Conn::open(proxy.address());
    (0..REQUESTS).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 502));
    // One in five, and ten a second in any case.
    let seconds = (now() - start).as_secs_f64();
    let most = REQUESTS + REQUESTS / 5 + (10.0 * (seconds + 1.0)) as usize + 2;
    let seen = backend.requests().len();
    assert!(seen > REQUESTS && seen <= most, "{REQUESTS} requests became {seen} in {seconds} s, allowed {most}");
}

fn a_response_that_has_begun_is_not_asked_for_again(milestone: &Milestone) {
    let half = || {
        Backend::start(|mut served| {
            served.request();
            served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        })
    };
    let (one, two) = (half(), half());
    let proxy = milestone.start(&[&one, &two], STEADY);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    assert!(client.outcome("GET").is_err());
    assert_eq!(one.requests().len() + two.requests().len(), 1);
}
