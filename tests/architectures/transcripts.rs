//! Tests of what clients say and hear, and of which clients wait for which.

use crate::{
    Architecture, Deaf, EVENT_DRIVEN, FORK, HYBRID, ITERATIVE, THREAD_PER_CLIENT, THREAD_POOL, WELCOME, children, echo,
    get, greeted, processor_time,
    support::{
        process::{Process, wait_for, wait_until},
        raw::{Conn, End},
    },
    under_every_architecture, wait_for_statistics,
};

under_every_architecture! {
    answers_do_not_depend_on_how_the_input_is_cut,
    requests_before_a_half_close_are_answered,
    a_client_that_asks_to_end_and_goes_on_gets_the_whole_answer,
    a_reset_in_the_middle_harms_nobody_else,
    a_client_that_never_reads_is_sent_away,
    a_peer_that_has_finished_gets_its_answer_when_it_is_due,
    many_clients_leave_nothing_behind,
    five_clients_are_served_at_once_or_one_after_another,
    a_client_that_finds_no_room_is_told_so,
}

/// A service, what a client says until it asks to leave, and what it hears.
const TALKS: &[(&str, &str, &str)] = &[
    (
        "echo",
        "one\r\ntwo\n\nquit\n",
        "Welcome! Every line comes back; \"quit\" ends.\nEcho #1: one\nEcho #2: two\nEcho #3: \nGoodbye!\n",
    ),
    ("command", "PING\nECHO a  b\n?\r\nQUIT\n", "PONG\na  b\nERROR unknown command: HELP lists them\nBYE\n"),
    (
        "http",
        "GET /status/204 HTTP/1.1\r\nHost: t\r\n\r\nGET /status/404 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 204 No Content|HTTP/1.1 404 Not Found",
    ),
];

/// Everything that is said from now on, up to a clean end. Of HTTP, the status lines: other fields carry the time.
fn hear(conn: &mut Conn) -> String {
    let (bytes, end) = conn.read_to_end();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(end, End::Clean, "after {text:?}");
    let status: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/")).collect();
    if status.is_empty() { text } else { status.join("|") }
}

fn answers_do_not_depend_on_how_the_input_is_cut(architecture: &Architecture) {
    for (service, said, heard) in TALKS {
        let server = architecture.start(service, &[]);
        // A cut at 0 or at the end is the whole in one segment.
        for cut in 0..=said.len() {
            let mut conn = Conn::open(server.address());
            conn.send(&said[..cut]);
            conn.send(&said[cut..]);
            assert_eq!(hear(&mut conn), *heard, "{service} cut at {cut}");
        }
        assert_eq!(server.terminate().code(), Some(0), "{service}");
    }
}

fn requests_before_a_half_close_are_answered(architecture: &Architecture) {
    let cases = [
        ("echo", "one\ntwo\nunfinished", format!("{WELCOME}Echo #1: one\nEcho #2: two\n")),
        ("command", "PING\n", "PONG\n".to_owned()),
        ("command", "#1 DELAY 40 late\n#2 PING\n", "#2 PONG\n#1 late\n".to_owned()),
        ("command", "DELAY 20 late\nPING\n", "late\nPONG\n".to_owned()),
        ("http", "GET /status/404 HTTP/1.1\r\nHost: t\r\n\r\n", "HTTP/1.1 404 Not Found".to_owned()),
    ];
    for (service, said, heard) in cases {
        let server = architecture.start(service, &[]);
        let mut conn = Conn::open(server.address());
        conn.send(said);
        conn.finish();
        assert_eq!(hear(&mut conn), heard, "{service}");
    }
}

/// The server does not act on input after that. But to close while such input waits unread would be a reset, which
/// destroys the answer on its way.
fn a_client_that_asks_to_end_and_goes_on_gets_the_whole_answer(architecture: &Architecture) {
    let cases = [
        ("echo", "quit\n", format!("{WELCOME}Goodbye!\n")),
        ("command", "QUIT\n", "BYE\n".to_owned()),
        ("http", "GET /bytes/300000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK".to_owned()),
    ];
    for (service, said, heard) in cases {
        let server = architecture.start(service, &[]);
        let mut conn = Conn::open(server.address());
        conn.send([said, &"x".repeat(100_000)].concat());
        conn.finish();
        assert_eq!(hear(&mut conn), heard, "{service}");
    }
}

