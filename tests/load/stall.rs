//! The lesson: what a pause of the server does to the two loops.

use crate::{
    load, number,
    support::{
        process::{now, wait_for},
        raw::Backend,
    },
};
use socket_patterns::time::Instant;
use std::{sync::OnceLock, thread, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// A server that answers nothing in the second second after its first request.
fn stalling() -> Backend {
    let first: OnceLock<Instant> = OnceLock::new();
    Backend::start(move |mut served| {
        while served.request().is_some() {
            let age = now() - *first.get_or_init(now);
            if (SECOND..2 * SECOND).contains(&age) {
                wait_for(2 * SECOND - age);
            }
            if served.conn.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_stall_shows_in_an_open_loop_and_hides_in_service_time_and_in_a_closed_loop() {
    // Side by side, each with a server of its own.
    let run = |flags: &[&str]| {
        let url = format!("http://{}/", stalling().name());
        load(&url, &[&["--clients", "2", "--duration", "4s"], flags].concat())
    };
    let (open, closed) = thread::scope(|scope| {
        let open = scope.spawn(|| run(&["--rate", "200"]));
        let closed = run(&[]);
        (open.join().unwrap(), closed)
    });

    // A quarter of the requests were due while nothing was answered; they waited for up to a second.
    let (open_p99, service_p99) = (number(&open, "/latency_us/p99"), number(&open, "/service_time_us/p99"));
    assert!(open_p99 >= 700_000.0, "{open_p99} µs");
    assert!(number(&open, "/latency_us/p90") >= 400_000.0, "{open:#}");
    // Two of 800 were under way: that is a quarter of a per cent.
    assert!(service_p99 * 3.0 < open_p99, "service time {service_p99} µs, latency {open_p99} µs");
    let closed_p99 = number(&closed, "/latency_us/p99");
    assert!(closed_p99 * 3.0 < open_p99, "closed {closed_p99} µs, open {open_p99} µs");
    // It was there all the same.
    for stalled in [number(&open, "/service_time_us/max"), number(&closed, "/latency_us/max")] {
        assert!(stalled >= 700_000.0, "{stalled} µs");
    }
}
