//! Running out of descriptors is an outage of some clients, not of the server.

use crate::{
    Architecture, EVENT_DRIVEN, IO_URING, THREAD_PER_CLIENT, THREAD_POOL, WELCOME, greeted, has_io_uring,
    support::{
        process::{Process, start_listening, wait_for},
        raw::Conn,
    },
};
use std::{fs, time::Duration};

/// Starts a server that may open few descriptors, and never more.
fn out_of_descriptors(architecture: &Architecture, flags: &[&str]) {
    let limited = ["-c", "ulimit -n 24; exec \"$0\" \"$@\"", architecture.program, "--listen", "127.0.0.1:0"];
    let server = start_listening("/bin/sh", &[&limited, flags].concat(), 1);
    let mut conns: Vec<Conn> = (0..40).map(|_| Conn::open(server.address())).collect();
    server.wait_for_stderr("cannot accept");
    let before = processor_ticks(&server);
    wait_for(Duration::from_millis(500));
    // A loop that tries without a pause would take most of 50.
    assert!(processor_ticks(&server) - before < 15, "it spins");
    // Those who were accepted are served.
    assert_eq!(conns[0].read_until("\n"), WELCOME);
    // The others wait, and get their turn when descriptors are free again.
    let mut last = conns.pop().unwrap();
    drop(conns);
    assert_eq!(last.read_until("\n"), WELCOME);
    greeted(&server);
}

/// Hundredths of a second that a process has computed so far: `utime` and `stime` of proc(5).
pub(crate) fn processor_ticks(server: &Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn thread_per_client() {
    out_of_descriptors(&THREAD_PER_CLIENT, &[]);
}

#[test]
fn thread_pool() {
    out_of_descriptors(&THREAD_POOL, &["--workers", "40"]);
}

#[test]
fn event_driven() {
    out_of_descriptors(&EVENT_DRIVEN, &[]);
}

#[test]
fn io_uring() {
    if has_io_uring() {
        out_of_descriptors(&IO_URING, &[]);
    }
}