fn a_reset_in_the_middle_harms_nobody_else(architecture: &Architecture) {
    let mut server = architecture.start("echo", &[]);
    let mut conn = greeted(&server);
    conn.send("half a li");
    conn.reset();
    echo(&mut greeted(&server), 1, "still here");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for_stderr("STATS clients=2 active=0");
    assert!(server.stderr().contains(" errors=1 "), "{}", server.stderr());
}

fn a_client_that_never_reads_is_sent_away(architecture: &Architecture) {
    for service in ["echo", "command"] {
        let server = architecture.start(service, &["--idle-timeout", "300ms"]);
        Deaf::connect(&server, b"help\n").wait_for_reset();
        let mut next = Conn::open(server.address());
        next.send(if service == "echo" { "quit\n" } else { "QUIT\n" });
        let heard = hear(&mut next);
        assert!(heard.ends_with(if service == "echo" { "Goodbye!\n" } else { "BYE\n" }), "{heard:?}");
    }
}

/// Nothing can be read any more, and every read says so at once: a driver that tried again and again would burn a processor.
fn a_peer_that_has_finished_gets_its_answer_when_it_is_due(architecture: &Architecture) {
    let server = architecture.start("http", &[]);
    let mut conn = Conn::open(server.address());
    let half = std::time::Duration::from_millis(200);
    let before = processor_time(&server);
    conn.send([get("/delay/400"), get("/delay/1")].concat());
    conn.finish();
    wait_for(half);
    assert!(processor_time(&server).saturating_sub(before) < half / 2, "it spins");
    assert_eq!(conn.response("GET").body, b"waited 400 ms\n");
    // And where nothing more is held, the end is what is read next.
    assert_eq!(conn.response("GET").body, b"waited 1 ms\n");
    let mut conn = Conn::open(server.address());
    conn.send(get("/delay/400"));
    conn.finish();
    wait_for(half);
    assert!(processor_time(&server).saturating_sub(before) < half, "it spins");
    assert_eq!(conn.response("GET").body, b"waited 400 ms\n");
    conn.expect_end();
}

fn many_clients_leave_nothing_behind(architecture: &Architecture) {
    let server = architecture.start("echo", &[]);
    let visit = |server: &Process| {
        let mut conn = greeted(server);
        echo(&mut conn, 1, "hello");
        conn.send("quit\n");
        assert_eq!(hear(&mut conn), "Goodbye!\n");
    };
    visit(&server);
    let settled = |server: &Process| children(server).len() == architecture.children;
    wait_until("the first child to be reaped", || settled(&server));
    let before = server.settled_descriptors();
    for _ in 0..200 {
        visit(&server);
    }
    // Zombies would be on this list, too.
    wait_until("all children to be reaped", || settled(&server));
    server.wait_for_descriptors(before);
    wait_for_statistics(&server, "STATS clients=201 active=0");
    assert!(server.stderr().contains("refused=0 errors=0 received=2211 "), "{}", server.stderr());
    assert!(server.stderr().contains(" requests=402 "), "{}", server.stderr());
}

fn five_clients_are_served_at_once_or_one_after_another(architecture: &Architecture) {
    let server = architecture.start("echo", &[]);
    let mut conns: Vec<Conn> = (0..5).map(|_| Conn::open(server.address())).collect();
    if architecture.concurrent {
        // All are greeted while all stay, and the last one first.
        for round in 0..=2 {
            for conn in conns.iter_mut().rev() {
                match round {
                    0 => assert_eq!(conn.read_until("\n"), WELCOME),
                    _ => echo(conn, round, "hello"),
                }
            }
        }
        return;
    }
    while !conns.is_empty() {
        let mut first = conns.remove(0);
        assert_eq!(first.read_until("\n"), WELCOME);
        echo(&mut first, 1, "hello");
        // If another client had been greeted, it would have been before that.
        assert!(conns.iter().all(Conn::is_quiet));
        first.send("quit\n");
        assert_eq!(hear(&mut first), "Goodbye!\n");
    }
}

