//! The cost of clients that say nothing.
//!
//! ```console
//! IDLE_CLIENTS=10000 cargo test --release --test architectures idle_clients -- --nocapture --test-threads 1
//! ```

use crate::{
    Architecture, EVENT_DRIVEN, HYBRID, IO_URING, WELCOME, children, greeted, has_io_uring, processor_time,
    support::{
        process::{Process, wait_for},
        raw::Conn,
    },
    under_every_architecture,
};
use socket_patterns::net::descriptors;
use std::{env, fs, time::Duration};

under_every_architecture! {
    while_nothing_happens_nothing_is_computed,
}

/// How long to watch, and how much of that may be computed: a hundredth.
const WATCHED: Duration = Duration::from_millis(500);
const NIL: u32 = 100;

fn assert_idle(server: &Process) {
    // Time for the work that was left after the last event.
    wait_for(Duration::from_millis(100));
    let before = processor_time(server);
    wait_for(WATCHED);
    let computed = processor_time(server) - before;
    assert!(computed <= WATCHED / NIL, "{computed:?}");
}

fn while_nothing_happens_nothing_is_computed(architecture: &Architecture) {
    let server = architecture.start("echo", &[]);
    assert_idle(&server);
    let _client = greeted(&server);
    assert_idle(&server);
}

/// Memory of a server and its children, in bytes.
fn memory(server: &Process) -> u64 {
    let of_process = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    [&[server.id()], &children(server)[..]].concat().iter().map(of_process).sum()
}

fn connect(server: &Process, count: usize) -> Vec<Conn> {
    let mut conns: Vec<Conn> = (0..count).map(|_| Conn::open(server.address())).collect();
    for conn in &mut conns {
        assert_eq!(conn.read_until("\n"), WELCOME);
    }
    conns
}

#[allow(clippy::print_stderr)] // For people who want to know.
fn idle_clients_cost_less_than_a_kibibyte(architecture: &Architecture) {
    descriptors::raise_limit().unwrap();
    let count = env::var("IDLE_CLIENTS").map_or(2000, |count| count.parse().unwrap());
    let server = architecture.start("echo", &["--max-clients", "40000", "--backlog", "4096"]);
    // After this, everything that is made once is there, and so is room for as many arrivals at once as may come on a busy machine.
    let _first = connect(&server, 2000);
    let before = memory(&server);
    let _clients = connect(&server, count);
    let each = (memory(&server) - before) / count as u64;
    eprintln!("{}: {count} idle clients take {each} bytes each", architecture.program);
    assert!(each < 1024, "{each} bytes each");
    assert_idle(&server);
}

#[test]
fn idle_clients_of_an_event_loop() {
    idle_clients_cost_less_than_a_kibibyte(&EVENT_DRIVEN);
}

#[test]
fn idle_clients_of_several_event_loops() {
    idle_clients_cost_less_than_a_kibibyte(&HYBRID);
}

#[test]
fn idle_clients_of_a_completion_loop() {
    if has_io_uring() {
        idle_clients_cost_less_than_a_kibibyte(&IO_URING);
    }
}
