//! Signals: statistics, a stop that lets sessions finish, and a second one that does not.

use crate::{
    Architecture, Deaf, FORK, HYBRID, ITERATIVE, WELCOME, echo, get, greeted,
    support::{
        process::wait_until,
        raw::{Conn, End},
    },
    under_every_architecture, wait_for_statistics,
};
use std::process::Command;

under_every_architecture! {
    a_stop_lets_the_session_finish,
    a_stop_does_not_wait_longer_than_it_was_told,
    the_log_tells_of_clients_that_are_cut_off,
    a_second_signal_ends_at_once,
    statistics_are_printed_when_asked_for,
    statistics_are_printed_while_it_stops,
    a_request_that_is_being_answered_at_a_stop_is_answered,
    a_client_that_waits_at_a_stop_is_told_and_not_reset,
}

fn a_stop_lets_the_session_finish(architecture: &Architecture) {
    for signal in ["TERM", "INT"] {
        let mut server = architecture.start("echo", &["--drain-timeout", "1h"]);
        let mut conn = greeted(&server);
        echo(&mut conn, 1, "before");
        server.signal(signal);
        conn.expect_end();
        assert_eq!(server.wait().code(), Some(0));
        server.wait_for_stderr("STATS clients=1 active=0 peak=1 refused=0 errors=0 received=7 ");
    }
}

fn a_stop_does_not_wait_longer_than_it_was_told(architecture: &Architecture) {
    let mut server = architecture.start("echo", &["--drain-timeout", "50ms"]);
    let mut deaf = Deaf::connect(&server, b"help\n");
    deaf.fill();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("STATS clients=1 ");
}

fn the_log_tells_of_clients_that_are_cut_off(architecture: &Architecture) {
    let mut server = architecture.start("http", &["--drain-timeout", "50ms"]);
    let mut conn = Conn::open(server.address());
    conn.send(get("/delay/60000"));
    wait_for_statistics(&server, &format!(" received={} ", get("/delay/60000").len()));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("after the drain timeout");
}

fn a_second_signal_ends_at_once(architecture: &Architecture) {
    let mut server = architecture.start("echo", &["--drain-timeout", "1h"]);
    let mut deaf = Deaf::connect(&server, b"help\n");
    deaf.fill();
    server.signal("TERM");
    server.wait_for_stderr("draining");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(128 + 15));
}

fn statistics_are_printed_when_asked_for(architecture: &Architecture) {
    let server = architecture.start("echo", &["--log-level", "off"]);
    let mut conn = greeted(&server);
    echo(&mut conn, 1, "hello");
    // While it is being served.
    server.signal("USR1");
    server.wait_for_stderr("STATS clients=1 active=1 peak=1 refused=0 errors=0 received=");
    #[cfg(target_os = "linux")]
    for known in [" memory=", " descriptors="] {
        server.wait_for_stderr(known);
    }
    echo(&mut conn, 2, "still here");
    wait_for_statistics(&server, " received=17 sent=80 requests=2 ");
}

fn statistics_are_printed_while_it_stops(architecture: &Architecture) {
    let mut server = architecture.start("http", &["--drain-timeout", "1h"]);
    let mut conn = Conn::open(server.address());
    conn.send(get("/delay/60000"));
    wait_for_statistics(&server, &format!(" received={} ", get("/delay/60000").len()));
    server.signal("TERM");
    server.wait_for_stderr("draining");
    let before = server.stderr().len();
    wait_until("statistics while it stops", || {
        server.signal("USR1");
        server.stderr()[before..].contains("STATS clients=1 active=1 ")
    });
    conn.reset();
    assert_eq!(server.wait().code(), Some(0));
}

fn a_request_that_is_being_answered_at_a_stop_is_answered(architecture: &Architecture) {
    for path in ["/delay/300", "/cpu/200"] {
        let mut server = architecture.start("http", &["--drain-timeout", "1h"]);
        let mut conn = Conn::open(server.address());
        conn.send(get(path));
        wait_for_statistics(&server, &format!(" received={} ", get(path).len()));
        server.signal("TERM");
        assert_eq!(conn.response("GET").status(), 200, "{path}");
        conn.expect_end();
        assert_eq!(server.wait().code(), Some(0));
    }
}

