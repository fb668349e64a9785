//! A stderr that is not read, or that is closed, delays nothing and ends nothing. Lines that could not be written are
//! counted.

use crate::{
    get,
    support::{
        deaf_stderr::{DeafStderr, full_pipe},
        milestones::{Milestone, from_milestone1},
        process::{Process, start_saying_into, wait_until},
        raw::{Backend, Conn, refusing_address},
    },
};
use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    process::Stdio,
};

from_milestone1! {
    for_reverse_proxies "they start the proxy by themselves, with --backend" {
        in_plain "clients have no part in it" {
            the_demo_serves_whatever_its_stderr_is,
            a_full_stderr_does_not_delay_the_end,
            a_second_signal_ends_at_once_whatever_stderr_is,
            an_error_that_cannot_be_said_is_an_exit_code,
            lines_that_were_lost_are_counted_and_told_of,
        }
    }
}

/// In front of `backend`, without health checks.
fn start(milestone: &Milestone, stderr: Stdio, backend: &Backend, flags: &[&str]) -> Process {
    let name = backend.name();
    let flags = [&["--backend", &name], milestone.since(2, &["--no-health"]), milestone.any_port(), flags].concat();
    start_saying_into(stderr, milestone.program, &flags)
}

/// Sends `times` requests on one connection; that makes at least as many lines of access log.
fn ask_often(address: SocketAddr, times: usize) {
    let mut client = Conn::open(address);
    for _ in 0..times / 100 {
        client.send(get("/").repeat(100));
        (0..100).for_each(|_| assert_eq!(client.response("GET").body, b"x"));
    }
}

fn the_demo_serves_whatever_its_stderr_is(milestone: &Milestone) {
    for kind in DeafStderr::ALL {
        let (stderr, _reader) = kind.open();
        let proxy = start_saying_into(stderr, milestone.program, milestone.any_port());
        assert_eq!(Conn::open(proxy.address()).ask(&get("/")).status(), 200, "{kind:?}");
        assert_eq!(proxy.terminate().code(), Some(0), "{kind:?}");
    }
}

fn a_full_stderr_does_not_delay_the_end(milestone: &Milestone) {
    let backend = Backend::saying("x");
    for kind in DeafStderr::ALL {
        let (stderr, _reader) = kind.open();
        let proxy = start(milestone, stderr, &backend, &["--log-level", "debug"]);
        // Several lines each: if none is taken, more than are queued.
        ask_often(proxy.address(), if kind == DeafStderr::Full { 3000 } else { 300 });
        assert_eq!(proxy.terminate().code(), Some(0), "{kind:?}");
    }
}

fn a_second_signal_ends_at_once_whatever_stderr_is(milestone: &Milestone) {
    for kind in DeafStderr::ALL {
        let (backend, incoming) = Backend::by_hand();
        let (stderr, _reader) = kind.open();
        let mut proxy = start(milestone, stderr, &backend, &["--workers", "1", "--drain-timeout", "1h"]);
        let mut client = Conn::open(proxy.address());
        client.send(get("/"));
        let mut upstream = incoming.accept();
        upstream.read_head();
        proxy.signal("TERM");
        wait_until("the listener to close", || refuses(proxy.address()));
        proxy.signal("TERM");
        assert_eq!(proxy.wait().code(), Some(128 + 15), "{kind:?}");
    }
}

#[allow(clippy::disallowed_methods)] // The point is that connecting fails.
fn refuses(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

fn an_error_that_cannot_be_said_is_an_exit_code(milestone: &Milestone) {
    let taken = Backend::saying("x").name();
    for kind in DeafStderr::ALL {
        let (stderr, _reader) = kind.open();
        let mut command = std::process::Command::new(milestone.program);
        command
            .args(["--listen", &taken, "--backend", &refusing_address().to_string()])
            .args(milestone.any_port())
            .stderr(stderr);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut status = None;
        wait_until("the process to end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(1), "{kind:?}");
    }
}

fn lines_that_were_lost_are_counted_and_told_of(milestone: &Milestone) {
    let backend = Backend::saying("x");
    let (reader, stderr) = full_pipe();
    let port = refusing_address().port().to_string();
    let admin = format!("127.0.0.1:{port}");
    let proxy =
        start(milestone, stderr, &backend, &["--log-level", "debug", "--admin", &admin, "--admin-host", "test"]);
    ask_often(proxy.address(), 3000);
    let stats = Conn::open(admin.parse().unwrap()).ask(&get("/stats"));
    let stats: serde_json::Value = serde_json::from_slice(&stats.body).unwrap();
    let lost = stats.pointer("/log/lines_lost").and_then(serde_json::Value::as_u64);
    assert!(lost.is_some_and(|lines| lines > 0), "{lost:?}");
    // A reader that comes back is told how many lines are missing.
    let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("log lines were dropped: stderr was too slow")), "nobody said so");
    drop(proxy);
}
