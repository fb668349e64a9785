//! Slow peers do not hold up others. One worker, so that there is only one loop to hold up.

use crate::{
    get,
    support::{
        milestones::{Milestone, from_milestone1},
        process::{wait_for, wait_until},
        raw::{Backend, Conn},
        wire::chunked,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

from_milestone1! {
    over_http2 {
        bodies_that_come_byte_by_byte_hold_up_nobody,
        a_response_that_comes_byte_by_byte_holds_up_nobody,
        a_client_that_never_reads_holds_up_nobody_and_costs_no_memory,
        a_backend_that_never_reads_costs_no_memory,
    }
    over_tls "they are about the syntax of HTTP/1; that of frames has its tables in src/http2/connection/tests" {
        heads_that_come_byte_by_byte_hold_up_nobody,
    }
    over_tls "a stream carries one request: nothing follows it on the same stream" {
        a_pipeline_that_is_never_read_costs_no_memory,
    }
    in_plain "the buffers of what is between the client and the proxy would hide how fast the client reads" {
        a_backend_that_reads_slowly_is_served,
        a_client_that_reads_slowly_is_served,
    }
    in_plain "half a gigabyte would go through what is between, and TLS and HTTP/2 have buffers of their own: src/proxy/tests/streams.rs bounds those" {
        each_of_many_clients_that_never_read_costs_little,
    }
}

const ONE: &[&str] = &["--workers", "1"];

/// Answers `/endless` with a body of 256 MiB, anything else with `ok`.
fn backend() -> Backend {
    Backend::start(|mut served| {
        while let Some(request) = served.request() {
            if request.head.unwrap().target() == "/endless" {
                let _ = served.conn.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 << 20));
                let piece = vec![b'x'; 1 << 16];
                while served.conn.try_send(&piece).is_ok() {}
                return;
            }
            if served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    })
}

fn heads_that_come_byte_by_byte_hold_up_nobody(milestone: &Milestone) {
    let backend = backend();
    let proxy = milestone.start(&[&backend], ONE);
    let mut slow: Vec<Conn> = (0..20).map(|_| Conn::open(proxy.address())).collect();
    let mut other = Conn::open(proxy.address());
    for byte in get("/slow").bytes() {
        slow.iter_mut().for_each(|client| client.send([byte]));
        assert_eq!(other.ask(&get("/fast")).body, b"ok");
    }
    slow.iter_mut().for_each(|client| assert_eq!(client.response("GET").body, b"ok"));
}

pub(super) fn bodies_that_come_byte_by_byte_hold_up_nobody(milestone: &Milestone) {
    let backend = backend();
    let proxy = milestone.start(&[&backend], ONE);
    let mut slow: Vec<Conn> = (0..20).map(|_| Conn::open(proxy.address())).collect();
    let mut other = Conn::open(proxy.address());
    let head = "POST /slow HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    slow.iter_mut().for_each(|client| client.send(head));
    for byte in chunked(b"a slow body", 4, "X-T: 1\r\n") {
        slow.iter_mut().for_each(|client| client.send([byte]));
        assert_eq!(other.ask(&get("/fast")).body, b"ok");
    }
    slow.iter_mut().for_each(|client| assert_eq!(client.response("POST").body, b"ok"));
    let slow = backend.requests().into_iter().filter(|request| request.head.as_ref().unwrap().method() == "POST");
    assert!(slow.map(|request| assert_eq!(request.body, b"a slow body")).count() == 20);
}

fn a_response_that_comes_byte_by_byte_holds_up_nobody(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], ONE);
    let mut client = Conn::open(proxy.address());
    client.send(get("/slow"));
    let mut slow = incoming.accept();
    slow.read_head();
    let mut other = Conn::open(proxy.address());
    for (n, byte) in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".iter().enumerate() {
        slow.send([*byte]);
        if n % 10 == 5 {
            other.send(get("/fast"));
            let mut fast = incoming.accept();
            fast.read_head();
            fast.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            assert_eq!(other.response("GET").body, b"ok");
        }
    }
    assert_eq!(client.response("GET").body, b"abc");
}

/// The memory that a peer that does not read may cost: two high-water marks and the sizes of a few reads, not the body.
const COST_KIB: u64 = 8 * 1024;

fn a_client_that_never_reads_holds_up_nobody_and_costs_no_memory(milestone: &Milestone) {
    let backend = backend();
    let proxy = milestone.start(&[&backend], ONE);
    let mut other = Conn::open(proxy.address());
    assert_eq!(other.ask(&get("/fast")).body, b"ok");
    let (before, descriptors) = (proxy.peak_memory(), proxy.settled_descriptors());
    let mut stuck: Vec<Conn> = (0..5).map(|_| Conn::open(proxy.address())).collect();
    stuck.iter_mut().for_each(|client| client.send(get("/endless")));
    for _ in 0..1000 {
        assert_eq!(other.ask(&get("/fast")).body, b"ok");
    }
    let cost = proxy.peak_memory() - before;
    assert!(cost < COST_KIB, "five clients that do not read cost {cost} KiB");
    // They are not forgotten: a reader gets on.
    let mut client = stuck.pop().unwrap();
    client.read_head();
    assert!(client.read(20 << 20).iter().all(|byte| *byte == b'x'));
    client.reset();
    stuck.into_iter().for_each(Conn::reset);
    // Kept connections to the backend may be one more than before.
    proxy.wait_for_descriptors(descriptors + 1);
}

