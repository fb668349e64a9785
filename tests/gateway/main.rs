//! The gateway between real HTTP clients and command servers that die, stop and say nothing. Black boxes: the real program and real
//! sockets.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};
use support::{
    lines::{LineServer, Reply},
    process::{Process, drivers, lock, start, wait_until},
    raw::{Conn, in_parallel, refusing_address},
};

fn gateway(args: &[&str]) -> Process {
    start(env!("CARGO_BIN_EXE_gateway"), args)
}

fn post(content: &str) -> String {
    format!("POST /command HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

const PING: &str = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn it_works_without_arguments() {
    let gateway = gateway(&[]);
    let mut client = Conn::open(gateway.address());
    assert_eq!(client.ask(PING).body, b"PONG\n");
    assert_eq!(client.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na\nb").body, b"a\nb\n");
    let stats: Value = serde_json::from_slice(&client.ask("GET /stats HTTP/1.1\r\nHost: a\r\n\r\n").body).unwrap();
    assert!(stats["commands"].as_u64() >= Some(4), "{stats}");
    let several = client.ask(&post("DELAY 50 slow\nECHO quick\nNONSENSE\n"));
    let lines: Vec<Value> = several.body.split(|byte| *byte == b'\n').flat_map(serde_json::from_slice).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["status"].as_u64())).collect();
    assert_eq!(told, [(Some(1), Some(200)), (Some(2), Some(200)), (Some(3), Some(400))]);
    gateway.wait_for_stderr("try: curl http://");
}

/// A command server dies again and again under load, each time with a command executed and not answered: each request gets one
/// answer, no command that must not be repeated is executed twice, and what is said of the rest is true.
#[test]
fn a_server_that_dies_under_load() {
    const DEATHS: usize = 4;
    let dies = |nth: usize| nth.is_multiple_of(200) && nth <= 200 * DEATHS;
    let mut server = LineServer::start(move |nth, _| if dies(nth) { Reply::Die } else { Reply::Answer });
    let gateway = gateway(&["--backend", &server.name(), "--idempotent", "GET", "--log-level", "warn"]);
    let (address, unknown, turn) = (gateway.address(), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_parallel(8, |_| {
                let mut client = Conn::open(address);
                for _ in 0..250 {
                    let number = turn.fetch_add(1, Relaxed);
                    let is_get = number % 2 == 0;
                    let command = format!("{} {number}", if is_get { "GET" } else { "PAY" });
                    let answer = client.ask(&post(&command));
                    let told: Value = serde_json::from_slice(&answer.body).unwrap();
                    assert_eq!(told["status"].as_u64(), Some(answer.status().into()));
                    match answer.status() {
                        200 => assert_eq!(told["answer"], format!("done {command}")),
                        502 if !is_get => {
                            assert_eq!(told["executed"], "unknown");
                            unknown.fetch_add(1, Relaxed);
                        }
                        503 => {
                            assert_eq!((&told["executed"], answer.field("retry-after")), (&"no".into(), Some("1")));
                        }
                        other => panic!("{command}: {other} {told}"),
                    }
                }
            });
        });
        for _ in 0..DEATHS {
            server.wait_for_death();
            server.revive();
        }
    });
    for number in 0..turn.load(Relaxed) {
        let executed = server.executed(&format!("PAY {number}"));
        assert!(executed <= 1, "PAY {number} was executed {executed} times");
    }
    assert!(unknown.load(Relaxed) >= 1, "a death with nothing under way proves nothing");
}

#[test]
fn a_server_that_is_not_there_costs_a_moment() {
    let gateway = gateway(&["--backend", &refusing_address().to_string()]);
    let mut client = Conn::open(gateway.address());
    for _ in 0..2 {
        let answer = client.ask(PING);
        assert_eq!((answer.status(), answer.field("retry-after")), (503, Some("1")));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&told["executed"], &told["error"]), (&"no".into(), &"the command server cannot be reached".into()));
    }
    gateway.wait_for_stderr("nothing listens there");
}

/// It is connected and says nothing: each command has its time, and one that was sent may have been executed.
#[test]
fn a_server_that_stands_still_is_waited_for_so_long() {
    let server = LineServer::start(|_, _| Reply::Silence);
    let gateway = gateway(&["--backend", &server.name(), "--deadline", "300ms", "--idempotent", "PING"]);
    let mut client = Conn::open(gateway.address());
    for content in ["PING", "PAY 1"] {
        let answer = client.ask(&post(content));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status(), &told["executed"]), (504, &"unknown".into()), "{content}");
    }
    assert_eq!(server.executed("PAY 1"), 1);
}

/// A command server stands still under load, again and again, and then executes what was sent to it meanwhile: each request gets one answer,
/// no command that must not be repeated is executed twice, and what is said of the rest is true.
#[test]
fn a_server_that_stands_still_under_load() {
    const TIMES: usize = 3;
    const CLIENTS: usize = 8;
    let (stopped, over, late) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false), AtomicUsize::new(0));
    let stands = stopped.clone();
    let server = LineServer::start(move |_, _| {
        wait_until("the server to go on", || !stands.load(Relaxed));
        Reply::Answer
    });
    let flags = ["--backend", &server.name(), "--idempotent", "GET", "--deadline", "300ms", "--log-level", "warn"];
    let gateway = gateway(&flags);
    let (address, answers) = (gateway.address(), Mutex::new(Vec::new()));
    let ask = |client: usize| {
        let mut conn = Conn::open(address);
        // A limit, so that a test that fails comes to its end.
        for number in (0..100_000).take_while(|_| !over.load(Relaxed)) {
            let command = format!("{} {client}-{number}", if number % 2 == 0 { "GET" } else { "PAY" });
            let answer = conn.ask(&post(&command));
            late.fetch_add(usize::from(answer.status() == 504), Relaxed);
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            lock(&answers).push((command, answer.status(), told["executed"].clone()));
        }
        assert!(conn.is_quiet(), "more answers than requests");
    };
    let executed_more = |more: usize| {
        let before = server.total();
        wait_until("the server to be at work", || server.total() >= before + more);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| in_parallel(CLIENTS, ask));
        for _ in 0..TIMES {
            executed_more(100);
            let before = late.load(Relaxed);
            stopped.store(true, Relaxed);
            wait_until("requests to be late", || late.load(Relaxed) >= before + CLIENTS);
            stopped.store(false, Relaxed);
        }
        executed_more(100);
        over.store(true, Relaxed);
    });
    server.wait_until_idle();
    for (command, status, told) in lock(&answers).iter() {
        assert_true(command, *status, told, server.executed(command));
    }
}

