//! Workers of the hybrid server that die.

use crate::{
    HYBRID, WELCOME, children, echo, greeted,
    support::{
        process::{Process, wait_until},
        raw::{Conn, End},
    },
    wait_for_statistics,
};
use std::process::Command;

/// Fails if it has ended already; that is what was wanted.
fn kill(child: u32) {
    let _ = Command::new("kill").arg("-KILL").arg(child.to_string()).status().unwrap();
}

/// Waits until `count` workers run and none of them is `dead`.
fn wait_for_successor(server: &Process, count: usize, dead: u32) -> Vec<u32> {
    let mut workers = Vec::new();
    wait_until("a successor", || {
        workers = children(server);
        workers.len() == count && !workers.contains(&dead)
    });
    workers
}

#[test]
fn a_dead_worker_is_replaced_and_its_port_keeps_answering() {
    let mut server = HYBRID.start("echo", &["--workers", "2"]);
    let mut conns: Vec<Conn> = (0..16).map(|_| greeted(&server)).collect();
    let victim = children(&server)[0];
    kill(victim);
    // At once: clients that the kernel puts into the dead worker's backlog wait there for its successor.
    let mut next: Vec<Conn> = (0..16).map(|_| Conn::open(server.address())).collect();
    for conn in &mut next {
        assert_eq!(conn.read_until("\n"), WELCOME);
        echo(conn, 1, "new");
    }
    wait_for_successor(&server, 2, victim);
    server.wait_for_stderr("a worker died");
    // Its own clients are gone, all others did not notice.
    let mut lost = 0;
    for conn in &mut conns {
        if conn.try_send("old\n").is_err() || !matches!(line(conn), Ok(text) if text == "Echo #1: old\n") {
            lost += 1;
        }
    }
    wait_for_statistics(&server, "clients=32 active=16 ");
    assert!(server.stderr().contains(&format!(" errors={lost} ")), "{lost} were lost: {}", server.stderr());
    drop((conns, next));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

/// The next line, or how the connection ended.
fn line(conn: &mut Conn) -> Result<String, End> {
    conn.finish();
    let (bytes, end) = conn.read_to_end();
    if bytes.is_empty() { Err(end) } else { Ok(String::from_utf8(bytes).unwrap()) }
}

#[test]
fn a_worker_that_dies_again_and_again_ends_the_server() {
    let mut server = HYBRID.start("echo", &["--workers", "2", "--max-restarts", "1"]);
    let first = children(&server)[0];
    kill(first);
    let workers = wait_for_successor(&server, 2, first);
    // Whichever is killed: a worker once more, or the other one for the first time.
    for worker in workers {
        kill(worker);
        wait_until("its end", || !children(&server).contains(&worker));
    }
    assert_eq!(server.wait().code(), Some(1));
    server.wait_for_stderr("error: worker ");
    server.wait_for_stderr(" died 2 times soon after its start, the last time of SIGKILL");
}

#[test]
fn a_worker_that_is_told_to_end_is_replaced_too() {
    let server = HYBRID.start("echo", &["--workers", "1"]);
    let mut conn = greeted(&server);
    let worker = children(&server)[0];
    assert!(Command::new("kill").arg("-TERM").arg(worker.to_string()).status().unwrap().success());
    conn.expect_end();
    wait_for_successor(&server, 1, worker);
    echo(&mut greeted(&server), 1, "still here");
}
