//! Where a backend is looked for, and whose fault it is if there is no connection.

use super::{SECOND, World, status};
use crate::app::ConnId;
use std::{io::ErrorKind, time::Duration};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;

/// Every request opens a connection, and there are no probes.
const ALONE: &[&str] = &["--no-health", "--pool-max", "0", "--retries", "0"];

/// Waits for the next probe, which is the next connection.
fn next_probe(world: &mut World) -> ConnId {
    for _ in 0..1000 {
        if !world.opened_none() {
            return world.opened();
        }
        world.pass(Duration::from_millis(10));
    }
    panic!("no probe in ten seconds");
}

#[test]
fn the_address_that_answers_is_found_and_remembered() {
    let mut world = World::at(&[&[1, 2, 3]], ALONE);
    let client = world.client(GET);
    for port in [1, 2] {
        let conn = world.opened();
        assert_eq!(world.ports[&conn], port);
        world.fail_with(conn, REFUSED);
    }
    let third = world.opened();
    assert_eq!(world.ports[&third], 3);
    world.connect(third);
    assert!(world.sent(third).starts_with("GET / "));
    world.say(third, OK);
    assert_eq!(status(&world.sent(client)), "200");
    // Nothing failed: neither the request nor the backend.
    let stats = world.stats();
    assert_eq!((&stats["errors"], &stats["requests"]["retries"]), (&serde_json::json!({}), &0.into()));
    assert_eq!(stats["backends"][0]["health"]["failed_requests"], 0);
    let (_, next) = world.exchange(GET);
    assert_eq!(world.ports[&next], 3);
    assert_eq!(world.proxy.census().busy, 1);
}

#[test]
fn a_silent_address_makes_way_and_all_of_them_have_one_deadline() {
    let mut world = World::at(&[&[1, 2]], ALONE);
    let client = world.client(GET);
    let first = world.opened();
    world.pass(Duration::from_millis(240));
    assert!(world.opened_none() && world.ended(first) == "-");
    world.pass(Duration::from_millis(30));
    let second = world.opened();
    assert_eq!((world.ended(first), world.ports[&second]), ("abort", 2));
    // --connect-timeout is for all of them: 5 s, of which the rest is shared.
    world.pass(5 * SECOND);
    assert_eq!(status(&world.sent(client)), "504");
    let stats = world.stats();
    assert_eq!(stats["errors"], serde_json::json!({"connect timeout": 1}));
    assert_eq!(stats["backends"][0]["health"]["failed_requests"], 1, "one backend failed once");
    assert_eq!((world.proxy.census().busy, world.proxy.census().in_flight), (0, 0));
}

#[test]
fn a_connection_to_the_next_address_has_the_place_of_the_first() {
    let mut world = World::at(&[&[1, 2]], &["--no-health", "--pool-max", "1"]);
    let first = world.client(GET);
    let conn = world.opened();
    // Another client waits for the one connection that there may be. It is not its turn when an address refuses.
    let waiting = world.client(GET);
    world.fail_with(conn, REFUSED);
    let conn = world.opened();
    assert!(world.opened_none());
    world.connect(conn);
    world.say(conn, OK);
    assert_eq!(status(&world.sent(first)), "200");
    world.say(conn, OK);
    assert_eq!(status(&world.sent(waiting)), "200");
    // A client that gives up takes the attempt with it.
    world.end(conn);
    let gone = world.client(GET);
    let conn = world.opened();
    world.fail_with(conn, REFUSED);
    let conn = world.opened();
    world.fail(gone);
    assert_eq!((world.ended(conn), world.proxy.census().busy), ("abort", 0));
}

#[test]
fn a_probe_uses_the_address_that_works() {
    let mut world = World::at(&[&[1, 2]], &["--fail-after", "1", "--pool-max", "0"]);
    let probe = world.opened();
    assert_eq!(world.ports[&probe], 1);
    world.fail_with(probe, REFUSED);
    let probe = world.opened();
    assert_eq!(world.ports[&probe], 2);
    world.connect(probe);
    assert_eq!(world.stats()["backends"][0]["health"]["state"], "up");
    let (_, conn) = world.exchange(GET);
    assert_eq!(world.ports[&conn], 2, "and requests learn from it");
}

