//! Ends: `close_notify` before each of ours, and no end without the client's.

use crate::{
    Stage,
    support::raw::{Backend, End},
};
use std::{io::Write as _, net::Shutdown};

#[test]
fn every_end_of_ours_is_announced() {
    let stage = Stage::new(&["--idle-timeout", "300ms"]);
    let mut client = stage.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let (answer, end) = client.read_to_end();
    assert!(answer.ends_with(b"hello"));
    assert_eq!(end, End::Clean, "after the last answer");
    let mut idle = stage.client();
    assert_eq!(idle.get("/", "test").status(), 200);
    assert_eq!(idle.read_to_end(), (Vec::new(), End::Clean), "after the time for idle connections");
    let mut bad = stage.client();
    bad.send("GARBAGE\r\n\r\n");
    let (answer, end) = bad.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(end, End::Clean, "after an answer of our own");
}

#[test]
fn a_response_that_breaks_off_has_no_announced_end() {
    let backend = Backend::start(|mut served| {
        served.request();
        served.conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        served.conn.reset();
    });
    let stage = Stage::before(backend, &[]);
    let mut client = stage.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    let (_, end) = client.read_to_end();
    assert_eq!(end, End::Reset);
}

#[test]
fn a_client_that_says_close_notify_is_served_and_let_go() {
    let stage = Stage::new(&[]);
    let mut client = stage.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.close_notify();
    let (answer, end) = client.read_to_end();
    assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(end, End::Clean);
    assert!(!stage.proxy.stderr().contains("without close_notify"));
}

/// The tunnel's other end takes a clean end for "that was all": so it must hear of none that nobody has vouched for.
#[test]
fn the_end_of_a_tunnel_is_clean_only_after_close_notify() {
    for vouched in [true, false] {
        let (ends, heard) = std::sync::mpsc::channel();
        let backend = Backend::start(move |mut served| {
            served.request();
            served.conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
            ends.send(served.conn.read_to_end()).unwrap();
        });
        let stage = Stage::before(backend, &[]);
        let mut client = stage.client();
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(client.read().unwrap());
        }
        client.send("all of it");
        if vouched {
            client.close_notify();
        }
        client.stream.shutdown(Shutdown::Write).unwrap();
        let expected = if vouched { End::Clean } else { End::Reset };
        let (bytes, end) = heard.recv_timeout(crate::support::process::PATIENCE).unwrap();
        assert_eq!(end, expected);
        assert!(bytes == b"all of it" || !vouched, "{bytes:?}");
    }
}

#[test]
fn an_idle_client_may_go_without_a_word() {
    let stage = Stage::new(&["--admin", "127.0.0.1:0"]);
    let mut client = stage.client();
    assert_eq!(client.get("/", "test").status(), 200);
    client.stream.flush().unwrap();
    drop(client);
    assert_eq!(stage.client().get("/", "test").status(), 200);
}
