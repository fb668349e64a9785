//! Tests of deadlines: exchanges that take too long end, and those that make progress do not. Deadlines are small here;
//! they are never early, and the only bound on how late they are is the tests' patience.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{now, wait_for, wait_until},
        raw::{Backend, Conn, End, SilentAddress},
        websocket,
    },
};
use std::time::Duration;

from_milestone1! {
    over_both {
        an_idle_connection_is_closed_without_a_word,
        a_body_that_stands_still_gets_408,
        a_body_that_makes_progress_is_waited_for,
        a_response_that_stands_still_is_broken_off,
        a_response_that_makes_progress_is_waited_for,
        a_silent_tunnel_is_closed,
    }
    over_http2 {
        a_connection_that_never_asks_is_closed_without_a_word,
        a_backend_that_does_not_answer_gets_the_client_504,
        a_backend_that_does_not_accept_gets_the_client_504,
        a_whole_exchange_can_be_limited,
        a_lively_tunnel_outlives_the_deadline_of_an_exchange,
        a_client_that_does_not_read_is_broken_off,
        a_backend_that_does_not_read_is_given_up,
    }
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        a_head_that_takes_too_long_gets_408,
        a_trickling_head_gets_408,
    }
}

const LIMIT: Duration = Duration::from_millis(200);

/// A deadline that the test itself must not miss: `1s` in flags. On a busy machine a test may not run for half a second.
const ROOMY: Duration = Duration::from_secs(1);

/// Runs `work`, which must not be over before the deadline.
fn not_early<T>(work: impl FnOnce() -> T) -> T {
    let start = now();
    let result = work();
    assert!(now() - start >= LIMIT, "the deadline was early: {:?}", now() - start);
    result
}

pub(super) fn a_head_that_takes_too_long_gets_408(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--head-timeout", "200ms"]);
    for part in ["G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost: test\r\n", "GET / HTTP/1.1\r\nHost: test\r\n\r"] {
        let mut client = Conn::open(proxy.address());
        not_early(|| {
            client.send(part);
            let response = client.response("GET");
            assert_eq!((response.status(), response.field("connection")), (408, Some("close")), "{part:?}");
        });
        client.expect_end();
    }
    // The same on a connection that has served before.
    let mut client = Conn::open(proxy.address());
    assert_eq!(client.ask(&get("/")).status(), 200);
    client.send("GET / HTTP/1.1\r\n");
    assert_eq!(client.response("GET").status(), 408);
    client.expect_end();
}

pub(super) fn a_trickling_head_gets_408(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--head-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX: ");
    // A byte now and then does not buy more time.
    wait_until("an answer", || {
        let _ = client.try_send("x");
        !client.is_quiet()
    });
    assert_eq!(client.response("GET").status(), 408);
    assert_eq!(backend.connections(), 0);
}

fn a_connection_that_never_asks_is_closed_without_a_word(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--head-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    client.expect_end();
}

pub(super) fn an_idle_connection_is_closed_without_a_word(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--idle-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    not_early(|| {
        assert_eq!(client.ask(&get("/")).status(), 200);
        client.expect_end();
    });
}

pub(super) fn a_body_that_stands_still_gets_408(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--body-timeout", "200ms"]);
    // Of a small one, no backend hears before it is complete.
    let mut client = Conn::open(proxy.address());
    not_early(|| {
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabcde");
        let response = client.response("POST");
        assert_eq!(response.status(), 408);
        milestone.expect_its_end(&mut client, &response);
    });
    assert!(incoming.is_empty());
    let long = format!("Content-Length: 20000\r\n\r\n{}abcde", "x".repeat(17_000));
    for framing in [&long, "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"] {
        let mut client = Conn::open(proxy.address());
        let mut upstream = not_early(|| {
            client.send(format!("POST / HTTP/1.1\r\nHost: test\r\n{framing}"));
            let mut upstream = incoming.accept();
            upstream.read_until("abcde");
            let response = client.response("POST");
            assert_eq!(response.status(), 408, "{framing:?}");
            milestone.expect_its_end(&mut client, &response);
            upstream
        });
        // The backend must not take what it has for the whole.
        assert_eq!(upstream.read_to_end().1, End::Reset, "{framing:?}");
    }
}

pub(super) fn a_body_that_makes_progress_is_waited_for(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--body-timeout", "1s", "--first-byte-timeout", "1s"]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n");
    for _ in 0..6 {
        wait_for(ROOMY / 5);
        client.send("x");
    }
    assert_eq!(client.response("POST").status(), 200);
}