fn a_client_that_waits_at_a_stop_is_told_and_not_reset(architecture: &Architecture) {
    let mut server = architecture.start("echo", &[]);
    drop(greeted(&server));
    // It accepts no client while it is stopped (SIGSTOP), so they wait in the backlog; and SIGTERM is the first that it
    // hears of.
    server.signal("STOP");
    let mut conns: Vec<Conn> = (0..20).map(|_| Conn::open(server.address())).collect();
    server.signal("TERM");
    server.signal("CONT");
    for conn in &mut conns {
        let (bytes, end) = conn.read_to_end();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text == WELCOME || text == "Busy: try again later.\n", "{text:?}");
        assert_eq!(end, End::Clean);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_client_that_waits_behind_another_at_a_stop_is_told() {
    let mut server = ITERATIVE.start("echo", &[]);
    let mut first = greeted(&server);
    let mut others: Vec<Conn> = (0..100).map(|_| Conn::open(server.address())).collect();
    // Bytes that are not read would make a reset of a close.
    others.iter_mut().for_each(|conn| conn.send("hello\n"));
    server.signal("TERM");
    first.expect_end();
    for mut conn in others {
        let (bytes, end) = conn.read_to_end();
        assert_eq!((String::from_utf8_lossy(&bytes).as_ref(), end), ("Busy: try again later.\n", End::Clean));
    }
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("STATS clients=1 active=0 peak=1 refused=100 ");
}

/// Supervisors that send a signal to every process of a server do not know which of them decides.
#[test]
fn a_stop_that_children_hear_as_well_lets_sessions_finish() {
    for architecture in [FORK, HYBRID] {
        let mut server = architecture.start("http", &["--drain-timeout", "1h"]);
        let mut conn = Conn::open(server.address());
        conn.send(get("/delay/600"));
        wait_for_statistics(&server, &format!(" received={} ", get("/delay/600").len()));
        for child in crate::children(&server) {
            assert!(Command::new("kill").args(["-TERM", &child.to_string()]).status().unwrap().success());
        }
        server.signal("TERM");
        assert_eq!(conn.response("GET").status(), 200);
        assert_eq!(server.wait().code(), Some(0));
        assert!(!server.stderr().contains(" errors=1 "), "{}", server.stderr());
    }
}

/// The client of the only thread is cut off at the end of the drain. A client that waits for that thread must not be
/// served then.
#[test]
#[cfg(target_os = "linux")]
fn a_client_that_waits_for_a_thread_when_the_stop_is_over_is_told() {
    use crate::THREAD_POOL;
    let flags = ["--workers", "1", "--queue-timeout", "1h", "--drain-timeout", "300ms"];
    let mut server = THREAD_POOL.start("http", &flags);
    let mut first = Conn::open(server.address());
    first.send(get("/delay/60000"));
    wait_for_statistics(&server, &format!(" received={} ", get("/delay/60000").len()));
    let before = server.settled_descriptors();
    let mut second = Conn::open(server.address());
    second.send(get("/delay/60000"));
    wait_until("the second to be accepted", || server.descriptors() > before);
    server.signal("TERM");
    assert_eq!(second.response("GET").status(), 503);
    second.expect_end();
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("STATS clients=1 active=0 peak=1 refused=1 ");
}

/// Ctrl-C in a terminal goes to all processes of the group: to the parent, which decides for its children.
#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_is_one_signal_to_children_too() {
    use crate::support::process::start_listening;
    for architecture in [FORK, HYBRID] {
        let command = [architecture.program, "--service", "http", "--listen", "127.0.0.1:0"];
        let mut server = start_listening("setsid", &command, 1);
        let mut conn = Conn::open(server.address());
        conn.send(get("/delay/300"));
        wait_for_statistics(&server, &format!(" received={} ", get("/delay/300").len()));
        let group = format!("-{}", server.id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
        assert_eq!(conn.response("GET").status(), 200);
        assert_eq!(server.wait().code(), Some(0));
    }
}
