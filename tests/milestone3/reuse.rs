//! Connections are used again, and only those that may be.

use crate::{
    POST, ask_each_for_another, get,
    support::{
        milestones::{Milestone, from_milestone3},
        raw::{Backend, Conn, in_parallel},
    },
};

from_milestone3! {
    over_http2 {
        fifty_requests_open_one_connection,
        fifty_clients_share_one_connection,
        nearly_all_requests_reuse_a_connection,
        connections_of_backends_that_close_are_not_reused,
        a_connection_with_an_unread_response_is_not_reused,
        a_connection_with_an_unfinished_request_is_not_reused,
        the_requests_of_a_connection_can_be_limited,
        a_pool_of_none_is_milestone_2,
    }
    for_reverse_proxies "its clients choose the server, so there is no other one" {
        over_http2 {
            every_backend_has_its_own_connections,
        }
    }
}

fn fifty_requests_open_one_connection(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &[]);
    let mut client = Conn::open(proxy.address());
    for n in 0..50 {
        let request = if n % 2 == 0 { get("/") } else { POST.to_owned() };
        assert_eq!(client.ask(&request).body, b"x");
    }
    assert_eq!((backend.requests().len(), backend.connections()), (50, 1));
    assert!(backend.requests().iter().all(|request| request.field("connection").is_none()));
}

fn fifty_clients_share_one_connection(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    (0..50).for_each(|_| assert_eq!(Conn::open(proxy.address()).ask(&get("/")).body, b"x"));
    assert_eq!((backend.requests().len(), backend.connections()), (50, 1));
}

fn nearly_all_requests_reuse_a_connection(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--workers", "2", "--log-level", "warn"]);
    in_parallel(4, |_| {
        let mut client = Conn::open(proxy.address());
        (0..300).for_each(|_| assert_eq!(client.ask(&get("/")).body, b"x"));
    });
    assert_eq!(backend.requests().len(), 1200);
    assert!(backend.connections() <= 12, "{} connections for 1200 requests", backend.connections());
}

fn connections_of_backends_that_close_are_not_reused(milestone: &Milestone) {
    // Each says in its own way that the connection ends; none of them closes it itself.
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let backend = Backend::answering(answer);
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        (0..3).for_each(|_| assert_eq!(client.ask(&get("/")).status() / 100, 2, "{answer:?}"));
        assert_eq!(backend.connections(), 3, "{answer:?}");
    }
    // HTTP/1.0 that promises to stay, and heads that announce what does not come.
    for (request, answer) in [
        (get("/"), "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"),
        (get("/"), "HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n"),
        (
            get("/"),
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        ("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"),
    ] {
        let backend = Backend::answering(answer);
        let proxy = milestone.start(&[&backend], &["--workers", "1"]);
        let mut client = Conn::open(proxy.address());
        (0..3).for_each(|_| drop(client.ask(&request)));
        assert_eq!(backend.connections(), 1, "{answer:?}");
    }
}

/// Answers with the target, slowly if asked to: then only the head and a part come.
fn slow_or_not() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            let target = request.head.unwrap().target().to_owned();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len());
            if served.conn.try_send(head).is_err() {
                return;
            }
            if target.starts_with("/slow") {
                served.conn.send(&target[..5]);
                let _ = served.conn.read_to_end();
                return;
            }
            if served.conn.try_send(target).is_err() {
                return;
            }
        }
    })
}

fn a_connection_with_an_unread_response_is_not_reused(milestone: &Milestone) {
    let backend = slow_or_not();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    for n in 0..10 {
        let mut gone = Conn::open(proxy.address());
        gone.send(get("/slow-one"));
        gone.read_until("/slow");
        gone.reset();
        let target = format!("/{n}");
        assert_eq!(Conn::open(proxy.address()).ask(&get(&target)).body, target.as_bytes());
    }
}

fn a_connection_with_an_unfinished_request_is_not_reused(milestone: &Milestone) {
    let backend = slow_or_not();
    let proxy = milestone.start(&[&backend], &["--workers", "1"]);
    for n in 0..10 {
        let before = backend.connections();
        let mut gone = Conn::open(proxy.address());
        // As much as has to be here before a backend hears of it.
        let half = "GET /smuggled HTTP/1.1\r\n".repeat(1000);
        gone.send(format!("POST /gone HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n{half}"));
        if n == 0 {
            crate::support::process::wait_until("the half request", || backend.connections() > before);
        }
        gone.reset();
        let target = format!("/{n}");
        assert_eq!(Conn::open(proxy.address()).ask(&get(&target)).body, target.as_bytes());
    }
    assert!(backend.requests().iter().all(|request| request.head.as_ref().unwrap().method() == "GET"));
}

fn the_requests_of_a_connection_can_be_limited(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--pool-requests", "3"]);
    let mut client = Conn::open(proxy.address());
    (0..9).for_each(|_| assert_eq!(client.ask(&get("/")).body, b"x"));
    assert_eq!(backend.connections(), 3);
}

fn a_pool_of_none_is_milestone_2(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let proxy = milestone.start(&[&backend], &["--pool-max", "0"]);
    let mut client = Conn::open(proxy.address());
    (0..20).for_each(|_| assert_eq!(client.ask(&get("/")).body, b"x"));
    assert_eq!(backend.connections(), 20);
    assert!(backend.requests().iter().all(|request| request.field("connection") == Some("close")));
    // And no request waits for another.
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], &["--pool-max", "0"]);
    let mut clients: Vec<Conn> = (0..20).map(|_| Conn::open(proxy.address())).collect();
    ask_each_for_another(&mut clients);
    let upstreams: Vec<Conn> = clients.iter().map(|_| incoming.accept()).collect();
    for mut upstream in upstreams {
        upstream.read_head();
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    clients.iter_mut().for_each(|client| assert_eq!(client.response("GET").status(), 200));
}

fn every_backend_has_its_own_connections(milestone: &Milestone) {
    let backends = ["a", "b", "c"].map(Backend::saying);
    let proxy = milestone.start(&[&backends[0], &backends[1], &backends[2]], &["--workers", "1"]);
    let mut client = Conn::open(proxy.address());
    (0..30).for_each(|_| assert_eq!(client.ask(&get("/")).status(), 200));
    assert_eq!(backends.map(|backend| (backend.requests().len(), backend.connections())), [(10, 1); 3]);
}
