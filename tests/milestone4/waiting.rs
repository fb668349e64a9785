//! Tests of the answers that a request waits for: those of requests that would get the same response, and no others.

use crate::{
    get, ok,
    support::{
        milestones::{Milestone, from_milestone4},
        process::wait_until,
        raw::{Backend, Conn},
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

from_milestone4! {
    over_http2 {
        each_variant_is_fetched_once,
        a_response_that_is_never_fresh_is_not_waited_for,
    }
    in_plain "all requests have to be with the proxy before the first answer, and behind a tunnel some would be late" {
        a_response_known_to_be_shared_is_waited_for,
        clients_with_credentials_do_not_wait_for_each_other,
        stale_variants_are_validated_side_by_side,
    }
}

/// Answers each request with what it has in `X`, after `gate` was opened, with these lines.
fn varying(gate: &Arc<AtomicBool>, lines: &'static str) -> Backend {
    let gate = gate.clone();
    Backend::start(move |mut served| {
        while let Some(request) = served.request() {
            wait_until("everybody", || gate.load(SeqCst));
            served.conn.send(ok(lines, request.field("x").unwrap_or("-")));
        }
    })
}

/// Returns when the only worker has heard everything that was sent to it before.
pub(crate) fn hear(proxy: &crate::support::process::Process) {
    let only = crate::get_with("/b", "Cache-Control: only-if-cached\r\n");
    (0..2).for_each(|_| assert_eq!(Conn::open(proxy.address()).ask(&only).status(), 504));
}

/// Returns when the workers have begun so many requests in all, whichever of them got which client.
pub(crate) fn wait_for_requests(proxy: &crate::support::process::Process, count: u64) {
    wait_until(&format!("{count} requests"), || proxy.stats()["requests"]["total"].as_u64() >= Some(count));
}

fn of(variant: &str) -> String {
    crate::get_with("/a", &format!("X: {variant}\r\n"))
}

/// Nothing is known of variants until the first response says `Vary`. Then each of the others is asked for once, too: also while
/// the body of the first is still to come.
fn each_variant_is_fetched_once(milestone: &Milestone) {
    for workers in ["1", "2"] {
        let [heads, bodies] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let gates = (heads.clone(), bodies.clone());
        let backend = Backend::start(move |mut served| {
            while let Some(request) = served.request() {
                let response = ok("Cache-Control: max-age=100\r\nVary: X\r\n", request.field("x").unwrap_or("-"));
                let (head, body) = response.split_at(response.len() - 1);
                wait_until("everybody", || gates.0.load(SeqCst));
                served.conn.send(head);
                wait_until("the others' requests", || gates.1.load(SeqCst));
                served.conn.send(body);
            }
        });
        let flags = ["--workers", workers, "--cache-wait", "1m", "--admin", "127.0.0.1:0"];
        let proxy = milestone.start(&[&backend], &flags);
        let variants = ["a", "b", "c", "b", "c", "b", "a", "c", "b", "c", "b", "c"];
        let mut clients: Vec<Conn> = variants.iter().map(|_| Conn::open(proxy.address())).collect();
        for (client, variant) in clients.iter_mut().zip(variants) {
            client.send(of(variant));
        }
        backend.wait_for_request(1);
        wait_for_requests(&proxy, variants.len() as u64);
        heads.store(true, SeqCst);
        backend.wait_for_request(3);
        hear(&proxy);
        bodies.store(true, SeqCst);
        for (client, variant) in clients.iter_mut().zip(variants) {
            assert_eq!(client.response("GET").body, variant.as_bytes());
        }
        assert_eq!(backend.requests().len(), 3, "{workers} workers");
    }
}

/// The stored responses say what variants differ in: the validation of one does not wait for that of another.
fn stale_variants_are_validated_side_by_side(milestone: &Milestone) {
    let gate = Arc::new(AtomicBool::new(true));
    let backend = varying(&gate, "Cache-Control: max-age=5\r\nAge: 5\r\nETag: \"1\"\r\nVary: X\r\n");
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
    let mut clients: Vec<Conn> = (0..6).map(|_| Conn::open(proxy.address())).collect();
    let variants = ["a", "b", "a", "b", "a", "b"];
    for variant in ["a", "b"] {
        assert_eq!(clients[0].ask(&of(variant)).body, variant.as_bytes());
    }
    gate.store(false, SeqCst);
    for (client, variant) in clients.iter_mut().zip(variants) {
        client.send(of(variant));
    }
    // Both, and one of each.
    backend.wait_for_request(4);
    hear(&proxy);
    let asked: Vec<_> = backend.requests().iter().skip(2).map(|asked| asked.field("x").unwrap().to_owned()).collect();
    assert!(asked == ["a", "b"] || asked == ["b", "a"], "{asked:?}");
    gate.store(true, SeqCst);
    for (client, variant) in clients.iter_mut().zip(variants) {
        assert_eq!(client.response("GET").body, variant.as_bytes());
    }
}

const SAYS_WHO: [&str; 2] = ["Cookie: sid=1\r\n", "Authorization: Basic YTpi\r\n"];

/// It is not known whether an answer to one of them may be shared: each asks at once, and no other waits for it.
fn clients_with_credentials_do_not_wait_for_each_other(milestone: &Milestone) {
    for lines in SAYS_WHO {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
        let mut clients: Vec<Conn> = (0..4).map(|_| Conn::open(proxy.address())).collect();
        // A stranger leads; the others do not follow, and do not lead strangers either.
        clients[0].send(get("/a"));
        let mut first = incoming.accept();
        first.read_head();
        let named = crate::get_with("/a", lines);
        let mut upstreams: Vec<Conn> = clients[1..3]
            .iter_mut()
            .map(|client| {
                client.send(&named);
                let mut upstream = incoming.accept();
                let is_said = |line: &String| lines.trim_end().eq_ignore_ascii_case(line);
                assert!(upstream.read_head().iter().any(is_said));
                upstream
            })
            .collect();
        clients[3].send(get("/a"));
        hear(&proxy);
        assert!(incoming.is_empty(), "the second stranger follows the first");
        for (upstream, body) in upstreams.iter_mut().zip(["1", "2"]) {
            upstream.send(ok("Cache-Control: private\r\n", body));
        }
        assert_eq!(clients[1].response("GET").body, b"1");
        assert_eq!(clients[2].response("GET").body, b"2");
        first.send(ok("Cache-Control: max-age=100\r\n", "0"));
        assert_eq!((clients[0].response("GET").body, clients[3].response("GET").body), (b"0".to_vec(), b"0".to_vec()));
    }
}

/// A response that is stored, or arrives, says that all clients get the same: then clients with credentials are treated
/// like others. With `Authorization`, the response has to permit it explicitly (RFC 9111 §3.5).
fn a_response_known_to_be_shared_is_waited_for(milestone: &Milestone) {
    for (said, lines, shared) in [
        ("max-age=5", SAYS_WHO[0], true),
        ("max-age=5", SAYS_WHO[1], false),
        ("max-age=5, public", SAYS_WHO[1], true),
        ("s-maxage=5", SAYS_WHO[1], true),
    ] {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
        let mut clients: Vec<Conn> = (0..3).map(|_| Conn::open(proxy.address())).collect();
        clients[0].send(get("/a"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(ok(&format!("Cache-Control: {said}\r\nAge: 5\r\nETag: \"1\"\r\n"), "old"));
        assert_eq!(clients[0].response("GET").body, b"old");
        let named = crate::get_with("/a", lines);
        clients[0].send(&named);
        upstream.read_head();
        clients[1].send(&named);
        hear(&proxy);
        if !shared {
            incoming.accept();
            continue;
        }
        assert!(incoming.is_empty(), "{said} {lines}");
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100, public\r\nContent-Length: 3\r\n\r\n";
        upstream.send(format!("{head}n"));
        // A request that comes when the response has begun to arrive sees which clients it is for.
        clients[0].read_until("\r\n\r\nn");
        clients[2].send(crate::get_with("/a", SAYS_WHO[0]));
        clients[2].read_until("\r\n\r\nn");
        upstream.send("ew");
        clients.iter_mut().for_each(|client| drop(client.read_until("ew")));
        assert!(incoming.is_empty());
    }
}

/// Each client has to ask for itself: none waits until another one has.
fn a_response_that_is_never_fresh_is_not_waited_for(milestone: &Milestone) {
    for said in ["Cache-Control: max-age=0\r\n", "Cache-Control: no-cache\r\n", ""] {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1m"]);
        let mut clients: Vec<Conn> = (0..2).map(|_| Conn::open(proxy.address())).collect();
        clients[0].send(get("/a"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(ok(&format!("{said}ETag: \"1\"\r\n"), "old"));
        assert_eq!(clients[0].response("GET").body, b"old");
        clients.iter_mut().for_each(|client| client.send(get("/a")));
        let mut upstreams = [upstream, incoming.accept()];
        upstreams.iter_mut().for_each(|upstream| drop(upstream.read_head()));
        upstreams.iter_mut().for_each(|upstream| upstream.send("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"));
        clients.iter_mut().for_each(|client| assert_eq!(client.response("GET").body, b"old"));
    }
}