#[test]
fn our_own_shortage_is_nobody_elses_fault() {
    for (error, reason) in [
        (ErrorKind::QuotaExceeded, "no descriptor left"),
        (ErrorKind::OutOfMemory, "no memory left"),
        (ErrorKind::AddrNotAvailable, "no local port left"),
    ] {
        let flags = ["--fail-after", "1", "--breaker-failures", "1", "--breaker-keep", "0", "--pool-max", "0"];
        let mut world = World::at(&[&[1]], &[&flags[..], &["--retries", "0"]].concat());
        let probe = world.opened();
        // Connections were possible before, so that ports can be what is lacking.
        world.connect(probe);
        for n in 1..=10 {
            let client = world.client(GET);
            let conn = world.opened();
            world.fail_with(conn, error);
            let answer = world.sent(client);
            assert_eq!(status(&answer), "503", "{error}: {answer}");
            assert!(answer.contains("Proxy-Status: socket-patterns; error=proxy_internal_error\r\n"), "{answer}");
            assert!(answer.contains("\r\nRetry-After: "), "{answer}");
            assert_eq!(world.stats()["errors"][reason], n);
        }
        // Nor is it a verdict for a probe.
        let probe = next_probe(&mut world);
        world.fail_with(probe, error);
        let health = world.stats()["backends"][0]["health"].take();
        assert_eq!((&health["state"], &health["failed_probes"]), (&"up".into(), &0.into()), "{error}");
        assert_eq!(health["failed_requests"], 0, "{error}");
        // The next one is sent all the same.
        next_probe(&mut world);
    }
}

#[test]
fn an_address_that_was_never_reached_from_here_is_not_a_lack_of_ports() {
    let mut world = World::at(&[&[1]], ALONE);
    let client = world.client(GET);
    let conn = world.opened();
    world.fail_with(conn, ErrorKind::AddrNotAvailable);
    assert_eq!(status(&world.sent(client)), "502");
    assert_eq!(world.stats()["backends"][0]["health"]["failed_requests"], 1);
}

#[test]
fn a_worker_that_is_busy_passes_no_verdict() {
    let flags = ["--fail-after", "1", "--health-timeout", "1s", "--health-path", "/health", "--pool-max", "0"];
    let failed = |world: &mut World| world.stats()["backends"][0]["health"]["failed_probes"].as_u64().unwrap();
    let mut world = World::at(&[&[1]], &flags);
    let probe = world.opened();
    // An hour is one missed look, whether the connection or the answer is waited for.
    world.be_busy(3600 * SECOND);
    assert_eq!((failed(&mut world), world.ended(probe)), (0, "-"));
    world.connect(probe);
    world.be_busy(3600 * SECOND);
    assert_eq!((failed(&mut world), world.ended(probe)), (0, "-"));
    world.say(probe, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((failed(&mut world), world.ended(probe)), (0, "close"));
    // A worker that looks does: the time is over when it is over, and not before.
    let probe = next_probe(&mut world);
    world.connect(probe);
    world.be_busy(10 * SECOND);
    world.pass(Duration::from_millis(700));
    assert_eq!(failed(&mut world), 0);
    world.pass(Duration::from_millis(100));
    assert_eq!((failed(&mut world), world.ended(probe)), (1, "abort"));
}

#[test]
fn a_probe_says_what_it_was_told_to_say() {
    let flags = ["--health-path", "/up", "--health-host", "www.example", "--health-header", "X-Forwarded-Proto: https"];
    let mut world = World::at(&[&[1]], &flags);
    let probe = world.opened();
    world.connect(probe);
    assert_eq!(
        world.sent(probe),
        "GET /up HTTP/1.1\r\nHost: www.example\r\nX-Forwarded-Proto: https\r\nUser-Agent: socket-patterns-health\r\n\
         Connection: close\r\n\r\n"
    );
    let flags = ["--health-path", "/up", "--health-header", "user-agent: mine"];
    let mut world = World::at(&[&[1]], &flags);
    let probe = world.opened();
    world.connect(probe);
    assert_eq!(world.sent(probe), "GET /up HTTP/1.1\r\nHost: b:1\r\nuser-agent: mine\r\nConnection: close\r\n\r\n");
}
