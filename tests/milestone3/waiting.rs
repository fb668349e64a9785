//! Tests of requests that wait for a connection: whether their clients are still there, and how that is found out.

use crate::{
    get,
    limits::{in_line, narrow, wait_for_waiting},
    support::{
        milestones::{Milestone, from_milestone3, from_milestone4},
        raw::{Backend, Conn, End, LOOPBACK_IS_A_NETWORK, in_parallel},
    },
};
use std::net::Ipv4Addr;

from_milestone3! {
    over_http2 {
        a_burst_waits_for_a_time_not_for_a_number,
        heads_without_bodies_take_no_connections,
        bodies_that_stand_still_give_their_connections_back,
        a_client_with_many_requests_does_not_keep_another_waiting,
    }
    over_tls "a client of HTTP/2 says by RST_STREAM that it wants no answer, so its end says nothing, and nothing has to be asked" {
        a_client_that_only_ended_its_side_is_served,
        a_request_is_given_up_with_its_client_where_that_is_wanted,
    }
    in_plain "a tunnel would not notice before its next words that the client has gone" {
        a_client_that_has_gone_is_not_served_before_those_that_wait,
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// More than the queue held by number (1,024), through two connections.
fn a_burst_waits_for_a_time_not_for_a_number(milestone: &Milestone) {
    const CLIENTS: usize = 1_200;
    let backend = Backend::saying("x");
    let flags = ["--pool-max", "2", "--pool-queue-timeout", "1h", "--access-log", "off", "--head-timeout", "1h"];
    // Clients in such numbers are slow to shake hands and to ask on a busy machine.
    let late = milestone.since(5, &["--tls-handshake-timeout", "1h"]);
    let proxy = milestone.start(&[&backend], &[&flags, late].concat());
    in_parallel(8, |_| {
        let mut clients: Vec<Conn> = (0..CLIENTS / 8).map(|_| Conn::open(proxy.address())).collect();
        clients
            .iter_mut()
            .for_each(|client| client.send("GET / HTTP/1.1\r\nHost: test\r\nCache-Control: no-store\r\n\r\n"));
        for client in &mut clients {
            assert_eq!(client.response("GET").body, b"x");
        }
    });
    assert_eq!(backend.requests().len(), CLIENTS);
}

/// With the flags as they are: as many as there are connections to a backend, and some more.
fn heads_without_bodies_take_no_connections(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--workers", "2"]);
    let idle: Vec<Conn> = (0..1_040)
        .map(|n| {
            let mut client = Conn::open(proxy.address());
            let begun = if n % 2 == 0 { "" } else { "nine byte" };
            client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n{begun}"));
            client
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x");
    }
    assert!(backend.requests().iter().all(|request| request.body.is_empty()));
    // They are served as soon as they send what they promised.
    let mut last = idle.into_iter().next_back().expect("there are some");
    last.send("s");
    assert_eq!(last.response("POST").body, b"x");
}

fn bodies_that_stand_still_give_their_connections_back(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &[]);
    for body in [
        format!("Content-Length: 1000000\r\n\r\n{}", "x".repeat(20_000)),
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello".to_owned(),
        "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n".to_owned(),
    ] {
        let mut slow = Conn::open(proxy.address());
        slow.send(format!("POST /slow HTTP/1.1\r\nHost: test\r\n{body}"));
        let mut upstream = incoming.accept();
        assert!(upstream.read_head()[0].starts_with("POST /slow "));
        if body.contains("Expect") {
            upstream.send("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(slow.read_head(), ["HTTP/1.1 100 Continue"]);
        }
        let mut waiting = Conn::open(proxy.address());
        waiting.send(get("/waiting"));
        assert_eq!(slow.response("POST").status(), 408);
        slow.finish();
        let mut upstream = incoming.accept();
        assert!(upstream.read_head()[0].starts_with("GET /waiting "));
        upstream.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(waiting.response("GET").status(), 200);
    }
    proxy.wait_for_stderr("request body too slow while others wait");
}

fn a_client_that_has_gone_is_not_served_before_those_that_wait(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &[]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    // Whole requests, then the end: from the wire they cannot be told from those of clients that wait.
    let gone: Vec<Conn> = ["GET /gone HTTP/1.1\r\nHost: test\r\n\r\n", crate::POST]
        .iter()
        .map(|request| {
            let mut client = Conn::open(proxy.address());
            client.send(request);
            client
        })
        .collect();
    wait_for_waiting(&proxy, 2);
    let mut last = Conn::open(proxy.address());
    last.send(get("/last"));
    wait_for_waiting(&proxy, 3);
    drop(gone);
    wait_for_waiting(&proxy, 1);
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
    assert!(upstream.read_head()[0].starts_with("GET /last "), "a request of nobody was sent");
    upstream.send(OK);
    assert_eq!(last.response("GET").status(), 200);
    proxy.wait_for_stderr("failure=\"client gone\"");
}

fn a_client_that_only_ended_its_side_is_served(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &[]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let mut half = Conn::open(proxy.address());
    half.send(get("/half"));
    half.finish();
    assert_eq!(half.read_head(), ["HTTP/1.1 100 Continue"], "it is asked");
    wait_for_waiting(&proxy, 1);
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
    assert!(upstream.read_head()[0].starts_with("GET /half "));
    upstream.send(OK);
    assert_eq!(half.response("GET").status(), 200);
    half.expect_end();
}

fn a_request_is_given_up_with_its_client_where_that_is_wanted(milestone: &Milestone) {
    let (proxy, incoming, _backend) =
        narrow(milestone, "1h", &[&["--on-client-close", "cancel"], milestone.since(2, &["--retries", "0"])].concat());
    // One that runs and is safe.
    let mut running = Conn::open(proxy.address());
    running.send(get("/running"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    running.finish();
    upstream.expect_reset();
    // One that runs and is not; and one that waits.
    let mut running = Conn::open(proxy.address());
    running.send(crate::POST);
    let mut upstream = incoming.accept();
    assert!(upstream.request().is_ok_and(|request| request.body == b"hello"));
    let mut waiting = Conn::open(proxy.address());
    waiting.send(crate::POST);
    wait_for_waiting(&proxy, 1);
    waiting.finish();
    wait_for_waiting(&proxy, 0);
    assert_eq!(waiting.outcome("POST").err(), Some(End::Reset));
    running.finish();
    upstream.send(OK);
    assert_eq!(running.response("POST").status(), 200);
    proxy.wait_for_stderr("failure=\"client closed its side\"");
}

fn a_client_with_many_requests_does_not_keep_another_waiting(milestone: &Milestone) {
    if !LOOPBACK_IS_A_NETWORK {
        return;
    }
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &[]);
    let (_clients, mut upstream) = in_line(&proxy, &incoming, 20, |n| {
        let mut client = Conn::open_from(Ipv4Addr::new(127, 0, 0, 2), proxy.address());
        client.send(get(&format!("/many/{n}")));
        client
    });
    let mut single = Conn::open_from(Ipv4Addr::new(127, 0, 0, 3), proxy.address());
    single.send(get("/single"));
    wait_for_waiting(&proxy, 20);
    for target in ["/many/0", "/many/1", "/single", "/many/2"] {
        assert!(upstream.read_head()[0].starts_with(&format!("GET {target} ")), "{target}");
        upstream.send(OK);
    }
    assert_eq!(single.response("GET").status(), 200);
}

mod cached {
    use super::{Backend, Conn, Milestone, from_milestone4, get};

    from_milestone4! {
        over_tls "a client of HTTP/2 says by RST_STREAM that it wants no answer, so its end says nothing, and nothing has to be asked" { one_that_waits_for_the_same_answer_is_asked_too, }
    }

    /// It could lead the next fetch when the one that it waits for fails.
    fn one_that_waits_for_the_same_answer_is_asked_too(milestone: &Milestone) {
        let (backend, incoming) = Backend::by_hand();
        let proxy = milestone.start(&[&backend], &["--workers", "1", "--cache-wait", "1h"]);
        let mut first = Conn::open(proxy.address());
        first.send(get("/same"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        let mut half = Conn::open(proxy.address());
        half.send(get("/same"));
        half.finish();
        assert_eq!(half.read_head(), ["HTTP/1.1 100 Continue"]);
        upstream.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!((first.response("GET").body, half.response("GET").body), (b"x".to_vec(), b"x".to_vec()));
    }
}
