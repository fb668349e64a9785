//! Thousands of clients that say nothing cost next to nothing: memory, and no time at all.

use crate::{
    Architecture, EVENT_DRIVEN, IO_URING, echo, greeted, has_io_uring,
    limits::processor_ticks,
    support::{
        process::{Process, start_listening, wait_for, wait_until},
        raw::Conn,
    },
};
use socket_patterns::net::descriptors;
use std::{fs, time::Duration};

/// As many as the limit of descriptors allows, with some left for other tests; at most 10,000.
fn as_many_as_possible() -> usize {
    // Ten thousand clients are ten thousand descriptors on this side, too.
    let limit = usize::try_from(descriptors::raise_limit().unwrap()).unwrap_or(usize::MAX);
    (limit / 3).min(10_000)
}

/// Resident memory in KiB.
fn memory(server: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn idle_clients_cost_little(architecture: &Architecture) {
    let count = as_many_as_possible();
    let flags = ["--listen", "127.0.0.1:0", "--max-clients", "20000", "--backlog", "1024"];
    let server = start_listening(architecture.program, &flags, 1);
    echo(&mut greeted(&server), 1, "warm");
    let before = memory(&server);
    let mut clients: Vec<Conn> = (0..count).map(|_| greeted(&server)).collect();
    let each = (memory(&server) - before) as f64 / count as f64;
    assert!(each < 1.0, "{each:.2} KiB for each of {count} clients");
    let ticks = processor_ticks(&server);
    wait_for(Duration::from_millis(500));
    assert!(processor_ticks(&server) - ticks <= 1, "it has nothing to do, and does it");
    // All of them are still there.
    for client in clients.iter_mut().step_by(100) {
        echo(client, 1, "still here");
    }
    drop(clients);
    wait_until("everybody to have left", || {
        server.signal("USR1");
        server.stderr().contains(" active=0 ")
    });
}

#[test]
fn event_driven() {
    idle_clients_cost_little(&EVENT_DRIVEN);
}

#[test]
fn io_uring() {
    if has_io_uring() {
        idle_clients_cost_little(&IO_URING);
    }
}
