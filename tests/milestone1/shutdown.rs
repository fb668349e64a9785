//! SIGTERM: what runs is finished, nothing new begins, the exit code is 0. A second one does not wait.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{Process, wait_until},
        raw::{Backend, Conn, End, in_parallel},
        websocket,
    },
};
use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

from_milestone1! {
    over_http2 {
        a_running_request_is_finished,
        a_running_upload_is_finished,
        new_connections_are_refused_while_it_drains,
        a_tunnel_is_closed_after_the_drain_timeout,
        a_request_that_does_not_end_is_broken_off_after_the_drain_timeout,
        a_second_signal_ends_at_once,
        sigint_does_the_same,
        a_signal_right_after_ready_is_heard,
    }
    over_tls "HTTP/2 has no clients of HTTP/1.0" {
        a_response_cut_off_by_the_drain_deadline_looks_cut_off,
    }
    over_tls "HTTP/2 has GOAWAY: an idle connection ends at once, since its client knows which requests were not looked at (tests/milestone5/http2.rs)" {
        an_idle_proxy_ends_after_the_grace,
        clients_at_work_lose_nothing,
        a_client_that_was_promised_another_turn_has_it,
    }
    in_plain "a connection whose handshake has not begun ends at once; and HTTP/2 has GOAWAY for those that idle" {
        clients_that_ask_during_the_grace_are_answered,
    }
}

/// Begins a drain, and returns when the only worker has begun it.
fn drain(proxy: &Process) {
    proxy.signal("TERM");
    wait_until("the listener to close", || refuses(proxy.listener()));
    proxy.wait_for_stderr("draining");
}

#[allow(clippy::disallowed_methods)] // The point is that connecting fails.
fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

fn an_idle_proxy_ends_after_the_grace(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let flags = ["--workers", "1", "--drain-timeout", "1h", "--drain-grace", "100ms"];
    let mut proxy = milestone.start(&[&backend], &flags);
    let (address, listener) = (proxy.address(), proxy.listener());
    let mut idle = Conn::open(address);
    assert_eq!(idle.ask(&get("/")).body, b"x");
    let mut silent = Conn::open(address);
    // Accepted for certain, because a client after it was.
    assert_eq!(Conn::open(address).ask(&get("/")).body, b"x");
    proxy.signal("TERM");
    idle.expect_end();
    silent.expect_end();
    // A client that holds on to its end would be waited for, for seconds: it might still have an answer to read.
    drop((idle, silent));
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(refuses(listener));
}

const POST: &str = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody";

fn clients_that_ask_during_the_grace_are_answered(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let mut proxy = milestone.start(&[&backend], &["--drain-timeout", "1h", "--drain-grace", "1h"]);
    let address = proxy.address();
    let mut clients: Vec<Conn> = (0..16).map(|_| Conn::open(address)).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.ask(POST).body, b"x"));
    // They have not said anything yet: their first request may be on its way.
    clients.extend((0..4).map(|_| Conn::open(address)));
    drain(&proxy);
    for client in &mut clients {
        let answer = client.ask(POST);
        assert_eq!((&answer.body[..], answer.field("connection")), (&b"x"[..], Some("close")));
        client.expect_end();
    }
    drop(clients);
    assert_eq!(proxy.wait().code(), Some(0), "no client is left");
    proxy.wait_for_stderr("drained: every request was answered");
    assert_eq!(backend.requests().len(), 36);
}

fn clients_at_work_lose_nothing(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let mut proxy = milestone.start(&[&backend], &["--workers", "2", "--drain-timeout", "1h", "--access-log", "off"]);
    let address = proxy.address();
    let asked = AtomicUsize::new(0);
    in_parallel(17, |number| {
        if number == 16 {
            wait_until("everybody to be at work", || asked.load(Relaxed) > 500);
            return proxy.signal("TERM");
        }
        let mut client = Conn::open(address);
        loop {
            // Panics if the connection ends without an answer.
            let answer = client.ask(POST);
            assert_eq!(answer.body, b"x");
            asked.fetch_add(1, Relaxed);
            if answer.field("connection") == Some("close") {
                return;
            }
        }
    });
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(backend.requests().len(), asked.load(Relaxed), "what was executed was answered");
}

fn a_client_that_was_promised_another_turn_has_it(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h", "--drain-grace", "1h"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    assert!(!client.read_until("ha").contains("Connection: close"));
    drain(&proxy);
    // Sent before it could know of the end.
    client.send(POST);
    upstream.send("lf");
    assert_eq!(client.read(2), b"lf");
    // In every milestone, no connection to a backend is kept any more.
    upstream = incoming.accept();
    upstream.read_until("body");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = client.response("POST");
    assert_eq!((&answer.body[..], answer.field("connection")), (&b"ok"[..], Some("close")));
    drop((client, upstream));
    assert_eq!(proxy.wait().code(), Some(0));
}