fn a_backend_that_does_not_answer_gets_the_client_504(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--first-byte-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    for (method, body) in [("GET", ""), ("POST", "Content-Length: 3\r\n")] {
        let mut upstream = not_early(|| {
            client.send(format!("{method} / HTTP/1.1\r\nHost: test\r\n{body}\r\n"));
            client.send(if body.is_empty() { "" } else { "abc" });
            let upstream = incoming.accept();
            let response = client.response(method);
            assert_eq!(response.status(), 504, "{method}");
            let status = response.field("proxy-status");
            assert_eq!(status, Some("socket-patterns; error=http_response_timeout"), "{method}");
            upstream
        });
        upstream.read_to_end();
    }
    // It was slow, not dead: asking again would double its load.
    assert_eq!(backend.connections(), 2);
}

fn a_backend_that_does_not_accept_gets_the_client_504(milestone: &Milestone) {
    let silent = SilentAddress::new();
    let flags = [&["--connect-timeout", "200ms"][..], milestone.since(2, &["--no-health", "--retries", "0"])].concat();
    let proxy = milestone.start_before(&[&silent.address.to_string()], &flags);
    let mut client = Conn::open(proxy.address());
    not_early(|| {
        let response = client.ask(&get("/"));
        assert_eq!(response.status(), 504);
        assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=connection_timeout"));
    });
}

pub(super) fn a_response_that_stands_still_is_broken_off(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--response-timeout", "200ms"]);
    for framing in ["Content-Length: 10\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", "\r\nabcde"]
    {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        not_early(|| {
            upstream.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
            client.read_until("abcde");
            client.expect_reset();
        });
    }
}

pub(super) fn a_response_that_makes_progress_is_waited_for(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--response-timeout", "1s", "--first-byte-timeout", "1s"]);
    for framing in ["Content-Length: 6\r\n", "Connection: close\r\n"] {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n"));
        for _ in 0..6 {
            wait_for(ROOMY / 5);
            upstream.send("x");
        }
        drop(upstream);
        assert_eq!(client.response("GET").body, b"xxxxxx", "{framing:?}");
    }
}

fn a_whole_exchange_can_be_limited(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--request-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    not_early(|| {
        client.send(get("/"));
        assert_eq!(client.response("GET").status(), 504);
    });
    drop(incoming.accept());
    // Once the response has begun it can only be broken off; progress does not help.
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    client.read_head();
    wait_until("the end", || upstream.try_send("x").is_err());
    client.expect_reset();
}

pub(super) fn a_silent_tunnel_is_closed(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--tunnel-timeout", "1s", "--response-timeout", "50ms"]);
    let (mut client, mut upstream) = websocket::open(&proxy, &incoming);
    // Either side's bytes keep it open.
    for _ in 0..4 {
        wait_for(ROOMY / 5);
        client.send("x");
        assert_eq!(upstream.read(1), b"x");
        wait_for(ROOMY / 5);
        upstream.send("y");
        assert_eq!(client.read(1), b"y");
    }
    not_early(|| {
        client.send("last");
        assert_eq!(upstream.read(4), b"last");
        client.read_to_end();
        upstream.read_to_end();
    });
}

fn a_lively_tunnel_outlives_the_deadline_of_an_exchange(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--request-timeout", "2s"]);
    let (mut client, mut upstream) = websocket::open(&proxy, &incoming);
    // For longer than that, in which the 101 came.
    for _ in 0..12 {
        wait_for(LIMIT);
        client.send("x");
        assert_eq!(upstream.read(1), b"x");
        upstream.send("y");
        assert_eq!(client.read(1), b"y");
    }
}

pub(super) fn a_client_that_does_not_read_is_broken_off(milestone: &Milestone) {
    let backend = Backend::answering(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n".to_vec(), vec![b'x'; 32 * 1024 * 1024]].concat(),
    );
    let proxy = milestone.start(&[&backend], &["--write-timeout", "200ms"]);
    let before = proxy.settled_descriptors();
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    backend.wait_for_request(1);
    proxy.wait_for_descriptors(before);
    let (bytes, end) = client.read_to_end();
    assert_eq!(end, End::Reset, "after {} bytes", bytes.len());
}

fn a_backend_that_does_not_read_is_given_up(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--write-timeout", "200ms", "--body-timeout", "10s"]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 33554432\r\n\r\n");
    // More than all buffers on the way hold; the proxy stops reading before it is all sent.
    let piece = vec![b'x'; 1024 * 1024];
    client.send(&piece);
    let _upstream = incoming.accept();
    for _ in 0..32 {
        if client.try_send(&piece).is_err() {
            break;
        }
    }
    assert_eq!(client.response("POST").status(), 504);
}
