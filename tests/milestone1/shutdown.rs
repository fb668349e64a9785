//! SIGTERM: what runs is finished, nothing new begins, the exit code is 0. A second one does not wait.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{Process, wait_until},
        raw::{Backend, Conn, End},
    },
};
use std::net::{SocketAddr, TcpStream};

from_milestone1! {
    an_idle_proxy_ends_at_once,
    a_running_request_is_finished,
    a_response_cut_off_by_the_drain_deadline_looks_cut_off,
    a_running_upload_is_finished,
    new_connections_are_refused_while_it_drains,
    a_tunnel_is_closed_after_the_drain_timeout,
    a_request_that_does_not_end_is_broken_off_after_the_drain_timeout,
    a_second_signal_ends_at_once,
    sigint_does_the_same,
    a_signal_right_after_ready_is_heard,
}

/// Begins a drain, and returns when the only worker has begun it.
fn drain(proxy: &Process) {
    proxy.signal("TERM");
    wait_until("the listener to close", || refuses(proxy.address()));
    proxy.wait_for_stderr("draining");
}

#[allow(clippy::disallowed_methods)] // The point is that connecting fails.
fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

fn an_idle_proxy_ends_at_once(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "1h"]);
    let address = proxy.address();
    let mut idle = Conn::open(address);
    assert_eq!(idle.ask(&get("/")).body, b"x");
    let mut silent = Conn::open(address);
    // Accepted for certain, as somebody after it was.
    assert_eq!(Conn::open(address).ask(&get("/")).body, b"x");
    proxy.signal("TERM");
    idle.expect_end();
    silent.expect_end();
    // A client that holds on to its end would be waited for, for seconds: it might still have an answer to read.
    drop((idle, silent));
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(refuses(address));
}

fn a_running_request_is_finished(milestone: &Milestone) {
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
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello");
    let mut upstream = incoming.accept();
    upstream.read_until("hello");
    drain(&proxy);
    client.send("world");
    upstream.read_until("world");
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
    assert!(refuses(address));
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.response("GET").body, b"ok");
}

fn a_tunnel_is_closed_after_the_drain_timeout(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let mut proxy = milestone.start(&[&backend], &["--workers", "1", "--drain-timeout", "300ms"]);
    let mut client = Conn::open(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    client.read_head();
    drain(&proxy);
    client.send("x");
    assert_eq!(upstream.read(1), b"x", "until the timeout it is carried on");
    assert_eq!(proxy.wait().code(), Some(0));
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
    drain(&proxy);
    assert_eq!(proxy.wait().code(), Some(0));
    let (rest, _) = client.read_to_end();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "an unfinished response was completed");
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
