//! How long a client's connection lives, and what happens on it at the same time.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        raw::{Backend, Conn},
        wire::chunked,
    },
};

from_milestone1! {
    over_both {
        connections_persist,
        requests_on_a_connection_can_be_limited,
        a_client_may_end_its_side_after_the_request,
        a_client_that_ends_its_side_in_a_request_is_not_answered,
        interim_responses_are_relayed,
        a_client_that_expects_100_gets_it_from_the_backend,
        a_client_that_expects_100_may_be_refused_at_once,
        an_early_response_is_relayed_at_once_and_the_request_goes_on,
        an_upload_flows_while_it_is_sent,
        a_download_flows_while_it_is_sent,
    }
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        empty_lines_between_requests_are_skipped,
    }
    over_tls "HTTP/2 has no clients of HTTP/1.0" {
        http10_clients_get_no_interim_responses,
    }
    over_tls "a stream carries one request: nothing follows it on the same stream" {
        twenty_pipelined_requests_are_answered_in_order,
        pipelined_bodies_do_not_run_into_each_other,
    }
    over_tls "a stream ends alone: nothing in its messages is about the connection" {
        a_client_may_ask_for_the_end,
        an_early_response_of_a_backend_that_closes_ends_the_connection,
    }
}

/// Answers with the request's target.
fn echo() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let target = request.head.expect("it is complete").target().to_owned();
            let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
            if served.conn.try_send(response).is_err() {
                return;
            }
        }
    })
}

pub(super) fn connections_persist(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for n in 0..100 {
        let response = client.ask(&get(&format!("/{n}")));
        assert_eq!(response.body, format!("/{n}").as_bytes());
        assert_eq!(response.field("connection"), None);
    }
    assert!(client.is_quiet());
}

pub(super) fn a_client_may_ask_for_the_end(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    for head in ["GET /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n"] {
        let mut client = Conn::open(proxy.address());
        let response = client.ask(head);
        assert_eq!((&response.body[..], response.field("connection")), (&b"/x"[..], Some("close")), "{head:?}");
        client.expect_end();
    }
}

pub(super) fn requests_on_a_connection_can_be_limited(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &["--keep-alive-requests", "3"]);
    let mut client = Conn::open(proxy.address());
    for (target, connection) in [("/1", None), ("/2", None), ("/3", Some("close"))] {
        assert_eq!(client.ask(&get(target)).field("connection"), connection, "{target}");
    }
    client.expect_end();
}

pub(super) fn twenty_pipelined_requests_are_answered_in_order(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send((0..20).map(|n| get(&format!("/{n}"))).collect::<String>());
    for n in 0..20 {
        assert_eq!(client.response("GET").body, format!("/{n}").as_bytes());
    }
    assert!(client.is_quiet());
    assert_eq!(backend.requests().len(), 20);
}

pub(super) fn pipelined_bodies_do_not_run_into_each_other(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    let mut wire = Vec::new();
    // Bodies that look like requests: a proxy that loses count by a byte asks the backend for /smuggled.
    let bait = get("/smuggled");
    for n in 0..20 {
        let framing = if n % 2 == 0 {
            format!("Content-Length: {}\r\n\r\n{bait}", bait.len()).into_bytes()
        } else {
            [b"Transfer-Encoding: chunked\r\n\r\n".to_vec(), chunked(bait.as_bytes(), 7, "")].concat()
        };
        wire.extend(format!("POST /{n} HTTP/1.1\r\nHost: test\r\n").into_bytes());
        wire.extend(framing);
    }
    client.send(wire);
    for n in 0..20 {
        assert_eq!(client.response("POST").body, format!("/{n}").as_bytes());
        assert_eq!(backend.wait_for_request(n + 1).body, bait.as_bytes());
    }
    assert!(client.is_quiet());
    assert_eq!(backend.requests().len(), 20);
}

pub(super) fn a_client_may_end_its_side_after_the_request(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    for request in [
        get("/"),
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc".into(),
        // Pipelined, and the end with them.
        get("/"),
    ] {
        let mut client = Conn::open(proxy.address());
        client.send(&request);
        client.finish();
        let mut upstream = incoming.accept();
        upstream.request().expect("a whole request");
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        assert_eq!(client.response("GET").body, b"ok", "{request:?}");
        client.expect_end();
    }
    let echo = echo();
    let proxy = milestone.start(&[&echo], &[]);
    let mut client = Conn::open(proxy.address());
    client.send((0..5).map(|n| get(&format!("/{n}"))).collect::<String>());
    client.finish();
    for n in 0..5 {
        assert_eq!(client.response("GET").body, format!("/{n}").as_bytes(), "pipelined, then the end");
    }
    client.expect_end();
}

