//! Two protocols in one server: black boxes, the real program and real sockets.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod flood;

use std::{
    fs,
    process::{Command, Stdio},
};
use support::{
    process::{Process, drivers, start_listening},
    raw::{Conn, End, in_parallel},
};

const MULTI: &str = env!("CARGO_BIN_EXE_multi");
const GET: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const BOTH: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[command]\nlisten = \"127.0.0.1:0\"\n";

/// A server with this file, and the file.
fn multi(config: &str, listeners: usize) -> (Process, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("multi.toml");
    fs::write(&file, config).unwrap();
    let server = start_listening(MULTI, &["--config", file.to_str().unwrap()], listeners);
    (server, directory)
}

fn ping(conn: &mut Conn) {
    conn.send("PING\n");
    assert_eq!(conn.read_until("\n"), "PONG\n");
}

#[test]
fn both_protocols_are_served_and_counted() {
    let (mut server, _file) = multi(BOTH, 2);
    let (mut http, mut command) = (Conn::open(server.ready[0]), Conn::open(server.ready[1]));
    assert_eq!(http.ask(GET).status(), 200);
    ping(&mut command);
    ping(&mut command);
    server.signal("USR1");
    server.wait_for_stderr("http: 1 request, ");
    server.wait_for_stderr("command: 2 requests, ");
    server.signal("TERM");
    http.expect_end();
    command.expect_end();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn one_protocol_alone_is_served() {
    let (server, _file) = multi("log-level = \"warn\"\n[command]\nlisten = \"127.0.0.1:0\"\nline-max = \"10\"\n", 1);
    let mut command = Conn::open(server.ready[0]);
    command.send("ECHO 123456789\n");
    assert_eq!(command.read_until("\n"), "ERROR line too long\n");
    assert_eq!(server.stderr(), "");
}

/// HTTP computes for two seconds, on the one thread that it has; commands are answered all the while.
#[test]
fn work_of_one_protocol_is_not_the_others() {
    let (server, _file) = multi(BOTH, 2);
    let (mut http, mut command) = (Conn::open(server.ready[0]), Conn::open(server.ready[1]));
    http.send("GET /cpu/2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    // It computes now, and another client of its own protocol waits.
    let mut waits = Conn::open(server.ready[0]);
    waits.send(GET);
    for _ in 0..100 {
        ping(&mut command);
    }
    assert!(http.is_quiet() && waits.is_quiet(), "a hundred answers take less than two seconds");
    assert_eq!((http.response("GET").status(), waits.response("GET").status()), (200, 200));
}

/// All places of HTTP are taken; clients of the other protocol have theirs.
#[test]
fn places_of_one_protocol_are_not_the_others() {
    let (server, _file) = multi(&BOTH.replacen("[command]", "max-clients = 2\n[command]", 1), 2);
    let mut clients: Vec<Conn> = (0..3).map(|_| Conn::open(server.ready[0])).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    assert_eq!((clients[0].response("GET").status(), clients[1].response("GET").status()), (200, 200));
    ping(&mut Conn::open(server.ready[1]));
    assert!(clients[2].is_quiet(), "the third waits in the backlog");
    drop(clients.remove(0));
    assert_eq!(clients[1].response("GET").status(), 200, "and has the place of the first");
}

fn run(args: &[&str]) -> (Option<i32>, String) {
    let ended = Command::new(MULTI).args(args).stdin(Stdio::null()).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_file_that_is_wrong_is_told_with_line_and_column() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("multi.toml");
    let name = file.to_str().unwrap();
    let (code, said) = run(&["--config", name]);
    assert_eq!((code, said.contains("multi.toml: No such file")), (Some(2), true), "{said}");
    fs::write(&file, "[http]\nmax-client = 5\n").unwrap();
    for args in [&["--config", name][..], &["--config", name, "--check"]] {
        let (code, said) = run(args);
        let expected = format!("error: {name}:2:1: unknown field `max-client`");
        assert!(code == Some(2) && said.starts_with(&expected), "{said}");
        assert!(said.ends_with("; did you mean `max-clients`?\n"), "{said}");
    }
    fs::write(&file, b"[http]\nname = \"\xff\"\n").unwrap();
    assert_eq!(run(&["--config", name]).0, Some(2));
    fs::write(&file, "[http]\nmax-clients = 900000000000\n").unwrap();
    let (code, said) = run(&["--config", name]);
    assert!(code == Some(2) && said.contains("900,000,000,000 in all") && said.contains("ulimit -n"), "{said}");
    fs::write(&file, BOTH).unwrap();
    assert_eq!(run(&["--config", name, "--check"]), (Some(0), "the configuration is right\n".to_owned()));
}

/// A port that is taken is no reason to serve the other protocol alone.
#[test]
fn a_port_that_is_taken_ends_all() {
    let (other, _file) = multi(BOTH, 2);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("multi.toml");
    fs::write(&file, format!("[http]\nlisten = \"127.0.0.1:0\"\n[command]\nlisten = \"{}\"\n", other.ready[1]))
        .unwrap();
    let (code, said) = run(&["--config", file.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("is in use"), "{said}");
}

#[test]
fn a_stop_lets_both_protocols_finish() {
    let (mut server, _file) = multi(BOTH, 2);
    let (mut http, mut command) = (Conn::open(server.ready[0]), Conn::open(server.ready[1]));
    http.send("GET /delay/300 HTTP/1.1\r\nHost: a\r\n\r\n");
    command.send("PING\n#7 DELAY 300 late\n");
    assert_eq!(command.read_until("\n"), "PONG\n");
    let mut other = Conn::open(server.ready[0]);
    assert_eq!(other.ask(GET).status(), 200);
    server.signal("TERM");
    assert_eq!(http.response("GET").status(), 200);
    assert_eq!(command.read_to_end(), (b"#7 late\n".to_vec(), End::Clean));
    assert_eq!(server.wait().code(), Some(0));
}

/// Descriptors and memory are as they were after ten thousand sessions of each protocol: `make sessions`.
#[test]
#[ignore = "20,000 connections"]
fn ten_thousand_sessions_of_both_protocols_come_and_go() {
    for driver in drivers() {
        let (server, _file) = multi(&format!("driver = \"{driver}\"\nlog-level = \"off\"\n{BOTH}"), 2);
        let visit = |times: usize| {
            in_parallel(8, |_| {
                for number in 0..times / 8 {
                    let (mut http, mut command) = (Conn::open(server.ready[0]), Conn::open(server.ready[1]));
                    match number % 4 {
                        0 => {
                            assert_eq!(http.ask(GET).status(), 200);
                            ping(&mut command);
                        }
                        // They leave in the middle of a request, or before they are answered, or say what is no request.
                        1 => {
                            http.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
                            command.send("ECHO half of a li");
                        }
                        2 => {
                            http.send(GET);
                            command.send("TIME\nTIME\nTIME\n");
                        }
                        _ => {
                            assert_eq!(http.ask("NONSENSE\r\n\r\n").status(), 400);
                            command.send("QUIT\n");
                        }
                    }
                }
            });
        };
        visit(2_000);
        let (descriptors, memory) = (server.settled_descriptors(), server.peak_memory());
        visit(8_000);
        assert_eq!(server.settled_descriptors(), descriptors, "{driver}");
        let more = server.peak_memory() - memory;
        assert!(more < 2048, "{driver}: {more} KiB more at the end");
    }
}