pub(super) fn a_running_request_is_finished(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h"]);
    let mut waiting = Conn::open(proxy.address());
    waiting.send(get("/waiting"));
    let mut first = incoming.accept();
    first.read_head();
    let mut reading = Conn::open(proxy.address());
    reading.send(get("/reading"));
    let mut second = incoming.accept();
    second.read_head();
    second.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    reading.read_until("hello");
    drain(&proxy);
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let response = waiting.response("GET");
    assert_eq!((&response.body[..], response.field("connection")), (&b"ok"[..], Some("close")));
    waiting.expect_end();
    second.send("world");
    assert_eq!(reading.read(5), b"world");
    reading.expect_end();
    drop((waiting, reading, first, second));
    assert_eq!(proxy.wait().code(), Some(0));
}

fn a_response_cut_off_by_the_drain_deadline_looks_cut_off(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--drain-timeout", "100ms"]);
    let mut client = Conn::open(proxy.address());
    // Its body ends with the connection: an end now would pass for the body's.
    client.send("GET / HTTP/1.0\r\n\r\n");
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\n\r\nhello");
    client.read_until("hello");
    drain(&proxy);
    assert_eq!(client.read_to_end().1, End::Reset);
}

fn a_running_upload_is_finished(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h"]);
    let mut client = Conn::open(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut upstream = incoming.accept();
    upstream.read_until("hello");
    drain(&proxy);
    client.send("5\r\nworld\r\n0\r\n\r\n");
    upstream.read_until("world\r\n0\r\n\r\n");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response("POST").body, b"ok");
    client.expect_end();
    drop((client, upstream));
    assert_eq!(proxy.wait().code(), Some(0));
}

fn new_connections_are_refused_while_it_drains(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h"]);
    let address = proxy.address();
    let mut client = Conn::open(address);
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    drain(&proxy);
    assert!(refuses(proxy.listener()));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response("GET").body, b"ok");
}

fn a_tunnel_is_closed_after_the_drain_timeout(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "300ms"]);
    let (mut client, mut upstream) = websocket::open(&proxy, &incoming);
    drain(&proxy);
    client.send("x");
    assert_eq!(upstream.read(1), b"x", "until the timeout it is carried on");
    assert_eq!(proxy.wait().code(), Some(0));
    tells_what_was_cut_off(&proxy, if milestone.hears_http2() { 200 } else { 101 });
    client.read_to_end();
    upstream.read_to_end();
}

fn a_request_that_does_not_end_is_broken_off_after_the_drain_timeout(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "200ms"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.read_until("hello\r\n");
    // Another that has no answer yet: it is told what happened.
    let mut second = Conn::open(proxy.address());
    second.send(get("/second"));
    let mut second_upstream = incoming.accept();
    second_upstream.read_head();
    drain(&proxy);
    let answer = second.response("GET");
    assert_eq!((answer.status(), answer.field("connection")), (504, Some("close")));
    assert_eq!(proxy.wait().code(), Some(0));
    let (rest, _) = client.read_to_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "an unfinished response was completed");
    tells_what_was_cut_off(&proxy, 200);
    tells_what_was_cut_off(&proxy, 504);
    proxy.wait_for_stderr("cut off after the drain timeout");
    assert!(proxy.stderr().contains("requests=2"), "{}", proxy.stderr());
}

/// There is a line of access log for it, with its reason.
fn tells_what_was_cut_off(proxy: &Process, status: u16) {
    proxy.wait_for_stderr("cut off after the drain timeout");
    let log = proxy.stderr();
    let status = format!("status={status} ");
    let told = log.lines().any(|line| line.contains(&status) && line.contains("failure=\"drain timeout\""));
    assert!(told, "{status}: {log}");
}

fn a_second_signal_ends_at_once(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h"]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    drain(&proxy);
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(128 + 15));
    client.read_to_end();
    upstream.read_to_end();
}

fn sigint_does_the_same(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let mut proxy = milestone.start(&[&backend], &[]);
    assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    proxy.signal("INT");
    assert_eq!(proxy.wait().code(), Some(0));
}

fn a_signal_right_after_ready_is_heard(milestone: &Milestone) {
    let backend = Backend::saying("x");
    for _ in 0..20 {
        let mut proxy = milestone.start(&[&backend], &[]);
        // Not by a program that would have to be started first.
        let id = nix::unistd::Pid::from_raw(proxy.id().try_into().expect("it is a process id"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        assert_eq!(proxy.wait().code(), Some(0), "READY was said before signals were heard");
    }
}
