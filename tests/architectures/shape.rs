//! Compares how long clients wait under each architecture: 32 clients at once ask for an answer that takes a while.
//!
//! One after another that takes 32 times as long as one answer, with a pool of eight threads four times, and once where
//! no client waits for another. The time of one answer depends on the machine, so nothing is said about it.

use crate::{
    Architecture, EVENT_DRIVEN, FORK, HYBRID, ITERATIVE, THREAD_PER_CLIENT, THREAD_POOL,
    support::{process::now, raw::Conn},
};
use std::time::Duration;

const CLIENTS: usize = 32;

/// The gap that has to be there. Less than what theory says (8 and 4): the machine has other things to do.
const GAP: u32 = 3;

/// On a busy machine everything may take long once. Not every time.
const ROUNDS: usize = 8;

/// From the first request to the last answer, with all clients connected before.
fn last_answer(architecture: &Architecture, flags: &[&str]) -> Duration {
    let server = architecture.start("http", flags);
    let mut conns: Vec<Conn> = (0..CLIENTS).map(|_| Conn::open(server.address())).collect();
    let start = now();
    for conn in &mut conns {
        conn.send("GET /delay/100 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    }
    for conn in &mut conns {
        assert_eq!(conn.response("GET").status(), 200);
    }
    now() - start
}

/// Asserts that `fast` is faster by the gap: the best round of each counts.
fn assert_gap(slow: (&Architecture, &[&str]), fast: (&Architecture, &[&str])) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best = (best.0.min(last_answer(slow.0, slow.1)), best.1.min(last_answer(fast.0, fast.1)));
        if best.0 >= GAP * best.1 {
            return;
        }
    }
    panic!("{slow:?} took {:?}, {fast:?} {:?}", best.0, best.1);
}

const POOL: &[&str] = &["--workers", "8"];

#[test]
fn a_pool_of_eight_is_between_one_after_another() {
    assert_gap((&ITERATIVE, &[]), (&THREAD_POOL, POOL));
}

#[test]
fn and_a_process_for_each() {
    assert_gap((&THREAD_POOL, POOL), (&FORK, &[]));
}

#[test]
fn and_a_thread_for_each() {
    assert_gap((&THREAD_POOL, POOL), (&THREAD_PER_CLIENT, &[]));
}

#[test]
fn and_an_event_loop() {
    assert_gap((&THREAD_POOL, POOL), (&EVENT_DRIVEN, &[]));
}

#[test]
fn and_several_event_loops() {
    assert_gap((&THREAD_POOL, POOL), (&HYBRID, &[]));
}