pub(super) fn a_client_that_ends_its_side_in_a_request_is_not_answered(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    let parts = [
        "GET / HTTP/1.1\r\nHo",
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ];
    for part in parts {
        let mut client = Conn::open(proxy.address());
        client.send(part);
        client.finish();
        let (answer, _) = client.read_to_end();
        let answer = String::from_utf8_lossy(&answer);
        // An error is as good as silence. A success would tell that half a request was taken for a whole one.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{part:?}: {answer}");
    }
    assert!(backend.requests().is_empty(), "half a request passed for a whole one");
}

pub(super) fn empty_lines_between_requests_are_skipped(milestone: &Milestone) {
    let backend = echo();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for target in ["/1", "/2", "/3"] {
        client.send("\r\n\r\n");
        assert_eq!(client.ask(&get(target)).body, target.as_bytes());
    }
}

pub(super) fn interim_responses_are_relayed(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.request().expect("a whole request");
    // Each is here before the next is sent: nothing waits for the final one.
    upstream.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-p\r\nX-P: 1\r\n\r\n");
    assert_eq!(client.read_head(), ["HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload"]);
    upstream.send("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(client.read_head(), ["HTTP/1.1 102 Processing"]);
    upstream.send(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let response = client.response("GET");
    let statuses: Vec<u16> = response.interim.iter().map(|head| head.status()).collect();
    assert_eq!((statuses, response.status(), &response.body[..]), (vec![100, 103], 200, &b"x"[..]));
}

pub(super) fn http10_clients_get_no_interim_responses(milestone: &Milestone) {
    let backend = Backend::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    );
    let proxy = milestone.start(&[&backend], &[]);
    let response = Conn::open(proxy.address()).ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((response.interim.len(), response.status(), &response.body[..]), (0, 200, &b"x"[..]));
}

const EXPECTING: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

pub(super) fn a_client_that_expects_100_gets_it_from_the_backend(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(EXPECTING);
    let mut upstream = incoming.accept();
    let head = upstream.read_head();
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("Expect: 100-continue")), "{head:?}");
    assert!(client.is_quiet(), "only the backend knows whether it wants the body");
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.read_head(), ["HTTP/1.1 100 Continue"]);
    client.send("hello");
    assert_eq!(upstream.read(5), b"hello");
    upstream.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response("POST").status(), 201);
}

pub(super) fn a_client_that_expects_100_may_be_refused_at_once(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(EXPECTING);
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let response = client.response("POST");
    assert_eq!((response.status(), &response.body[..], response.interim.len()), (401, &b"no"[..], 0));
    // Whether the body will come is unknown: so the connection ends.
    client.expect_end();
}

pub(super) fn an_early_response_is_relayed_at_once_and_the_request_goes_on(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut upstream = incoming.accept();
    upstream.read_head();
    assert_eq!(upstream.read_until("hello\r\n"), "5\r\nhello\r\n");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok!");
    assert_eq!(client.response("POST").body, b"ok!");
    client.send("5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(upstream.read_until("\r\n\r\n"), "5\r\nworld\r\n0\r\n\r\n");
    client.send(get("/next"));
    if milestone.number < 3 {
        upstream = incoming.accept();
    }
    assert!(upstream.read_head()[0].starts_with("GET /next "));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext");
    assert_eq!(client.response("GET").body, b"next");
}

pub(super) fn an_early_response_of_a_backend_that_closes_ends_the_connection(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
    client.send([b'x'; 16 * 1024]);
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    upstream.finish();
    let response = client.response("POST");
    assert_eq!((response.status(), &response.body[..]), (413, &b"big"[..]));
    assert_eq!(response.field("connection"), Some("close"));
    // Bytes that the client still sends must not destroy the answer, nor be taken for a request.
    let _ = client.try_send(vec![b'x'; 100_000]);
    client.expect_end();
}

pub(super) fn an_upload_flows_while_it_is_sent(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let mut upstream = incoming.accept();
    upstream.read_head();
    for n in 0..10 {
        if n > 0 {
            client.send("3\r\nabc\r\n");
        }
        assert_eq!(upstream.read_until("abc\r\n"), "3\r\nabc\r\n", "piece {n}");
    }
    client.send("0\r\n\r\n");
    assert_eq!(upstream.read_until("\r\n\r\n"), "0\r\n\r\n");
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.response("POST").status(), 204);
}

pub(super) fn a_download_flows_while_it_is_sent(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n");
    client.read_head();
    for n in 0..10 {
        upstream.send("abc");
        assert_eq!(client.read(3), b"abc", "piece {n}");
    }
}