fn a_client_that_finds_no_room_is_told_so(architecture: &Architecture) {
    const CASES: &[(&str, &str, &str, &str)] = &[
        ("echo", "x\n", ": x\n", "Busy: try again later.\n"),
        ("command", "PING\n", "PONG\n", "ERROR busy: try again later\n"),
        ("http", "GET /status/204 HTTP/1.1\r\nHost: t\r\n\r\n", "\r\n\r\n", "HTTP/1.1 503 Service Unavailable"),
    ];
    if architecture.one_client.is_empty() {
        return a_client_that_finds_no_room_waits(architecture);
    }
    for (service, said, heard, refusal) in CASES {
        let server = architecture.start(service, architecture.one_client);
        let mut first = Conn::open(server.address());
        first.send(said);
        first.read_until(heard);
        let mut second = Conn::open(server.address());
        second.send(said);
        assert_eq!(hear(&mut second), *refusal, "{service}");
        server.signal("USR1");
        server.wait_for_stderr("STATS clients=");
        assert!(server.stderr().contains(" active=1 peak=1 refused=1 "), "{}", server.stderr());
        // The first did not notice, and when it has left there is room again.
        first.send(said);
        first.read_until(heard);
        drop(first);
        wait_until("room", || {
            let mut next = Conn::open(server.address());
            next.try_send(said).is_ok() && {
                next.finish();
                let (bytes, _) = next.read_to_end();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                text.contains(heard) && !text.contains(refusal)
            }
        });
    }
}

/// The iterative server has no other place than the backlog, and the event loop needs none.
fn a_client_that_finds_no_room_waits(architecture: &Architecture) {
    let flags: &[&str] = match architecture {
        Architecture { concurrent: false, .. } => &[],
        Architecture { children: 1.., .. } => &["--max-clients", "1", "--workers", "1"],
        _ => &["--max-clients", "1"],
    };
    let server = architecture.start("echo", flags);
    let mut first = greeted(&server);
    let mut second = Conn::open(server.address());
    echo(&mut first, 1, "hello");
    assert!(second.is_quiet());
    drop(first);
    assert_eq!(second.read_until("\n"), WELCOME);
}

/// A process that has closed its connection takes a while to end, a thread to be free. That must not look like a client who is
/// still there.
#[test]
fn a_client_that_connects_right_after_another_left_is_accepted() {
    for architecture in [FORK, THREAD_PER_CLIENT, THREAD_POOL] {
        let server = architecture.start("echo", architecture.one_client);
        for _ in 0..200 {
            let mut conn = greeted(&server);
            conn.send("quit\n");
            assert_eq!(hear(&mut conn), "Goodbye!\n");
        }
    }
}

#[test]
fn a_client_that_waits_too_long_in_the_queue_is_told_so() {
    let server = THREAD_POOL.start("echo", &["--workers", "1", "--queue", "1", "--queue-timeout", "50ms"]);
    let mut first = greeted(&server);
    let mut second = Conn::open(server.address());
    assert_eq!(hear(&mut second), "Busy: try again later.\n");
    echo(&mut first, 1, "still here");
}

#[test]
fn a_client_in_the_queue_is_served_when_another_leaves() {
    let server = THREAD_POOL.start("echo", &["--workers", "1", "--queue", "1", "--queue-timeout", "1h"]);
    let mut first = greeted(&server);
    let mut second = Conn::open(server.address());
    echo(&mut first, 1, "hello");
    assert!(second.is_quiet());
    first.send("quit\n");
    assert_eq!(second.read_until("\n"), WELCOME);
}

#[test]
fn a_child_that_crashes_harms_nobody_else() {
    let mut server = FORK.start("echo", &[]);
    let mut victim = greeted(&server);
    let crashing = children(&server);
    echo(&mut victim, 1, "last words");
    wait_for_statistics(&server, " received=11 sent=65 requests=1 ");
    let mut other = greeted(&server);
    assert_eq!((crashing.len(), children(&server).len()), (1, 2));
    let killed = std::process::Command::new("kill").arg("-ABRT").arg(crashing[0].to_string()).status();
    assert!(killed.unwrap().success());
    let _ = victim.read_to_end();
    server.wait_for_stderr("a child crashed");
    echo(&mut other, 1, "still here");
    drop(other);
    wait_until("all children to be reaped", || children(&server).is_empty());
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    // The bytes that the crashed child moved were counted where its parent sees them.
    server.wait_for_stderr("errors=1 received=22 sent=130 requests=2 ");
}

#[test]
fn the_table_is_complete() {
    let all = [
        ITERATIVE,
        FORK,
        THREAD_PER_CLIENT,
        THREAD_POOL,
        EVENT_DRIVEN,
        HYBRID,
        #[cfg(target_os = "linux")]
        crate::IO_URING,
    ];
    assert_eq!(all.iter().filter(|architecture| architecture.concurrent).count(), all.len() - 1);
}