/// That an answer says the truth about a command that was executed so often.
fn assert_true(command: &str, status: u16, told: &Value, executed: usize) {
    assert!(executed <= 1 || command.starts_with("GET "), "{command} was executed {executed} times");
    match status {
        200 => assert!(executed >= 1, "{command} was not executed"),
        502 | 504 => assert_eq!(told, "unknown", "{command}"),
        503 => assert_eq!((told, executed), (&"no".into(), 0), "{command}"),
        other => panic!("{command}: {other}"),
    }
}

/// The process is stopped under load and goes on later.
#[test]
fn a_server_that_is_stopped_and_goes_on() {
    let server = start(env!("CARGO_BIN_EXE_event-driven"), &["--service", "command"]);
    let flags =
        ["--backend", &server.address().to_string(), "--deadline", "300ms", "--tries", "1", "--log-level", "warn"];
    let gateway = gateway(&flags);
    let (address, late) = (gateway.address(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            in_parallel(4, |_| {
                let mut client = Conn::open(address);
                // Until it was late, and then until it is well again.
                for is_late in [true, false] {
                    while (client.ask(PING).status() == 504) != is_late {}
                    late.fetch_add(1, Relaxed);
                }
            });
        });
        server.signal("STOP");
        wait_until("all clients to be late", || late.load(Relaxed) >= 4);
        server.signal("CONT");
        clients.join().unwrap();
    });
    assert_eq!(late.load(Relaxed), 8);
}

/// Descriptors and memory are as they were after ten thousand clients.
#[test]
fn many_clients_leave_nothing_behind() {
    for driver in drivers() {
        let gateway = gateway(&["--driver", driver, "--log-level", "off"]);
        let visit = |times: usize| {
            in_parallel(8, |_| {
                for number in 0..times / 8 {
                    let mut client = Conn::open(gateway.address());
                    match number % 3 {
                        0 => assert_eq!(client.ask(PING).status(), 200),
                        // It leaves in the middle, or before it is answered.
                        1 => client.send("POST /command HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nPING\n"),
                        _ => client.send(PING),
                    }
                }
            });
        };
        visit(2_000);
        let (descriptors, memory) = (gateway.settled_descriptors(), gateway.peak_memory());
        visit(8_000);
        assert_eq!(gateway.settled_descriptors(), descriptors, "{driver}");
        let more = gateway.peak_memory() - memory;
        assert!(more < 4096, "{driver}: {more} KiB more at the end");
    }
}

/// A client that sends `CONNECT` may not wait for the answer: the bytes behind it are for the other end of a tunnel, whoever wrote them.
#[test]
fn bytes_behind_a_connect_are_no_request() {
    let gateway = gateway(&[]);
    let mut client = Conn::open(gateway.address());
    client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".to_owned() + PING);
    let answer = client.response("GET");
    assert_eq!((answer.status(), answer.field("connection")), (404, Some("close")), "{answer}");
    client.expect_end();
}

#[test]
fn a_server_that_comes_back_is_found() {
    let mut server = LineServer::start(|_, _| Reply::Answer);
    let gateway = gateway(&["--backend", &server.name()]);
    let mut client = Conn::open(gateway.address());
    assert_eq!(client.ask(&post("GET 1")).status(), 200);
    server.kill();
    assert_eq!(client.ask(&post("GET 2")).status(), 503);
    server.revive();
    let answer = client.ask(&post("GET 3"));
    assert_eq!((answer.status(), server.executed("GET 3")), (200, 1));
}

/// One client asks for much that is slow; others are answered at once.
#[test]
fn a_client_with_slow_commands_holds_up_nobody() {
    let gateway = gateway(&["--deadline", "30s"]);
    let mut slow = Conn::open(gateway.address());
    slow.send(post(&"DELAY 2000 x\n".repeat(30)));
    slow.read_head();
    let mut quick = Conn::open(gateway.address());
    for _ in 0..20 {
        assert_eq!(quick.ask(PING).status(), 200);
    }
    assert!(slow.is_quiet(), "two seconds are longer than twenty answers");
    slow.read_until("{\"line\":30,\"status\":200,\"answer\":\"x\"}");
}

#[test]
fn a_stop_lets_requests_that_run_end() {
    let mut gateway = gateway(&[]);
    let mut client = Conn::open(gateway.address());
    client.send(post("DELAY 300 late"));
    gateway.wait_for_stderr("listening on");
    let mut idle = Conn::open(gateway.address());
    assert_eq!(idle.ask(PING).status(), 200);
    gateway.signal("TERM");
    idle.expect_end();
    assert_eq!(client.response("POST").status(), 200);
    client.expect_end();
    assert_eq!(gateway.wait().code(), Some(0));
}
