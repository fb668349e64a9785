//! Tests of which clients wait while a server computes.

use crate::{
    Architecture, EVENT_DRIVEN, FORK, HYBRID, THREAD_PER_CLIENT, THREAD_POOL, get, processor_time,
    support::{
        process::{Process, now, wait_until},
        raw::Conn,
    },
    under_every_architecture, wait_for_statistics,
};
use std::time::Duration;

under_every_architecture! {
    it_is_really_computed,
    input_that_comes_while_it_computes_does_not_destroy_the_answer,
}

/// The news that something came waits until it has computed, and by then the connection is to be closed.
fn input_that_comes_while_it_computes_does_not_destroy_the_answer(architecture: &Architecture) {
    let server = architecture.start("http", &[]);
    let before = processor_time(&server);
    let mut conn = Conn::open(server.address());
    let last = "GET /bytes/300000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    conn.send([&get("/cpu/200"), last].concat());
    wait_until("the server to compute", || processor_time(&server) > before + Duration::from_millis(30));
    conn.send("x".repeat(1000));
    conn.finish();
    assert_eq!(conn.response("GET").body, b"computed for 200 ms\n");
    assert_eq!(conn.response("GET").body.len(), 300_000);
    conn.expect_end();
}

fn it_is_really_computed(architecture: &Architecture) {
    let server = architecture.start("http", &[]);
    let mut conn = Conn::open(server.address());
    let before = processor_time(&server);
    for _ in 0..3 {
        assert_eq!(conn.ask(&get("/cpu/50")).body, b"computed for 50 ms\n");
    }
    assert!(processor_time(&server) - before >= Duration::from_millis(150));
    assert_eq!(conn.ask(&get("/cpu/10001")).status(), 400);
    // One after the other, whichever thread computes them.
    conn.send([get("/cpu/20"), get("/cpu/10"), get("/health")].concat());
    for body in ["computed for 20 ms\n", "computed for 10 ms\n", "ok\n"] {
        assert_eq!(conn.response("GET").body, body.as_bytes());
    }
}

/// Has the server begin to compute for a client.
fn busy(server: &Process, path: &str) -> Conn {
    let mut conn = Conn::open(server.address());
    let before = processor_time(server);
    conn.send(get(path));
    wait_until("the server to compute", || processor_time(server) > before + Duration::from_millis(30));
    conn
}

/// How long another client waits for an answer meanwhile, and whether the first has its own by then.
fn other_client(architecture: &Architecture, flags: &[&str]) -> (Duration, bool) {
    let server = architecture.start("http", flags);
    let mut other = Conn::open(server.address());
    assert_eq!(other.ask(&get("/health")).status(), 200);
    let mut first = busy(&server, "/cpu/1000");
    let start = now();
    assert_eq!(other.ask(&get("/health")).status(), 200);
    let waited = (now() - start, !first.is_quiet());
    assert_eq!(first.response("GET").status(), 200);
    waited
}

#[test]
fn an_event_loop_that_computes_keeps_everybody_waiting_and_one_with_threads_nobody() {
    let (alone, after) = other_client(&EVENT_DRIVEN, &[]);
    assert!(after, "one thread can only do one thing after another");
    // The same single worker has both clients.
    let (hybrid, after) = other_client(&HYBRID, &["--workers", "1"]);
    assert!(!after, "the answer came before what was computed");
    assert!(alone >= 3 * hybrid, "{alone:?} and {hybrid:?}");
}

#[test]
fn a_thread_that_computes_does_not_hold_up_a_stop() {
    let work = Duration::from_secs(10);
    for architecture in [FORK, THREAD_PER_CLIENT, THREAD_POOL, HYBRID] {
        let mut server = architecture.start("http", &["--drain-timeout", "50ms"]);
        let start = now();
        let _conn = busy(&server, &format!("/cpu/{}", work.as_millis()));
        server.signal("TERM");
        assert_eq!(server.wait().code(), Some(0));
        assert!(now() - start < work, "{architecture:?} computed to the end");
    }
}

#[test]
fn work_beyond_the_queue_is_refused_and_the_client_may_go_on() {
    let flags = ["--workers", "1", "--cpu-threads", "1", "--cpu-queue", "1", "--queue-timeout", "1h"];
    let server = HYBRID.start("http", &flags);
    let mut first = busy(&server, "/cpu/1000");
    let mut second = Conn::open(server.address());
    second.send(get("/cpu/1"));
    wait_for_statistics(&server, &format!(" received={} ", get("/cpu/1000").len() + get("/cpu/1").len()));
    let mut third = Conn::open(server.address());
    let mut refused = Vec::new();
    while refused.is_empty() {
        let answer = third.ask(&get("/cpu/1"));
        refused.extend((answer.status() == 503).then_some(answer));
    }
    assert_eq!(refused[0].field("Retry-After"), Some("1"));
    assert_eq!(refused[0].body, b"503 Service Unavailable: too much to compute, try again later\n");
    assert_eq!(third.ask(&get("/health")).status(), 200);
    for conn in [&mut first, &mut second] {
        assert_eq!(conn.response("GET").status(), 200);
    }
    // There is room again.
    assert_eq!(third.ask(&get("/cpu/1")).status(), 200);
}

#[test]
fn work_that_waits_too_long_is_refused() {
    let server = HYBRID.start("http", &["--workers", "1", "--queue-timeout", "20ms"]);
    let mut first = busy(&server, "/cpu/1000");
    assert_eq!(Conn::open(server.address()).ask(&get("/cpu/1")).status(), 503);
    assert!(first.is_quiet(), "nobody waited for the first");
    assert_eq!(first.response("GET").status(), 200);
}

#[test]
fn a_client_that_leaves_while_its_answer_is_computed_harms_nobody() {
    let server = HYBRID.start("http", &["--workers", "1"]);
    busy(&server, "/cpu/200").reset();
    let mut conn = Conn::open(server.address());
    // Probably in the table's place of the client that left: it must not get the answer of that one.
    assert_eq!(conn.ask(&get("/health")).body, b"ok\n");
    assert_eq!(conn.ask(&get("/cpu/10")).body, b"computed for 10 ms\n");
    assert_eq!(conn.ask(&get("/health")).body, b"ok\n");
}