fn a_backend_that_never_reads_costs_no_memory(milestone: &Milestone) {
    let (backend, incoming) = Backend::by_hand();
    let proxy = milestone.start(&[&backend], ONE);
    let before = proxy.peak_memory();
    let mut client = Conn::open(proxy.address());
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", 256 << 20));
    client.send([b'x'; 16 * 1024]);
    let mut upstream = incoming.accept();
    let sender = std::sync::Mutex::new(client);
    let sent = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = sender.lock().unwrap();
            let piece = vec![b'x'; 1 << 16];
            while !done.load(order) && client.try_send(&piece).is_ok() {
                sent.fetch_add(piece.len(), order);
            }
        });
        // Until the client can send no more: then every buffer on the way is full.
        let mut last = (0, 0);
        wait_until("the buffers to fill", || {
            let now = sent.load(order);
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            now > 0 && last.1 > 100
        });
        let cost = proxy.peak_memory() - before;
        assert!(cost < COST_KIB, "a backend that does not read costs {cost} KiB");
        assert!(last.0 < 128 << 20, "{} bytes went nowhere", last.0);
        // And it goes on when it reads.
        upstream.read_head();
        upstream.read(last.0 + 1);
        done.store(true, order);
        upstream.reset();
    });
}

fn a_pipeline_that_is_never_read_costs_no_memory(milestone: &Milestone) {
    let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec(), vec![b'x'; 100_000]].concat();
    let backend = Backend::answering(answer);
    let proxy = milestone.start(&[&backend], ONE);
    let before = proxy.peak_memory();
    let mut client = Conn::open(proxy.address());
    // A few hundred bytes of requests ask for 100 MB of responses.
    let requests = get("/").repeat(1000);
    client.send(requests);
    let mut last = (0, 0);
    wait_until("the buffers to fill", || {
        let now = backend.requests().len();
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        now > 0 && last.1 > 50
    });
    let cost = proxy.peak_memory() - before;
    assert!(cost < COST_KIB, "answers that nobody reads cost {cost} KiB");
    assert!(last.0 < 1000, "the backend was asked for everything");
    for n in 0..1000 {
        assert_eq!(client.response("GET").body.len(), 100_000, "response {n}");
    }
}

/// The memory that one more client that does not read may cost, all included.
const COST_OF_ONE_KIB: u64 = 64;

fn each_of_many_clients_that_never_read_costs_little(milestone: &Milestone) {
    const CLIENTS: usize = 200;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let backend = Backend::start(move |mut served| {
        served.request();
        let _ = served.conn.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 << 20));
        let piece = vec![b'x'; 1 << 14];
        while served.conn.try_send(&piece).is_ok() {
            count.fetch_add(piece.len(), SeqCst);
        }
    });
    let proxy = milestone.start(&[&backend], ONE);
    let before = proxy.peak_memory();
    let mut stuck: Vec<Conn> = (0..CLIENTS).map(|_| Conn::open(proxy.address())).collect();
    stuck.iter_mut().for_each(|client| client.send(get("/endless")));
    let mut last = (0, 0);
    wait_until("every buffer on the way to fill", || {
        let now = sent.load(SeqCst);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        last.1 > 200 && backend.connections() >= CLIENTS
    });
    let each = (proxy.peak_memory() - before) / CLIENTS as u64;
    assert!(each <= COST_OF_ONE_KIB, "a client that does not read costs {each} KiB");
}

/// A deadline, a rate at which our kernel takes nothing for several times as long, and for how long that goes on.
const PATIENCE: &str = "1500ms";
const PIECE: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(125);
const PIECES: usize = 40;

fn a_client_that_reads_slowly_is_served(milestone: &Milestone) {
    const BODY: usize = 32 << 20;
    let backend = Backend::answering(
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").into_bytes(), vec![b'x'; BODY]].concat(),
    );
    let proxy = milestone.start(&[&backend], &["--write-timeout", PATIENCE]);
    let mut client = Conn::open(proxy.address());
    client.send(get("/"));
    client.read_head();
    for _ in 0..PIECES {
        client.read(PIECE);
        wait_for(PAUSE);
    }
    assert!(client.read(BODY - PIECES * PIECE).iter().all(|byte| *byte == b'x'));
}

fn a_backend_that_reads_slowly_is_served(milestone: &Milestone) {
    const BODY: usize = 32 << 20;
    let (backend, incoming) = Backend::by_hand();
    let flags = ["--write-timeout", PATIENCE, "--first-byte-timeout", PATIENCE, "--body-timeout", PATIENCE];
    let proxy = milestone.start(&[&backend], &flags);
    let mut client = Conn::open(proxy.address());
    client.send(format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {BODY}\r\n\r\n"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.send(vec![b'x'; BODY]);
            assert_eq!(client.response("POST").status(), 204);
        });
        let mut upstream = incoming.accept();
        upstream.read_head();
        for _ in 0..PIECES {
            upstream.read(PIECE);
            wait_for(PAUSE);
        }
        upstream.read(BODY - PIECES * PIECE);
        upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
    });
}
