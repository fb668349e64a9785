//! Running out of descriptors is an outage of some clients, not of the server.

use crate::{
    Architecture, EVENT_DRIVEN, FORK, HYBRID, IO_URING, ITERATIVE, THREAD_PER_CLIENT, THREAD_POOL, WELCOME, children,
    greeted, has_io_uring, processor_time,
    support::{
        process::{Process, start_listening, wait_for},
        raw::Conn,
    },
};
use std::{fs, process::Command, time::Duration};

/// How long to watch a server that can accept no client. One that tried without a pause would compute most of that
/// time.
const WATCHED: Duration = Duration::from_millis(500);

fn assert_patient(server: &Process) {
    let before = processor_time(server);
    wait_for(WATCHED);
    assert!(processor_time(server) - before < WATCHED / 4, "it spins");
}

/// Starts a server that may open few descriptors, and never more: its clients take all of them.
fn out_of_descriptors(architecture: &Architecture, flags: &[&str]) {
    let limited = ["-c", "ulimit -n 24; exec \"$0\" \"$@\"", architecture.program, "--listen", "127.0.0.1:0"];
    let server = start_listening("/bin/sh", &[&limited, flags].concat(), 1);
    let mut conns: Vec<Conn> = (0..40).map(|_| Conn::open(server.address())).collect();
    server.wait_for_stderr("cannot accept");
    assert_patient(&server);
    // Those who were accepted are served.
    assert_eq!(conns[0].read_until("\n"), WELCOME);
    // The others wait, and get their turn when descriptors are free again.
    let mut last = conns.pop().unwrap();
    drop(conns);
    assert_eq!(last.read_until("\n"), WELCOME);
    greeted(&server);
}

/// Takes all descriptors from a process that holds only few, and gives them back.
fn no_descriptor_at_all(architecture: &Architecture, flags: &[&str]) {
    let server = architecture.start("echo", flags);
    let accepting = children(&server).first().copied().unwrap_or(server.id());
    let limit = |most: usize| {
        let most = format!("--nofile={most}:");
        assert!(Command::new("prlimit").args(["--pid", &accepting.to_string(), &most]).status().unwrap().success());
    };
    // A new descriptor gets the lowest free number, and the limit is what that may not reach.
    let is_open = |number: &usize| fs::symlink_metadata(format!("/proc/{accepting}/fd/{number}")).is_ok();
    limit((0..).find(|number| !is_open(number)).unwrap());
    let mut conns: Vec<Conn> = (0..3).map(|_| Conn::open(server.address())).collect();
    server.wait_for_stderr("cannot accept");
    assert_patient(&server);
    limit(64);
    for mut conn in conns.drain(..) {
        assert_eq!(conn.read_until("\n"), WELCOME);
    }
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn thread_per_client() {
    out_of_descriptors(&THREAD_PER_CLIENT, &[]);
    no_descriptor_at_all(&THREAD_PER_CLIENT, &[]);
}

#[test]
fn thread_pool() {
    out_of_descriptors(&THREAD_POOL, &["--workers", "40"]);
    no_descriptor_at_all(&THREAD_POOL, &[]);
}

#[test]
fn event_driven() {
    out_of_descriptors(&EVENT_DRIVEN, &[]);
    no_descriptor_at_all(&EVENT_DRIVEN, &[]);
}

#[test]
fn hybrid() {
    out_of_descriptors(&HYBRID, &["--workers", "1"]);
    no_descriptor_at_all(&HYBRID, &["--workers", "1"]);
}

// The other two never hold more than one client's descriptor.

#[test]
fn iterative() {
    no_descriptor_at_all(&ITERATIVE, &[]);
}

#[test]
fn fork() {
    no_descriptor_at_all(&FORK, &[]);
}

#[test]
fn io_uring() {
    if has_io_uring() {
        out_of_descriptors(&IO_URING, &[]);
        // Not the other test: an accept operation keeps the limit that was in force when it was asked for.
    }
}
