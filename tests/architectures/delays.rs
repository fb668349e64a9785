//! A delay that a client asks for: no timer adds a step of its own to it.

use crate::{
    Architecture, get,
    support::{
        process::{PATIENCE, now},
        raw::Conn,
    },
    under_every_architecture,
};
use std::time::Duration;

under_every_architecture! {
    a_delay_of_http_is_kept_within_a_millisecond,
    a_delay_of_a_command_is_kept_within_a_millisecond,
    a_delay_is_kept_after_the_clients_end,
}

/// Shorter than a tick of any coarse timer, and not a part of one.
const DELAY: Duration = Duration::from_millis(3);
/// Delays in a row. One alone may happen to end with a tick.
const ROW: u32 = 4;

/// Asks in a row until each answer of a row was at most `late`, on average. A busy machine makes any single row slow; a coarse
/// timer makes all of them slow.
fn assert_kept(late: Duration, mut ask: impl FnMut()) {
    let patience = now() + PATIENCE;
    loop {
        let start = now();
        (0..ROW).for_each(|_| ask());
        let took = now() - start;
        assert!(took >= ROW * DELAY, "{took:?}: an answer came early");
        if took <= ROW * (DELAY + late) {
            return;
        }
        assert!(now() < patience, "{ROW} delays of {DELAY:?} took {took:?}");
    }
}

fn a_delay_of_http_is_kept_within_a_millisecond(architecture: &Architecture) {
    let server = architecture.start("http", &[]);
    let mut conn = Conn::open(server.address());
    assert_kept(Duration::from_millis(1), || {
        assert_eq!(conn.ask(&get("/delay/3")).body, b"waited 3 ms\n");
    });
}

fn a_delay_of_a_command_is_kept_within_a_millisecond(architecture: &Architecture) {
    let server = architecture.start("command", &[]);
    let mut conn = Conn::open(server.address());
    assert_kept(Duration::from_millis(1), || {
        // Numbered, so that the server reads on meanwhile; and two of them, so that one of two deadlines comes first.
        conn.send("#1 DELAY 3 a\n#2 DELAY 2 b\n#3 PING\n");
        assert_eq!(conn.read_until("#1 a\n"), "#3 PONG\n#2 b\n#1 a\n");
    });
}

/// A thread or an event loop has nothing left to read then, and waits in another way. The client's own way in is a part of what
/// is measured, so there is more room.
fn a_delay_is_kept_after_the_clients_end(architecture: &Architecture) {
    let server = architecture.start("http", &[]);
    assert_kept(Duration::from_millis(3), || {
        let mut conn = Conn::open(server.address());
        conn.send(get("/delay/3"));
        conn.finish();
        assert_eq!(conn.response("GET").body, b"waited 3 ms\n");
    });
}
