//! How many connections there are at most, and who waits for them how long.

use crate::{
    POST, ask_each_for_another, get,
    support::{
        milestones::{Milestone, from_milestone3},
        process::{Process, now, wait_until},
        raw::{Backend, Conn, Incoming, in_parallel},
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

from_milestone3! {
    over_http2 {
        there_is_never_a_fourth_connection_of_three,
        waiting_requests_are_served_in_order,
        a_full_queue_is_answered_with_503,
        without_a_queue_a_full_pool_is_answered_with_503,
        a_request_that_waits_too_long_is_answered_with_503,
        a_request_that_waits_and_leaves_is_forgotten,
        a_waiting_request_is_served_while_another_worker_idles,
        a_waiting_request_is_served_when_a_connection_breaks,
    }
    for_reverse_proxies "its clients choose the server, so there is no other one" {
        over_http2 {
            a_backends_own_limit_wins,
            another_backend_is_asked_before_anybody_waits,
        }
    }
}

pub(crate) fn wait_for_waiting(proxy: &Process, n: u64) {
    wait_until(&format!("{n} to wait"), || proxy.stats()["pool"]["waiting"] == n);
}

fn there_is_never_a_fourth_connection_of_three(milestone: &Milestone) {
    for workers in ["1", "2", "4"] {
        let (open, too_many) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let gate = Arc::new(AtomicBool::new(false));
        let shared = (open.clone(), too_many.clone(), gate.clone());
        let backend = Backend::start(move |mut served| {
            let (open, too_many, gate) = &shared;
            if open.fetch_add(1, SeqCst) >= 3 {
                // One that was just closed may not be noticed yet: it goes. A fourth stays.
                let since = now();
                wait_until("one to go", || open.load(SeqCst) <= 3 || now() - since > Duration::from_secs(2));
                too_many.fetch_or(open.load(SeqCst) > 3, SeqCst);
            }
            while served.request().is_some() {
                wait_until("the gate to open", || gate.load(SeqCst));
                if served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").is_err() {
                    break;
                }
            }
            open.fetch_sub(1, SeqCst);
        });
        let flags = ["--pool-max", "3", "--workers", workers, "--admin", "127.0.0.1:0", "--pool-queue-timeout", "1h"];
        let proxy = milestone.start(&[&backend], &flags);
        let mut clients: Vec<Conn> = (0..10).map(|_| Conn::open(proxy.address())).collect();
        ask_each_for_another(&mut clients);
        wait_for_waiting(&proxy, 7);
        backend.wait_for_request(3);
        assert_eq!((backend.requests().len(), backend.connections()), (3, 3), "{workers} workers");
        gate.store(true, SeqCst);
        clients.iter_mut().for_each(|client| assert_eq!(client.response("GET").body, b"x", "{workers} workers"));
        // And under load, with the gate open.
        in_parallel(10, |n| {
            let mut client = Conn::open(proxy.address());
            (0..50).for_each(|_| assert_eq!(client.ask(&get(&format!("/{n}"))).body, b"x"));
        });
        assert!(!too_many.load(SeqCst), "a fourth connection with {workers} workers");
        assert_eq!(backend.requests().len(), 510, "{workers} workers");
    }
}

fn a_backends_own_limit_wins(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let spec = format!("{},max=2", backend.name());
    let proxy = milestone.start_before(&[&spec], &["--no-health", "--workers", "1", "--admin", "127.0.0.1:0"]);
    let mut clients: Vec<Conn> = (0..3).map(|_| Conn::open(proxy.address())).collect();
    ask_each_for_another(&mut clients);
    wait_for_waiting(&proxy, 1);
    let mut upstreams = [incoming.accept(), incoming.accept()];
    assert!(incoming.is_empty());
    upstreams[0].read_head();
    upstreams[0].send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    upstreams[0].read_head();
    assert_eq!(backend.connections(), 2);
}

/// One connection, one worker: all other requests wait, for this time at most.
pub(crate) fn narrow(milestone: &Milestone, patience: &str, flags: &[&str]) -> (Process, Incoming, Backend) {
    let (backend, incoming) = Backend::by_hand();
    let ours = ["--pool-max", "1", "--workers", "1", "--admin", "127.0.0.1:0"];
    let patience = ["--pool-queue-timeout", patience];
    // Without a queue there is no time in it.
    let waits = if flags.contains(&"--pool-queue") { &[][..] } else { &patience };
    (milestone.start(&[&backend], &[&ours, waits, flags].concat()), incoming, backend)
}

/// `count` clients that ask one after the other: the first is under way, at the connection that is returned, and the others wait.
pub(crate) fn in_line(
    proxy: &Process,
    incoming: &Incoming,
    count: u64,
    ask: impl Fn(u64) -> Conn,
) -> (Vec<Conn>, Conn) {
    let mut clients = vec![ask(0)];
    let upstream = incoming.accept();
    for n in 1..count {
        clients.push(ask(n));
        wait_for_waiting(proxy, n);
    }
    (clients, upstream)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn waiting_requests_are_served_in_order(milestone: &Milestone) {
    let (proxy, incoming, backend) = narrow(milestone, "1h", &[]);
    let (mut clients, mut upstream) = in_line(&proxy, &incoming, 5, |n| {
        let mut client = Conn::open(proxy.address());
        client.send(get(&format!("/{n}")));
        client
    });
    for (n, client) in clients.iter_mut().enumerate() {
        assert!(upstream.read_head()[0].starts_with(&format!("GET /{n} ")));
        upstream.send(OK);
        assert_eq!(client.response("GET").status(), 200);
    }
    assert_eq!(backend.connections(), 1);
}

fn assert_full(response: &crate::support::wire::Message) {
    assert_eq!(response.status(), 503);
    assert!(response.field("retry-after").and_then(|after| after.parse().ok()).is_some_and(|s: u32| s >= 1));
    assert_eq!(response.field("proxy-status"), Some("socket-patterns; error=connection_limit_reached"));
}

fn a_full_queue_is_answered_with_503(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &["--pool-queue", "1"]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let mut second = Conn::open(proxy.address());
    second.send(get("/second"));
    wait_for_waiting(&proxy, 1);
    let mut third = Conn::open(proxy.address());
    assert_full(&third.ask(&get("/third")));
    // Refused, not broken: its connection goes on, and the others are served.
    assert_full(&third.ask(&get("/third")));
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
    upstream.read_head();
    upstream.send(OK);
    assert_eq!(second.response("GET").status(), 200);
    third.send(get("/third"));
    assert!(upstream.read_head()[0].contains("/third"));
    upstream.send(OK);
    assert_eq!(third.response("GET").status(), 200);
}

fn without_a_queue_a_full_pool_is_answered_with_503(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &["--pool-queue", "0"]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    assert_full(&Conn::open(proxy.address()).ask(&get("/second")));
    assert_full(&Conn::open(proxy.address()).ask(POST));
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
}

fn a_request_that_waits_too_long_is_answered_with_503(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "200ms", &[]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let start = now();
    assert_full(&Conn::open(proxy.address()).ask(&get("/second")));
    assert!(now() - start >= Duration::from_millis(200), "the deadline was early");
    // The one that runs has no such deadline.
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
    assert_eq!(proxy.stats()["pool"]["waiting"], 0);
}

fn a_request_that_waits_and_leaves_is_forgotten(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", &[]);
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let mut gone = Conn::open(proxy.address());
    gone.send(get("/gone"));
    wait_for_waiting(&proxy, 1);
    let mut last = Conn::open(proxy.address());
    last.send(get("/last"));
    wait_for_waiting(&proxy, 2);
    gone.reset();
    wait_for_waiting(&proxy, 1);
    upstream.send(OK);
    assert_eq!(first.response("GET").status(), 200);
    assert!(upstream.read_head()[0].starts_with("GET /last "), "somebody who left was served");
    upstream.send(OK);
    assert_eq!(last.response("GET").status(), 200);
}

fn a_waiting_request_is_served_while_another_worker_idles(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let flags = ["--pool-max", "1", "--workers", "4", "--pool-queue-timeout", "1h", "--pool-idle-timeout", "1h"];
    let proxy = milestone.start(&[&backend], &flags);
    // Each client comes to some worker, and there is one connection, which idles with the worker that used it last.
    let mut clients: Vec<Conn> = (0..24).map(|_| Conn::open(proxy.address())).collect();
    for round in 0..3 {
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.ask(&get("/")).body, b"x", "client {n}, round {round}");
        }
    }
    // All at once.
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| (0..10).for_each(|_| assert_eq!(client.ask(&get("/")).body, b"x")));
        }
    });
}

