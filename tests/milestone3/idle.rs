//! Tests of connections that wait for their next request.

use crate::{
    POST, ask_each_for_another, get,
    support::{
        milestones::{Milestone, from_milestone3},
        mortal::Mortal,
        process::wait_until,
        raw::{Backend, Conn, End, Served},
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

from_milestone3! {
    over_http2 {
        a_backend_that_closes_idle_connections_fails_no_request,
        a_backend_that_closes_right_after_answering_fails_no_get,
        without_retries_a_dead_connection_fails_no_get_either,
        a_restarted_backend_fails_no_request,
        unsolicited_bytes_disqualify_a_connection,
        idle_connections_are_closed_in_time,
        old_connections_are_not_reused,
        no_more_idle_connections_are_kept_than_allowed,
        an_idle_connection_that_is_reset_costs_nothing,
        idle_connections_are_closed_on_shutdown,
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Does something to each connection after its first response, and counts when it is done.
fn after_the_first(then: impl Fn(Served) + Send + Sync + 'static) -> (Backend, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let shared = done.clone();
    let backend = Backend::start(move |mut served| {
        if served.request().is_some() && served.conn.try_send(OK).is_ok() {
            then(served);
            shared.fetch_add(1, SeqCst);
        }
    });
    (backend, done)
}

/// Ends the connection now. To drop it is not enough: a process that another test is starting holds a copy for a moment.
fn end(mut served: Served) {
    served.conn.finish();
}

fn a_backend_that_closes_idle_connections_fails_no_request(milestone: &Milestone) {
    let (backend, done) = after_the_first(end);
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    for n in 0..100 {
        let request = if n % 2 == 0 { get("/") } else { POST.to_owned() };
        assert_eq!(client.ask(&request).body, b"ok", "request {n}");
        wait_until("the backend to close", || done.load(SeqCst) > n);
    }
    assert_eq!((backend.requests().len(), backend.connections()), (100, 100));
}

fn a_backend_that_closes_right_after_answering_fails_no_get(milestone: &Milestone) {
    let (backend, _) = after_the_first(end);
    // Without a pause: the close and the next request cross each other.
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    (0..300).for_each(|n| assert_eq!(client.ask(&get("/")).body, b"ok", "request {n}"));
    // With resets instead of ends.
    let (backend, _) = after_the_first(|served| served.conn.reset());
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    for n in 0..100 {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        // The reset may destroy the response itself: that is the backend's doing, and must not look complete.
        if let Ok(response) = client.outcome("GET") {
            assert!([&b"ok"[..], b"502 Bad Gateway\n"].contains(&&response.body[..]), "request {n}: {response}");
        }
    }
}

fn without_retries_a_dead_connection_fails_no_get_either(milestone: &Milestone) {
    // That a kept connection was dead is the proxy's affair: before milestone 3 this request would have been answered.
    let (backend, _) = after_the_first(end);
    let proxy = milestone.start(&[&backend], &[&["--workers", "1"], milestone.since(2, &["--retries", "0"])].concat());
    let mut client = Conn::open(proxy.address());
    (0..1000).for_each(|n| assert_eq!(client.ask(&get("/")).status(), 200, "request {n}"));
}

fn a_restarted_backend_fails_no_request(milestone: &Milestone) {
    let mut backend = Mortal::saying("x");
    let proxy = milestone
        .start_before(&[&backend.name()], &[milestone.since(2, &["--no-health"]), &["--workers", "2"]].concat());
    let mut clients: Vec<Conn> = (0..8).map(|_| Conn::open(proxy.address())).collect();
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| assert_eq!(client.ask(&get("/")).body, b"x"));
            }
        });
        backend.kill();
        backend.revive();
        // All its connections are dead, and the proxy has not looked at them yet.
        for (n, client) in clients.iter_mut().enumerate() {
            let request = if n % 2 == 0 { get("/") } else { POST.to_owned() };
            assert_eq!(client.ask(&request).body, b"x");
        }
    }
}

fn unsolicited_bytes_disqualify_a_connection(milestone: &Milestone) {
    for bytes in ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", "HTTP/1.1 408 Timeout\r\n\r\n", "\r\n", "x"] {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        // Often: the bytes and the next request may well be heard of in the same turn.
        for request in [&get("/")[..], POST].repeat(25) {
            let mut client = Conn::open(proxy.address());
            client.send(get("/"));
            let mut first = incoming.accept();
            first.read_head();
            first.send(OK);
            assert_eq!(client.response("GET").body, b"ok");
            let before = backend.connections();
            first.send(bytes);
            client.send(request);
            wait_until("a connection or an answer", || backend.connections() > before || !client.is_quiet());
            assert!(backend.connections() > before, "{:?} answered {request:?}", client.response("GET"));
            let mut second = incoming.accept();
            second.read_head();
            second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue");
            assert_eq!(client.response("GET").body, b"true", "{bytes:?} before {request:?}");
            // And the suspect is closed, not forgotten.
            let (rest, _) = first.read_to_end();
            assert!(rest.is_empty() || rest.starts_with(b"GET /"), "{:?}", String::from_utf8_lossy(&rest));
        }
    }
}

fn idle_connections_are_closed_in_time(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--pool-idle-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let start = crate::support::process::now();
    upstream.send(OK);
    assert_eq!(client.response("GET").body, b"ok");
    upstream.expect_end();
    assert!(start.elapsed().as_millis() >= 200, "closed early");
    drop(upstream);
    client.send(get("/"));
    incoming.accept().read_head();
}

fn old_connections_are_not_reused(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--pool-lifetime", "100ms", "--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    wait_until("a second connection", || {
        assert_eq!(client.ask(&get("/")).body, b"x");
        backend.connections() > 1
    });
    assert!(backend.requests().len() > 2, "a young one is used again");
}

fn no_more_idle_connections_are_kept_than_allowed(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--pool-idle", "2", "--workers", "1", "--pool-idle-timeout", "1h"]);
    let mut clients: Vec<Conn> = (0..5).map(|_| Conn::open(proxy.address())).collect();
    ask_each_for_another(&mut clients);
    let mut upstreams: Vec<Conn> = (0..5).map(|_| incoming.accept()).collect();
    for upstream in &mut upstreams {
        upstream.read_head();
        upstream.send(OK);
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.response("GET").body, b"ok"));
    wait_until("three to be closed", || upstreams.iter().filter(|upstream| !upstream.is_quiet()).count() == 3);
}

fn an_idle_connection_that_is_reset_costs_nothing(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    let before = proxy.settled_descriptors();
    for _ in 0..20 {
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        upstream.send(OK);
        assert_eq!(client.response("GET").body, b"ok");
        upstream.reset();
        // The client is still there: only the backend's connection has gone.
        proxy.wait_for_descriptors(before + 1);
        drop(client);
        proxy.wait_for_descriptors(before);
    }
}

fn idle_connections_are_closed_on_shutdown(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--drain-timeout", "1h", "--pool-idle-timeout", "1h"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(OK);
    assert_eq!(client.response("GET").body, b"ok");
    proxy.signal("TERM");
    assert_eq!(upstream.read_to_end(), (Vec::new(), End::Clean));
    client.expect_end();
    drop((client, upstream));
    assert_eq!(proxy.wait().code(), Some(0));
}