fn a_waiting_request_is_served_when_a_connection_breaks(milestone: &Milestone) {
    let (proxy, incoming, _backend) = narrow(milestone, "1h", milestone.since(2, &["--retries", "0"]));
    let mut first = Conn::open(proxy.address());
    first.send(get("/first"));
    let mut upstream = incoming.accept();
    upstream.read_head();
    let mut second = Conn::open(proxy.address());
    second.send(get("/second"));
    wait_for_waiting(&proxy, 1);
    upstream.reset();
    assert_eq!(first.response("GET").status(), 502);
    let mut upstream = incoming.accept();
    upstream.read_head();
    upstream.send(OK);
    assert_eq!(second.response("GET").status(), 200);
}

fn another_backend_is_asked_before_anybody_waits(milestone: &Milestone) {
    let (one, ones) = Backend::by_hand();
    let (two, twos) = Backend::by_hand();
    let proxy = milestone.start(&[&one, &two], &["--pool-max", "1", "--workers", "1", "--pool-queue", "0"]);
    let mut clients = [Conn::open(proxy.address()), Conn::open(proxy.address())];
    // Not for the same: where that is cached, one would wait for the other's answer.
    clients.iter_mut().zip(["/a", "/b"]).for_each(|(client, target)| client.send(get(target)));
    let mut upstreams = [ones.accept(), twos.accept()];
    // Both are busy; one becomes free, and whose turn it is does not matter then.
    upstreams[1].read_head();
    upstreams[1].send(OK);
    wait_until("an answer", || clients.iter().any(|client| !client.is_quiet()));
    for _ in 0..3 {
        let mut client = Conn::open(proxy.address());
        client.send(get("/c"));
        upstreams[1].read_head();
        upstreams[1].send(OK);
        assert_eq!(client.response("GET").status(), 200);
    }
}
